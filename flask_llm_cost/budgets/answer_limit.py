"""How long an answer can be at most: what the request says of it, in the words of every provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .prompt import size

#: Where a request limits one answer. The larger one counts where there are two.
_LIMITS = (
    ("max_completion_tokens",),  # OpenAI, reasoning included; xAI, Groq
    ("max_output_tokens",),  # OpenAI's responses
    ("max_tokens",),  # OpenAI's older models, Anthropic (thinking included), Mistral, Cohere, DeepSeek
    ("max_new_tokens",),
    ("max_tokens_to_sample",),  # Anthropic's text completions
    ("max_gen_len",),  # Llama on Bedrock
    ("generationConfig", "maxOutputTokens"),  # Gemini, thinking included
    ("generation_config", "max_output_tokens"),  # Gemini's interactions
    ("inferenceConfig", "maxTokens"),  # Bedrock Converse
    ("textGenerationConfig", "maxTokenCount"),  # Titan on Bedrock
)
#: Where it asks for more answers than one; all of them are billed.
_ANSWERS = (
    ("n",),
    ("best_of",),
    ("num_generations",),
    ("generationConfig", "candidateCount"),
)
#: Budgets of thinking that may stand beside the limit instead of in it.
_THINKING = (
    ("thinking", "budget_tokens"),  # Anthropic's, in the limit, except between the calls of tools
    ("thinking", "token_budget"),  # Cohere
    ("thinking_budget",),  # Qwen
    ("generationConfig", "thinkingConfig", "thinkingBudget"),
    ("additionalModelRequestFields", "thinking", "budget_tokens"),
)


@dataclass(frozen=True, slots=True)
class AnswerLimit:
    """The tokens of all answers to one request, at most.

    :param tokens: ``None`` where nothing limits them; ``why`` tells what would.
    """

    tokens: int | None
    why: str = ""


def answer_limit(body: Mapping[str, object], provider: str, model_most: int | None) -> AnswerLimit:
    """What the request allows, or else the model.

    :param model_most: the model's own maximum of output tokens, where it is known.
    """
    found = [limit for path in _LIMITS if (limit := _count(body, path)) is not None]
    limit = max(found) if found else model_most
    if limit is None:
        return AnswerLimit(None, "nothing limits the answer: set max_tokens, or what the provider calls it")
    if provider == "xai" and found and _count(body, ("max_tokens",)) is not None and len(found) == 1:
        if model_most is None:
            return AnswerLimit(None, "xAI's max_tokens leaves reasoning out: set max_completion_tokens")
        limit += model_most
    if found:
        limit += max((_count(body, path) or 0 for path in _THINKING), default=0)
    return AnswerLimit(limit * _answers(body) + _predicted(body))


def _answers(body: Mapping[str, object]) -> int:
    asked = max((_count(body, path) or 1 for path in _ANSWERS), default=1)
    prompts = body.get("prompt")
    if isinstance(prompts, list | tuple) and prompts and not isinstance(prompts[0], int):
        asked *= len(prompts)  # each prompt of a text completion has answers of its own
    return asked


def _predicted(body: Mapping[str, object]) -> int:
    """Predicted output that the model rejects is billed as output."""
    prediction = body.get("prediction")
    content = prediction.get("content") if isinstance(prediction, Mapping) else None
    if isinstance(content, list):
        return sum(size(part.get("text")) for part in content if isinstance(part, Mapping))
    return size(content)


def _count(body: Mapping[str, object], path: tuple[str, ...]) -> int | None:
    value: object = body
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**9:
        return None
    return int(value) if value == int(value) else int(value) + 1
