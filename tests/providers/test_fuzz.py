"""Whatever a provider, a proxy or a broken wire sends: nothing is raised, and no number is invented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_llm_cost.events import Observation
from flask_llm_cost.providers import Route
from flask_llm_cost.providers import StreamReader
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import normalise_mode
from flask_llm_cost.providers import read_body
from flask_llm_cost.providers import read_request
from flask_llm_cost.usage import TOKEN_FIELDS
from flask_llm_cost.usage import Usage
from tests.providers.streams import CHAT
from tests.providers.streams import EMBEDDINGS
from tests.providers.streams import GEMINI
from tests.providers.streams import MESSAGES
from tests.providers.streams import OPENROUTER
from tests.providers.streams import RESPONSES
from tests.providers.streams import XAI

IMAGES = find_route("POST", "api.openai.com", "/v1/images/generations")
HEARD = find_route("POST", "api.openai.com", "/v1/audio/transcriptions")
DRAWN = find_route("POST", "aiplatform.googleapis.com", "/v1/publishers/google/models/gemini:newVerb")
VECTORS = find_route("POST", "generativelanguage.googleapis.com", "/v1beta/models/m:embedContent")
NEW = find_route("POST", "api.openai.com", "/v1/decisions")
ROUTES = [CHAT, EMBEDDINGS, RESPONSES, MESSAGES, OPENROUTER, XAI, IMAGES, HEARD, NEW, GEMINI, VECTORS, DRAWN]

#: Every key that is looked at, so that random objects reach deep.
KEYS = [
    "id", "model", "usage", "x_groq", "error", "type", "code", "message", "choices", "delta", "content",
    "finish_reason", "service_tier", "response", "status", "output", "tools", "tool_usage", "image_gen",
    "web_search", "num_requests", "action", "container_id", "environment", "prompt_tokens",
    "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "prompt_tokens_details",
    "completion_tokens_details", "input_tokens_details", "output_tokens_details", "input_token_details",
    "cached_tokens", "cached_tokens_details", "cache_write_tokens", "cache_write_tokens_details",
    "ttl_12h_tokens", "audio_tokens", "image_tokens", "reasoning_tokens", "prompt_cache_hit_tokens",
    "num_cached_tokens", "cost", "is_byok", "cost_details", "upstream_inference_cost",
    "cost_in_usd_ticks", "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation",
    "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "thinking_tokens", "iterations",
    "server_tool_use", "web_search_requests", "speed", "inference_geo", "seconds", "candidates",
    "usageMetadata", "modelVersion", "responseId", "promptFeedback", "blockReason", "finishReason", "parts",
    "groundingMetadata", "webSearchQueries", "promptTokenCount", "cachedContentTokenCount",
    "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount", "totalTokenCount",
    "promptTokensDetails", "promptTokenDetails", "cacheTokensDetails", "candidatesTokensDetails",
    "modality", "tokenCount", "serviceTier", "trafficType",
]  # fmt: skip
WORDS = [
    "error", "response.completed", "response.failed", "response.created", "response.incomplete",
    "message_start", "message_delta", "message_stop", "content_block_delta", "compaction", "message",
    "web_search_call", "search", "code_interpreter_call", "completed", "failed", "queued", "duration",
    "tokens", "us", "fast", "priority", "flex", "image_generation", "response.output_text.delta",
    "AUDIO", "IMAGE", "TEXT", "STOP", "ON_DEMAND_FLEX", "standard",
]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 50)
    | st.integers()
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)
documents = st.dictionaries(st.sampled_from(KEYS), values, max_size=8)
usages = st.dictionaries(st.sampled_from(KEYS), st.integers(-2, 60) | values, max_size=10)


def check(found: Observation) -> None:
    """What holds for every answer, whatever was in it."""
    for usage in filter(None, [found.usage, *(item.usage for item in found.iterations)]):
        assert all(value is None or value >= 0 for value in counts(usage))
        assert all(quantity >= 0 for quantity in usage.quantities().values())
    assert found.provider_cost is None or found.provider_cost >= 0
    billed = found.usage is not None or bool(found.iterations) or found.provider_cost is not None
    assert (found.usage_source == "unknown") is not billed
    assert found.usage is not None or not found.provider_fields


def counts(usage: Usage) -> Iterator[int | None]:
    return (getattr(usage, name) for name in TOKEN_FIELDS)


def integers(value: object) -> Iterator[int]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from integers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield int(value) if value == value and abs(value) < 1e300 else 0


@settings(max_examples=100, deadline=None)
@given(route=st.sampled_from(ROUTES), body=st.binary(max_size=200))
def test_any_bytes_are_a_body(route: Route, body: bytes) -> None:
    check(read_body(route, body))


@settings(max_examples=200, deadline=None)
@given(route=st.sampled_from(ROUTES), document=documents, usage=usages | values)
def test_any_json_is_a_body_and_an_event(route: Route, document: dict[str, Any], usage: Any) -> None:
    body = json.dumps({**document, "usage": usage, "usageMetadata": usage}).encode()
    check(read_body(route, body))
    check(read_body(route, b"[" + body + b"," + body + b"]"))

    reader = StreamReader(route)
    reader.feed(b"data: " + body + b"\n\n")
    reader.feed(b"data: " + json.dumps({**document, "response": {"usage": usage}}).encode() + b"\n\n")
    check(reader.observation())


@settings(max_examples=200, deadline=None)
@given(route=st.sampled_from(ROUTES), usage=usages)
def test_no_number_is_invented(route: Route, usage: dict[str, Any]) -> None:
    found = read_body(route, json.dumps({"usage": usage, "usageMetadata": usage}).encode())
    told = list(integers(usage))

    for item in filter(None, [found.usage, *(iteration.usage for iteration in found.iterations)]):
        assert all(value is None or value <= sum(map(abs, told)) for value in counts(item))
        # A charge in minutes is a sixtieth of what was told, rounded.
        assert all(quantity <= sum(map(abs, told)) + 1 for quantity in item.charges.values())


@settings(max_examples=200, deadline=None)
@given(
    prompt=st.integers(0, 10**6),
    cached=st.integers(0, 10**6),
    written=st.integers(0, 10**6),
    audio=st.integers(0, 10**6),
    image=st.integers(0, 10**6),
    output=st.integers(0, 10**6),
    reasoning=st.integers(0, 10**6),
    spoken=st.integers(0, 10**6),
)
def test_the_buckets_are_disjoint_and_sum_to_the_total(
    prompt: int, cached: int, written: int, audio: int, image: int, output: int, reasoning: int, spoken: int
) -> None:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": written,
            "audio_tokens": audio,
            "image_tokens": image,
        },
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken},
    }
    found = read_body(CHAT, json.dumps({"usage": usage}).encode()).usage

    fits = cached + written <= prompt and audio + image <= prompt and reasoning + spoken <= output
    assert (found is not None) is fits
    if found is not None:
        assert found.counted_tokens == found.total_tokens
        assert sum(found.quantities().values()) == Decimal(prompt + output)


@settings(max_examples=200, deadline=None)
@given(
    prompt=st.integers(0, 10**6),
    cached=st.integers(0, 10**6),
    audio=st.integers(0, 10**6),
    image=st.integers(0, 10**6),
    candidates=st.integers(0, 10**6),
    drawn=st.integers(0, 10**6),
    thoughts=st.integers(0, 10**6),
    tools=st.integers(0, 10**6),
)
def test_geminis_buckets_are_disjoint_and_sum_to_the_total(
    prompt: int, cached: int, audio: int, image: int, candidates: int, drawn: int, thoughts: int, tools: int
) -> None:
    usage = {
        "promptTokenCount": prompt,
        "cachedContentTokenCount": cached,
        "promptTokensDetails": [
            {"modality": "AUDIO", "tokenCount": audio},
            {"modality": "IMAGE", "tokenCount": image},
        ],
        "candidatesTokenCount": candidates,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": drawn}],
        "thoughtsTokenCount": thoughts,
        "toolUsePromptTokenCount": tools,
        "totalTokenCount": prompt + candidates + thoughts + tools,
    }
    found = read_body(GEMINI, json.dumps({"usageMetadata": usage}).encode()).usage

    fits = cached <= prompt and audio + image <= prompt and drawn <= candidates
    assert (found is not None) is fits
    if found is not None:
        assert found.counted_tokens == found.total_tokens
        assert sum(found.quantities().values()) == Decimal(usage["totalTokenCount"])  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), route=st.sampled_from(ROUTES), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_a_stream_reads_the_same_in_any_split(data: st.DataObject, route: Route, end: bytes) -> None:
    lines = st.one_of(
        documents.map(lambda document: b"data: " + json.dumps(document).encode()),
        usages.map(lambda usage: b"data: " + json.dumps({"choices": [], "usage": usage}).encode()),
        usages.map(
            lambda usage: (
                b"data: "
                + json.dumps({"usageMetadata": usage, "candidates": [{"finishReason": "STOP"}]}).encode()
            )
        ),
        st.sampled_from(WORDS).map(lambda word: b"event: " + word.encode()),
        st.sampled_from(WORDS).map(lambda word: b'data: {"type": "' + word.encode() + b'"}'),
        st.sampled_from([b"", b"", b"", b": comment", b"data: [DONE]", b"data", b"id: 1", b"data: {oops"]),
        st.text('ö€😀 x{}"', max_size=6).map(lambda text: b"data: " + text.encode()),
    )
    text = end.join(data.draw(st.lists(lines, max_size=25)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    whole, parts, single = StreamReader(route), StreamReader(route), StreamReader(route)
    whole.feed(text)
    for begin, stop in zip([0, *cuts], [*cuts, len(text)], strict=True):
        parts.feed(text[begin:stop])
    for byte in text:
        single.feed(bytes([byte]))

    found = whole.observation()
    check(found)
    for other in (parts, single):
        assert other.observation() == found
        assert (other.finished, other.failed) == (whole.finished, whole.failed)
        assert (other.saw_output, other.answered) == (whole.saw_output, whole.answered)


@settings(max_examples=200, deadline=None)
@given(method=st.text(max_size=6), host=st.text(max_size=20), path=st.text(max_size=40))
def test_any_request_has_a_route(method: str, host: str, path: str) -> None:
    route = find_route(method, host, path)

    assert route.billing in ("usage", "no_usage", "free", "unknown")


@settings(max_examples=60, deadline=None)
@given(route=st.sampled_from(ROUTES), body=st.none() | documents)
def test_any_request_body_tells_facts(route: Route, body: dict[str, Any] | None) -> None:
    facts = read_request(route, body)

    assert facts.model is None or isinstance(facts.model, str)
    assert isinstance(facts.stream, bool)


@given(text=st.text(max_size=80))
def test_a_mode_is_normalised_once(text: str) -> None:
    mode = normalise_mode(text)

    assert normalise_mode(mode) == mode
    assert mode is None or len(mode) <= 64
