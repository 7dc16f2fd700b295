"""How much of what a request can use at most: the lines of a bill that is not written yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal

from ..events import Operation
from ..pricing import ModelLimits
from .answer_limit import answer_limit
from .hosted_tools import HostedTools
from .hosted_tools import hosted_tools
from .pieces import drawn_tokens
from .pieces import pictures
from .pieces import speech_characters
from .prompt import BASE
from .prompt import Prompt
from .prompt import measure_prompt
from .prompt import size
from .tokenizer import loaded_counter

Body = Mapping[str, object]

_AUDIO_IN = ("audio_input", "cache_read_audio_input")
_PICTURE_IN = ("image_input", "cache_read_image_input")
_OUT = ("output", "audio_output", "image_output")


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity at most, and the components of which the dearest may be billed for it.

    :param name: ``input`` and ``output`` for all their kinds, else the component itself.
    """

    name: str
    quantity: Decimal
    kinds: tuple[str, ...]


@dataclass(slots=True)
class Bound:
    """What one call can use at most.

    :param missing: why there is no bound, in words for a person; empty where there is one.
    :param notes: what the bound stands on, where it is more than the request itself.
    """

    lines: list[Line] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def tokens_in(self) -> int:
        """All input, which context tiers are measured by."""
        return int(sum(line.quantity for line in self.lines if line.name == "input"))

    def add(self, name: str, quantity: int | Decimal, *kinds: str) -> None:
        """One more line; ``kinds`` are the component itself where none are named."""
        if quantity:
            self.lines.append(Line(name, Decimal(quantity), kinds or (name,)))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose body has been read, and what its model's price entry tells.

    :param rated: the components that have a rate.
    """

    provider: str
    model: str
    operation: Operation
    body: Body
    charges: Mapping[str, Decimal]
    rated: frozenset[str]
    limits: ModelLimits
    has_files: bool = False


def bound_of(asked: Asked) -> Bound:
    """The most that the request can be billed for."""
    found = Bound()
    if asked.operation == "images":
        _add_pictures(found, asked)
    elif asked.operation == "speech":
        _add_speech(found, asked)
    elif asked.operation == "transcription":
        found.missing.append("the request does not tell how long the recording is")
    elif asked.operation == "embeddings":
        _add_prompt(found, asked, HostedTools())
    elif asked.operation == "other":
        _add_charges(found, asked)
    else:
        _add_generation(found, asked)
    return found


def _add_generation(found: Bound, asked: Asked) -> None:
    tools = hosted_tools(asked.body, asked.model)
    found.missing += [f"{name} runs at the provider without a limit" for name in tools.unlimited]
    _add_prompt(found, asked, tools)
    limit = answer_limit(asked.body, asked.provider, asked.limits.max_output_tokens)
    if limit.tokens is None:
        found.missing.append(limit.why)
    else:
        rounds = tools.runs + 1 if tools.longer else 1
        found.add("output", limit.tokens * rounds, *_kinds_out(asked))
    for component, count in tools.charges.items():
        found.add(component, count)
    if "request" in asked.rated:
        found.add("request", 1)
    if asked.provider == "perplexity" and "deep-research" in asked.model:
        found.missing.append("the model searches as often as it likes")


def _add_prompt(found: Bound, asked: Asked, tools: HostedTools) -> None:
    prompt = measure_prompt(asked.body, asked.model, loaded_counter(asked.model))
    text = _kinds_in(asked, prompt)
    found.add("input", prompt.text_tokens, *text)
    found.add("input", prompt.picture_tokens, *text, *_PICTURE_IN)
    found.add("input", prompt.audio_tokens, *text, *_AUDIO_IN)
    found.add("input", prompt.video_tokens, *text, *_AUDIO_IN, *_PICTURE_IN)
    if prompt.picture_tokens and "input_pixel" in asked.rated:
        found.missing.append("the request does not tell how large its pictures are")
    unknown = list(prompt.unknown)
    if tools.runs:
        unknown.append("what its tools bring in")
    if not unknown:
        return
    window = asked.limits.max_input_tokens
    words = " and ".join(unknown)
    if window is None:
        found.missing.append(f"the length of {words} is not told")
        return
    # No turn can take in more than the model does; each run of a tool is followed by one.
    rest = window * (tools.runs + 1) - prompt.tokens
    found.add("input", max(rest, 0), *text, *_AUDIO_IN, *_PICTURE_IN)
    found.notes.append(f"{words} counted as the model's whole context of {window:,} tokens")


def _kinds_in(asked: Asked, prompt: Prompt) -> tuple[str, ...]:
    """What text in a prompt may be billed as. Claude's cache is written where the request marks it only."""
    kinds = ["input", "cache_read_input"]
    marked = "claude" in asked.model.lower()
    if not marked or prompt.marks:
        kinds.append("cache_write_input")
    if "extended" in prompt.marks:
        kinds.append("cache_write_extended_input")
    return tuple(kinds)


def _kinds_out(asked: Asked) -> tuple[str, ...]:
    """What an answer may be billed as. OpenAI's models speak only where they are told to."""
    told = asked.body.get("modalities")
    speaks = isinstance(told, list | tuple) and "audio" in told
    if asked.operation in ("chat", "responses", "completions") and not speaks:
        return ("output", "image_output")
    return _OUT


def _add_pictures(found: Bound, asked: Asked) -> None:
    count = asked.charges.get("image") or pictures(asked.body)
    if count is None:
        found.missing.append("the request does not tell how many pictures it asks for")
    elif "image" in asked.rated:
        found.add("image", count)
    else:
        each = None if asked.has_files else drawn_tokens(asked.body, asked.model)
        if each is None:
            found.missing.append("how many tokens such a picture takes is not known")
        else:
            found.add("input", size(asked.body.get("prompt")) + BASE, "input", "cache_read_input")
            found.add("output", count * each, *_OUT)


def _add_speech(found: Bound, asked: Asked) -> None:
    characters = asked.charges.get("text_to_speech_character", speech_characters(asked.body))
    if characters is None:
        found.missing.append("the request holds no text to be spoken")
    elif "text_to_speech_character" in asked.rated:
        found.add("text_to_speech_character", characters)
    else:
        _add_prompt(found, asked, HostedTools())
        most = asked.limits.max_output_tokens
        if most is None:
            found.missing.append("how many tokens the spoken text takes is not known")
        else:
            found.add("output", most, *_OUT)


def _add_charges(found: Bound, asked: Asked) -> None:
    if not asked.charges:
        found.missing.append("what such a request will use is not known before it is answered")
    for component, count in asked.charges.items():
        found.add(component, count)
