"""An estimate is never less than the price of the answer, in every wire format and through the SDKs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_llm_cost.budgets import Estimate
from flask_llm_cost.budgets import EstimateRequest
from flask_llm_cost.budgets import estimate_cost
from flask_llm_cost.pricing import Catalog
from flask_llm_cost.pricing import Price
from flask_llm_cost.providers import StreamReader
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import read_body
from flask_llm_cost.providers import read_request
from tests.loopback import LoopbackProvider
from tests.loopback import Received
from tests.loopback import loopback_provider
from tests.wire_formats import chat_completion
from tests.wire_formats import completion
from tests.wire_formats import default_answer
from tests.wire_formats import embeddings
from tests.wire_formats import gemini_content
from tests.wire_formats import message
from tests.wire_formats import response_object

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
CATALOG = Catalog.load()
Fields = dict[str, Any]

OPENAI = ("gpt-5", "gpt-5-mini", "gpt-5.6-sol", "gpt-4o", "o3", "gpt-4.1-nano")
CLAUDE = ("claude-sonnet-4-5", "claude-fable-5-2", "claude-opus-4-8", "claude-haiku-5-5")
GEMINI = ("gemini-2.5-pro", "gemini-2.5-flash", "gemini-3.8-flash")


def openai_usage(tokens: Fields) -> Fields:
    return {
        "prompt_tokens": tokens["in"],
        "completion_tokens": tokens["out"],
        "total_tokens": tokens["in"] + tokens["out"],
        "prompt_tokens_details": {"cached_tokens": tokens["read"], "cache_write_tokens": tokens["written"]},
        "completion_tokens_details": {"reasoning_tokens": tokens["out"] // 2},
    }


def responses_usage(tokens: Fields) -> Fields:
    return {
        "input_tokens": tokens["in"],
        "input_tokens_details": {"cached_tokens": tokens["read"], "cache_write_tokens": tokens["written"]},
        "output_tokens": tokens["out"],
        "output_tokens_details": {"reasoning_tokens": tokens["out"] // 2},
        "total_tokens": tokens["in"] + tokens["out"],
    }


def claude_usage(tokens: Fields) -> Fields:
    extended = tokens["written"] // 2
    return {
        "input_tokens": tokens["in"] - tokens["read"] - tokens["written"],
        "cache_read_input_tokens": tokens["read"],
        "cache_creation_input_tokens": tokens["written"],
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens["written"] - extended,
            "ephemeral_1h_input_tokens": extended,
        },
        "output_tokens": tokens["out"],
    }


def gemini_usage(tokens: Fields) -> Fields:
    return {
        "promptTokenCount": tokens["in"],
        "cachedContentTokenCount": tokens["read"],
        "candidatesTokenCount": tokens["out"] - tokens["out"] // 2,
        "thoughtsTokenCount": tokens["out"] // 2,
        "totalTokenCount": tokens["in"] + tokens["out"],
    }


def chat(text: str, most: int, answers: int) -> Fields:
    return {"messages": [{"role": "user", "content": text}], "max_completion_tokens": most, "n": answers}


def claude(text: str, most: int, answers: int) -> Fields:
    part = {"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    return {"messages": [{"role": "user", "content": [part]}], "max_tokens": most * answers}


def gemini(text: str, most: int, answers: int) -> Fields:
    limits = {"maxOutputTokens": most, "candidateCount": answers}
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": limits}


def responses(text: str, most: int, answers: int) -> Fields:
    return {"input": text, "instructions": "Answer.", "max_output_tokens": most * answers}


def text_completion(text: str, most: int, answers: int) -> Fields:
    return {"prompt": text, "max_tokens": most, "best_of": answers}


Pair = tuple[str, tuple[str, ...], str, Callable[[str, int, int], Fields], Callable[[str, Fields], Fields]]
PAIRS: dict[str, Pair] = {
    "chat": (
        "api.openai.com", OPENAI, "/v1/chat/completions", chat,
        lambda model, tokens: chat_completion(model, usage=openai_usage(tokens)),
    ),
    "responses": (
        "api.openai.com", OPENAI, "/v1/responses", responses,
        lambda model, tokens: response_object(model, usage=responses_usage(tokens)),
    ),
    "completions": (
        "api.openai.com", ("gpt-3.5-turbo-instruct",), "/v1/completions", text_completion,
        lambda model, tokens: {**completion(model), "usage": openai_usage({**tokens, "written": 0})},
    ),
    "messages": (
        "api.anthropic.com", CLAUDE, "/v1/messages", claude,
        lambda model, tokens: message(model, usage=claude_usage(tokens)),
    ),
    "generate_content": (
        "generativelanguage.googleapis.com", GEMINI, "/v1beta/models/{model}:generateContent", gemini,
        lambda model, tokens: gemini_content(model, usageMetadata=gemini_usage(tokens)),
    ),
    "embeddings": (
        "api.openai.com", ("text-embedding-3-small", "text-embedding-3-large"), "/v1/embeddings",
        lambda text, most, answers: {"input": [text]},
        lambda model, tokens: {
            **embeddings(model), "usage": {"prompt_tokens": tokens["in"], "total_tokens": tokens["in"]}
        },
    ),
}  # fmt: skip


def estimate(host: str, path: str, fields: Fields, mode: str | None = None) -> Estimate:
    route = find_route("POST", host, path)
    facts = read_request(route, fields)
    assert facts.model
    return estimate_cost(
        EstimateRequest(
            provider=route.provider,
            model=facts.model,
            operation=route.operation,
            body=json.dumps(fields).encode(),
            pricing_mode=mode or facts.pricing_mode,
            charges=facts.charges,
            at=AT,
        ),
        CATALOG,
    )


def price(host: str, path: str, answer: bytes, model: str, mode: str | None) -> Price:
    route = find_route("POST", host, path)
    if answer.startswith((b"data:", b"event:")):
        reader = StreamReader(route)
        reader.feed(answer)
        told = reader.observation()
    else:
        told = read_body(route, answer)
    assert not told.problems
    return CATALOG.price(
        provider=route.provider,
        model=told.model or model,
        usage=told.usage,
        iterations=told.iterations,
        pricing_mode=told.pricing_mode if told.mode_told else mode,
        at=AT,
    )


def rated(host: str, path: str, model: str) -> set[str]:
    provider = find_route("POST", host, path).provider
    rates = CATALOG.dearest_rates(provider=provider, model=model, at=AT)
    assert rates is not None
    return set(rates.per_unit)


@st.composite
def used(draw: st.DrawFn) -> tuple[str, int, int, Fields]:
    """A prompt, the length of each answer and their number at most, and tokens that fit into them.

    Every third prompt is so long that it reaches a context tier.
    """
    text = draw(st.text(min_size=1, max_size=200)) * draw(st.sampled_from([1, 3, 400_000]))
    text = text[:400_000]
    most, answers = draw(st.integers(1, 9_000)), draw(st.integers(1, 4))
    size = len(text.encode("utf-8", "surrogatepass"))
    tokens_in = draw(st.sampled_from([size, size // 2, draw(st.integers(0, size))]))
    read = draw(st.integers(0, tokens_in))
    written = draw(st.integers(0, tokens_in - read))
    out = draw(st.sampled_from([most * answers, draw(st.integers(0, most * answers))]))
    return text, most, answers, {"in": tokens_in, "read": read, "written": written, "out": out}


@pytest.mark.parametrize("kind", PAIRS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_answer_costs_more_than_was_estimated(kind: str, data: st.DataObject) -> None:
    host, models, path, request, answer = PAIRS[kind]
    text, most, answers, tokens = data.draw(used())
    model = data.draw(st.sampled_from(models))
    path = path.format(model=model)
    if "cache_write_input" not in rated(host, path, model):
        tokens["written"] = 0  # such a model bills no writing
    asked_for = (
        data.draw(st.sampled_from([None, "flex", "priority"])) if host != "api.anthropic.com" else None
    )
    found = estimate(host, path, {**request(text, most, answers), "model": model}, asked_for)
    if not found.bounded and asked_for:
        assert "no price for the mode" in found.reason
        return
    assert found.bounded, found.reason
    assert found.cost is not None
    for served in {asked_for, None}:
        actual = price(host, path, json.dumps(answer(model, tokens)).encode(), model, served)
        assert actual.total_cost is not None
        assert found.cost >= actual.total_cost


#: More bytes than the canned answers count tokens.
PROMPT = "When is the quay open, and who has the key to the crane on the northern side of the pier? " * 3


def ask_openai(url: str) -> None:
    with openai.OpenAI(api_key="x", base_url=f"{url}/v1", max_retries=0) as client:
        client.chat.completions.create(
            model="gpt-5", messages=[{"role": "user", "content": PROMPT}], max_completion_tokens=48
        )
        client.responses.create(model="gpt-5-mini", input=PROMPT, max_output_tokens=48)
        client.responses.create(model="gpt-5-mini", input=PROMPT, max_output_tokens=48, stream=True).close()
        client.embeddings.create(model="text-embedding-3-small", input=PROMPT)


def ask_anthropic(url: str) -> None:
    with anthropic.Anthropic(api_key="x", base_url=url, max_retries=0) as client:
        client.messages.create(
            model="claude-sonnet-5", max_tokens=48, messages=[{"role": "user", "content": PROMPT}]
        )


def ask_google(url: str) -> None:
    client = genai.Client(api_key="x", http_options={"base_url": url})
    config: Any = {"max_output_tokens": 48}
    client.models.generate_content(model="gemini-2.5-flash", contents=PROMPT, config=config)
    client.close()


HOSTS = {
    ask_openai: "api.openai.com",
    ask_anthropic: "api.anthropic.com",
    ask_google: "generativelanguage.googleapis.com",
}


@pytest.fixture
def provider() -> Any:
    with loopback_provider() as running:
        yield running


@pytest.mark.parametrize("ask", HOSTS, ids=lambda ask: ask.__name__)
def test_what_the_sdks_send_is_bounded_over_what_is_answered(
    ask: Callable[[str], None], provider: LoopbackProvider
) -> None:
    ask(provider.url)
    assert provider.requests
    for request in provider.requests:
        found = estimate(HOSTS[ask], request.path, request.json)
        assert found.bounded, found.reason
        assert found.cost is not None
        actual = price(HOSTS[ask], request.path, answer_to(request), request.json.get("model", ""), None)
        assert actual.cost_status == "complete"
        assert actual.total_cost is not None
        assert Decimal(0) < actual.total_cost <= found.cost


def answer_to(request: Received) -> bytes:
    answer = default_answer(request.path.partition("?")[0], request.json)
    return b"".join(answer) if isinstance(answer, list) else json.dumps(answer).encode()
