"""Whatever a provider, a proxy or a broken wire sends: nothing is raised, and no number is invented.

``make fuzz`` runs the same tests with more than 100,000 cases, and says how many they were.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flask_llm_cost.events import Attribution
from flask_llm_cost.events import CallStart
from flask_llm_cost.events import Observation
from flask_llm_cost.events import OpenCall
from flask_llm_cost.journal import decode
from flask_llm_cost.journal import encode_sighting
from flask_llm_cost.providers import Answer
from flask_llm_cost.providers import Route
from flask_llm_cost.providers import Sighting
from flask_llm_cost.providers import StreamReader
from flask_llm_cost.providers import completed
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import normalise_mode
from flask_llm_cost.providers import read_body
from flask_llm_cost.providers import read_request
from flask_llm_cost.providers import take_body
from flask_llm_cost.providers import without_billed
from flask_llm_cost.providers.bedrock import HEADERS
from flask_llm_cost.providers.jsontext import read_object
from flask_llm_cost.providers.reading import Excerpt
from flask_llm_cost.providers.reading import read_document
from flask_llm_cost.providers.registry import BUILT_IN
from flask_llm_cost.providers.registry import READERS
from flask_llm_cost.providers.registry import reader_class
from flask_llm_cost.usage import TOKEN_FIELDS
from flask_llm_cost.usage import Usage
from tests.amazon_frames import STREAM_HEADERS
from tests.amazon_frames import chunk
from tests.amazon_frames import event
from tests.amazon_frames import exception
from tests.amazon_frames import frame
from tests.providers.fuzzing import fuzz
from tests.providers.fuzzing import on_each
from tests.providers.streams import CHAT
from tests.providers.streams import EMBEDDINGS
from tests.providers.streams import GEMINI
from tests.providers.streams import MESSAGES
from tests.providers.streams import OPENROUTER
from tests.providers.streams import RESPONSES
from tests.providers.streams import XAI

GOOGLE = "generativelanguage.googleapis.com"
BEDROCK = "bedrock-runtime.us-east-1.amazonaws.com"
#: One route per reader, and further ones where a reader decides by provider, operation or model.
PLACES = [
    ("api.openai.com", "/v1/images/generations"),
    ("api.openai.com", "/v1/audio/transcriptions"),
    ("api.openai.com", "/v1/audio/speech"),
    ("api.openai.com", "/v1/videos"),
    ("api.openai.com", "/v1/containers"),
    ("api.openai.com", "/v1/novelties"),
    ("api.groq.com", "/openai/v1/audio/transcriptions"),
    ("api.x.ai", "/v1/images/generations"),
    ("openrouter.ai", "/api/v1/messages"),
    ("api.perplexity.ai", "/chat/completions"),
    ("api.mistral.ai", "/v1/chat/completions"),
    ("api.mistral.ai", "/v1/audio/transcriptions"),
    ("api.mistral.ai", "/v1/ocr"),
    ("api.cohere.com", "/v2/chat"),
    ("api.cohere.com", "/v2/embed"),
    ("api.cohere.com", "/v1/rerank"),
    ("api.voyageai.com", "/v1/multimodalembeddings"),
    ("api.voyageai.com", "/v1/rerank"),
    (BEDROCK, "/model/quay/converse"),
    (BEDROCK, "/model/quay/invoke"),
    (BEDROCK, "/model/quay-embed/invoke-with-response-stream"),
    (GOOGLE, "/v1beta/models/m:embedContent"),
    (GOOGLE, "/v1beta/models/imagen:predict"),
    (GOOGLE, "/v1beta/models/text-embedding:predict"),
    (GOOGLE, "/v1beta/models/gemini-embedding:predict"),
    (GOOGLE, "/v1beta/models/veo:predictLongRunning"),
    (GOOGLE, "/v1beta/models/gemini:newVerb"),
    (GOOGLE, "/v1beta/interactions"),
]
ROUTES = [CHAT, EMBEDDINGS, RESPONSES, MESSAGES, OPENROUTER, XAI, GEMINI]
ROUTES += [find_route("POST", host, path) for host, path in PLACES]


#: Where the objects that hold numbers stand in the answers of one format or another.
PLACES_OF_USAGE = ("usage", "usageMetadata", "usage_info", "meta", "metadata", "tool_usage")


def test_every_reader_is_thrown_something() -> None:
    own = {reader for provider in BUILT_IN.values() for reader in provider.readers.values()}
    thrown = {reader_class(route.provider, route.protocol) for route in ROUTES}
    assert thrown == {*READERS.values(), *own}


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
    "modality", "tokenCount", "serviceTier", "trafficType", "groundingChunks", "maps", "memory_limit", "size",
    "data", "duration", "seconds", "prompt_audio_seconds", "citation_tokens", "num_search_queries",
    "inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens",
    "cacheDetails", "ttl", "performanceConfig", "latency", "metadata", "amazon-bedrock-invocationMetrics",
    "inputTokenCount", "outputTokenCount", "cacheReadInputTokenCount", "cacheWriteInputTokenCount",
    "usage_info", "pages_processed", "meta", "billed_units", "search_units", "images", "event_type",
    "finish_reason", "text_tokens", "image_pixels", "video_pixels", "predictions", "embeddings",
    "statistics", "token_count", "billableCharacterCount", "bytesBase64Encoded", "n", "quality", "input",
    "parameters", "sampleCount", "durationSeconds", "resolution", "generateAudio", "bytes",
]  # fmt: skip
WORDS = [
    "error", "response.completed", "response.failed", "response.created", "response.incomplete",
    "message_start", "message_delta", "message_stop", "content_block_delta", "compaction", "message",
    "web_search_call", "search", "code_interpreter_call", "completed", "failed", "queued", "duration",
    "tokens", "us", "fast", "priority", "flex", "image_generation", "response.output_text.delta",
    "AUDIO", "IMAGE", "TEXT", "STOP", "ON_DEMAND_FLEX", "standard", "message-end", "stream-end",
    "content-delta", "text-generation", "image_generation_call", "shell_call", "1h", "5m", "optimized",
    "1024x1792", "hd", "4g", "8", "12.5",
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
    assert not any(problem.endswith("Error") for problem in found.problems), found.problems  # a reader raised
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
    elif isinstance(value, str) and value.replace(".", "", 1).isdecimal():
        yield int(float(value))  # a video's seconds


def pieces(value: object) -> int:
    """How many things lie in lists: what is billed by the piece, such as images and containers."""
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return (len(items) if isinstance(value, list) else 0) + sum(map(pieces, items))


@fuzz(50)
@given(body=st.binary(max_size=200))
@on_each(ROUTES)
def test_any_bytes_are_a_body(route: Route, body: bytes) -> None:
    check(read_body(route, body))


@fuzz(60)
@given(document=documents, usage=usages | values)
@on_each(ROUTES)
def test_any_json_is_a_body_and_an_event(route: Route, document: dict[str, Any], usage: Any) -> None:
    body = json.dumps({**document, "usage": usage, "usageMetadata": usage}).encode()
    check(read_body(route, body))
    check(read_body(route, b"[" + body + b"," + body + b"]"))

    reader = StreamReader(route)
    reader.feed(b"data: " + body + b"\n\n")
    reader.feed(b"data: " + json.dumps({**document, "response": {"usage": usage}}).encode() + b"\n\n")
    check(reader.observation())


@fuzz(60)
@given(document=documents, usage=usages | values)
@on_each(ROUTES)
def test_an_answer_that_is_kept_says_later_what_it_says_now(
    route: Route, document: dict[str, Any], usage: Any
) -> None:
    body = json.dumps({**document, **dict.fromkeys(PLACES_OF_USAGE, usage)}).encode()
    reader = StreamReader(route)
    reader.feed(b"data: " + body + b"\n\n")
    reader.feed(b"data: " + json.dumps({**document, "response": {"usage": usage}}).encode() + b"\n\n")

    for answer in (take_body(route, body), reader.answer()):
        if told := record(route, answer):
            again = decode(told.encode())
            assert isinstance(again, Sighting)
            assert isinstance(again.answer, Answer)
            assert again.answer.observation() == answer.observation()


@fuzz(60)
@given(document=documents, usage=usages | values, rest=st.dictionaries(st.sampled_from(KEYS), values))
@on_each(ROUTES)
def test_an_excerpt_says_what_the_whole_answer_says(
    route: Route, document: dict[str, Any], usage: Any, rest: dict[str, Any]
) -> None:
    ordinary = {"id": "a", "model": "m", "status": "completed", "output": [{"type": "message"}]}
    for told in (document, {**rest, **ordinary, **document}, {**ordinary, **rest}):
        body = json.dumps({**told, "usage": usage}).encode()
        answer = take_body(route, body)
        if isinstance(answer, Excerpt):
            whole = read_object(body, exact=route.provider in ("openrouter", "perplexity"))
            assert answer.observation() == read_document(route, whole, "response")


SECRET = "The harbour master's password is hunter2, and nobody may ever keep these words anywhere at all."


@fuzz(60)
@given(
    usage=usages,
    place=st.sampled_from(["usage", "usageMetadata"]),
    key=st.sampled_from(KEYS),
    error=st.sampled_from([None, {"message": SECRET}]),
)
@on_each(ROUTES)
def test_nobodys_words_are_kept(
    route: Route, usage: dict[str, Any], place: str, key: str, error: Any
) -> None:
    grounding = {"webSearchQueries": [SECRET], "groundingChunks": [{"web": {"title": SECRET}}]}
    told = {
        "id": "answer_1",
        "status": "completed",
        "choices": [{"message": {"content": SECRET}, "finish_reason": "stop"}],
        "content": [{"type": "text", "text": SECRET}],
        "output": [{"type": "message", "content": [{"text": SECRET}]}],
        "candidates": [{"content": {"parts": [{"text": SECRET}]}, "groundingMetadata": grounding}],
        "error": error,
    }

    def kept(usage: dict[str, Any]) -> str:
        return record(route, take_body(route, json.dumps({**told, place: usage}).encode()))

    assert SECRET not in kept(usage)
    for text in (SECRET, SECRET.replace("'", '"'), SECRET.replace("a", "\n"), SECRET.replace("a", "á")):
        assert "hunter2" not in kept({**usage, key: text})


def record(route: Route, answer: Answer) -> str:
    """What stands in the journal of an answer that is judged later; nothing where it is judged at once."""
    start = CallStart(route.provider, route.operation)
    call = OpenCall("id", "shop", datetime(2026, 3, 1, tzinfo=UTC), 0, start, Attribution())
    try:
        return (encode_sighting(Sighting(call, route, read_request(route, {}), answer)) or b"").decode()
    except (TypeError, ValueError):  # an amount, an endless number
        return ""


@fuzz(100)
@given(usage=usages, rest=documents)
@on_each(ROUTES)
def test_no_number_is_invented(route: Route, usage: dict[str, Any], rest: dict[str, Any]) -> None:
    document = {**rest, **dict.fromkeys(PLACES_OF_USAGE, usage)}
    found = read_body(route, json.dumps(document).encode())
    check(found)
    told = sum(map(abs, integers(document)))

    for item in filter(None, [found.usage, *(iteration.usage for iteration in found.iterations)]):
        assert all(value is None or value <= told for value in counts(item))
        # A charge in minutes is a sixtieth of what was told, rounded; a request or a container is one.
        most = told + pieces(document) + 1
        assert all(quantity <= most for quantity in item.charges.values())


@fuzz(40)
@given(document=documents)
@on_each(ROUTES)
def test_an_answer_without_a_number_tells_no_tokens(route: Route, document: dict[str, Any]) -> None:
    def wordy(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: wordy(item) for key, item in value.items()}
        if isinstance(value, list):
            return [wordy(item) for item in value]
        return "word" if isinstance(value, int | float | str) and not isinstance(value, bool) else value

    found = read_body(route, json.dumps(wordy(document)).encode())
    check(found)
    for item in filter(None, [found.usage, *(iteration.usage for iteration in found.iterations)]):
        assert not any(counts(item))


numbers = st.integers(0, 60).map(str) | st.text(max_size=6) | st.sampled_from(["-1", "1e9", "٣", "9" * 30])


@fuzz(30)
@given(
    headers=st.dictionaries(st.sampled_from([*HEADERS, "content-type", "x-other"]), numbers, max_size=5),
    document=documents,
)
@on_each(ROUTES)
def test_any_headers_come_with_a_body(
    route: Route, headers: dict[str, str], document: dict[str, Any]
) -> None:
    found = read_body(route, json.dumps(document).encode(), headers)
    check(found)
    check(StreamReader(route, headers=headers).observation())
    told = sum(map(abs, integers([document, *(value for value in headers.values())])))
    if found.usage is not None:
        assert all(value is None or value <= told for value in counts(found.usage))


@fuzz(150)
@given(data=st.data(), route=st.sampled_from(ROUTES))
def test_frames_are_read_the_same_in_any_split_however_broken(data: st.DataObject, route: Route) -> None:
    frames = st.one_of(
        documents.map(chunk),
        usages.map(lambda usage: chunk({"type": "message_delta", "usage": usage})),
        usages.map(lambda usage: event("metadata", {"usage": usage})),
        st.binary(max_size=40).map(lambda payload: frame(payload, {":event-type": "chunk"})),
        st.binary(max_size=40),
        st.sampled_from(WORDS).map(exception),
    )
    text = bytearray(b"".join(data.draw(st.lists(frames, max_size=6))))
    if text and data.draw(st.booleans()):
        text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    whole, parts = (StreamReader(route, limit=400, headers=STREAM_HEADERS) for _ in range(2))
    whole.feed(bytes(text))
    for begin, stop in zip([0, *cuts], [*cuts, len(text)], strict=True):
        parts.feed(bytes(text[begin:stop]))

    found = whole.observation()
    check(found)
    assert parts.observation() == found
    assert (parts.finished, parts.failed, parts.saw_output) == (
        whole.finished,
        whole.failed,
        whole.saw_output,
    )


@fuzz(40)
@given(body=documents, http_status=st.none() | st.integers(100, 599))
@on_each(ROUTES)
def test_any_request_completes_a_silent_answer(
    route: Route, body: dict[str, Any], http_status: int | None
) -> None:
    facts = read_request(route, body)
    found = completed(Observation(http_status=http_status), route, facts)

    check(found)
    assert found.usage is None or http_status in range(200, 300)
    assert facts.variant is None or len(facts.variant) <= 64
    told = sum(map(abs, integers(body)))
    texts = sum(len(value) for value in body.values() if isinstance(value, str))
    # So many videos of so many seconds are their product; one picture is asked for unless it says more.
    assert all(quantity <= max(1, told + texts) ** 2 for quantity in facts.charges.values())


@fuzz(50)
@given(answers=st.lists(st.lists(st.sampled_from("abcdef"), max_size=4, unique=True), max_size=8))
def test_every_container_is_billed_once(answers: list[list[str]]) -> None:
    billed: dict[str, object] = {}
    sessions = Decimal(0)
    for names in answers:
        items = [{"type": "code_interpreter_call", "container_id": name} for name in names]
        usage = {"input_tokens": 1, "output_tokens": 1}
        found = read_body(RESPONSES, json.dumps({"output": items, "usage": usage}).encode())
        found = without_billed(found, billed)
        sessions += sum(item.usage.charges["container_session"] for item in found.iterations)
    assert sessions == len({name for names in answers for name in names})


@fuzz(150)
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


@fuzz(150)
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


@fuzz(150)
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


@fuzz(200)
@given(method=st.text(max_size=6), host=st.text(max_size=20), path=st.text(max_size=40))
def test_any_request_has_a_route(method: str, host: str, path: str) -> None:
    route = find_route(method, host, path)

    assert route.billing in ("usage", "no_usage", "free", "unknown")


@fuzz(20)
@given(body=st.none() | documents)
@on_each(ROUTES)
def test_any_request_body_tells_facts(route: Route, body: dict[str, Any] | None) -> None:
    facts = read_request(route, body)

    assert facts.model is None or isinstance(facts.model, str)
    assert isinstance(facts.stream, bool)


@fuzz(100)
@given(text=st.text(max_size=80))
def test_a_mode_is_normalised_once(text: str) -> None:
    mode = normalise_mode(text)

    assert normalise_mode(mode) == mode
    assert mode is None or len(mode) <= 64
