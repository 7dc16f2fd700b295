"""Amazon Bedrock: frames, Converse, and InvokeModel's answers in the models' own formats."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flask_llm_cost.providers import StreamReader
from flask_llm_cost.providers import find_route
from flask_llm_cost.providers import read_body
from flask_llm_cost.providers import read_request
from tests.amazon_frames import STREAM_HEADERS
from tests.amazon_frames import chunk
from tests.amazon_frames import event
from tests.amazon_frames import exception
from tests.amazon_frames import frame
from tests.providers.streams import read
from tests.providers.streams import told

HOST = "bedrock-runtime.eu-west-1.amazonaws.com"
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
CONVERSE = find_route("POST", HOST, "/model/amazon.nova-lite-v1%3A0/converse")
CONVERSE_STREAM = find_route("POST", HOST, "/model/amazon.nova-lite-v1%3A0/converse-stream")
INVOKE = find_route("POST", HOST, f"/model/{CLAUDE}/invoke")
INVOKE_STREAM = find_route("POST", HOST, f"/model/{CLAUDE}/invoke-with-response-stream")

USAGE = {
    "inputTokens": 30,
    "outputTokens": 12,
    "totalTokens": 942,
    "cacheReadInputTokens": 200,
    "cacheWriteInputTokens": 700,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 600}, {"ttl": "5m", "inputTokens": 100}],
}
COUNTED = {
    "input_tokens": 30,
    "cache_read_input_tokens": 200,
    "cache_write_input_tokens": 100,
    "cache_write_extended_input_tokens": 600,
    "output_tokens": 12,
    "total_tokens": 942,
}
MESSAGE_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_bdrk_pier",
            "model": "claude-sonnet-4-5-20250929",
            "usage": {"input_tokens": 30, "cache_read_input_tokens": 200, "output_tokens": 1},
        },
    },
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "open"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 12}},
    {
        "type": "message_stop",
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 30, "outputTokenCount": 12},
    },
]


@pytest.mark.parametrize(
    ("path", "operation", "model", "stream"),
    [
        ("/model/amazon.nova-lite-v1%3A0/converse", "chat", "amazon.nova-lite-v1:0", False),
        (f"/model/{CLAUDE}/converse-stream", "chat", CLAUDE, True),
        (f"/model/{CLAUDE}/invoke", "completions", CLAUDE, False),
        ("/model/amazon.titan-embed-text-v2:0/invoke", "embeddings", "amazon.titan-embed-text-v2:0", False),
        (
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.amazon.nova-lite-v1%3A0/converse",
            "chat",
            "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-lite-v1:0",
            False,
        ),
    ],
)
def test_the_model_is_named_in_the_path(path: str, operation: str, model: str, stream: bool) -> None:
    route = find_route("POST", HOST, path)
    facts = read_request(route, {"model": "other"})

    assert (route.provider, route.operation, route.billing) == ("bedrock", operation, "usage")
    assert (facts.model, facts.stream) == (model, stream)


def test_counting_tokens_is_free() -> None:
    assert find_route("POST", HOST, f"/model/{CLAUDE}/count-tokens").billing == "free"


def test_converse_leaves_both_kinds_of_cache_out_of_its_input() -> None:
    found = read(CONVERSE, {"output": {}, "stopReason": "end_turn", "usage": USAGE})

    assert told(found.usage) == COUNTED
    assert found.usage is not None
    assert found.usage.counted_tokens == 942
    assert (found.mode_told, found.pricing_mode) == (False, None)


@pytest.mark.parametrize(
    ("answer", "mode"),
    [
        ({"serviceTier": {"type": "priority"}}, "priority"),
        ({"serviceTier": {"type": "default"}}, None),
        ({"serviceTier": {"type": "flex"}, "performanceConfig": {"latency": "standard"}}, "flex"),
        ({"performanceConfig": {"latency": "optimized"}}, "optimized"),
    ],
)
def test_converse_tells_the_tier_that_served(answer: dict[str, Any], mode: str | None) -> None:
    found = read(CONVERSE, {"usage": USAGE, **answer})

    assert (found.mode_told, found.pricing_mode) == (True, mode)


def test_writes_without_details_live_five_minutes() -> None:
    usage = {**USAGE, "cacheDetails": []}

    assert told(read(CONVERSE, {"usage": usage}).usage)["cache_write_input_tokens"] == 700


@pytest.mark.parametrize(
    "change",
    [
        {"inputTokens": -1},
        {"inputTokens": None},
        {"outputTokens": "12"},
        {"cacheDetails": {"ttl": "1h"}},
        {"cacheDetails": [{"ttl": "1h", "inputTokens": 701}]},
    ],
)
def test_numbers_that_cannot_be_are_no_usage(change: dict[str, Any]) -> None:
    found = read(CONVERSE, {"usage": {**USAGE, **change}})

    assert found.usage is None
    assert found.problems


def framed(route: Any, *frames: bytes) -> StreamReader:
    reader = StreamReader(route, headers=STREAM_HEADERS)
    for item in frames:
        reader.feed(item)
    return reader


def test_a_converse_stream_tells_its_usage_last() -> None:
    begin = [
        event("messageStart", {"role": "assistant"}),
        event("contentBlockDelta", {"delta": {"text": "open"}, "contentBlockIndex": 0}),
        event("messageStop", {"stopReason": "end_turn"}),
    ]
    reader = framed(CONVERSE_STREAM, *begin)
    assert (reader.finished, reader.saw_output, reader.must_say_so) == (False, True, True)
    reader.feed(event("metadata", {"usage": USAGE, "metrics": {}, "serviceTier": {"type": "flex"}}))
    found = reader.observation()

    assert reader.finished
    assert (told(found.usage), found.pricing_mode, found.usage_source) == (COUNTED, "flex", "stream")


def test_an_exception_in_a_stream_is_an_error_of_its_class() -> None:
    reader = framed(CONVERSE_STREAM, event("messageStart", {}), exception("throttlingException", "secret"))

    assert reader.failed
    assert reader.observation().error_type == "throttlingException"


def test_claudes_events_are_read_out_of_their_chunks() -> None:
    reader = framed(INVOKE_STREAM, *map(chunk, MESSAGE_EVENTS))
    found = reader.observation()

    assert (reader.finished, reader.saw_output) == (True, True)
    assert told(found.usage) == {"input_tokens": 30, "cache_read_input_tokens": 200, "output_tokens": 12}
    assert (found.provider_response_id, found.problems) == ("msg_bdrk_pier", ())


def test_other_models_chunks_are_counted_by_their_metrics() -> None:
    metrics = {"inputTokenCount": 30, "outputTokenCount": 12, "cacheReadInputTokenCount": 5}
    reader = framed(
        INVOKE_STREAM,
        chunk({"generation": "open"}),
        chunk({"generation": "", "amazon-bedrock-invocationMetrics": metrics}),
    )

    assert reader.finished
    assert told(reader.observation().usage) == {
        "input_tokens": 30,
        "cache_read_input_tokens": 5,
        "output_tokens": 12,
    }


def test_a_stream_left_before_its_last_chunk_has_told_nothing() -> None:
    reader = framed(INVOKE_STREAM, *map(chunk, MESSAGE_EVENTS[:2]))

    assert reader.observation().usage is None
    assert not reader.answered


COUNT_HEADERS = {
    "x-amzn-bedrock-input-token-count": "30",
    "x-amzn-bedrock-output-token-count": "12",
    "x-amzn-bedrock-cache-read-input-token-count": "200",
}


def test_an_invoked_model_is_counted_in_the_headers() -> None:
    found = read_body(INVOKE, b'{"generation": "open", "prompt_token_count": 9}', COUNT_HEADERS)

    assert told(found.usage) == {"input_tokens": 30, "cache_read_input_tokens": 200, "output_tokens": 12}


def test_claudes_own_usage_says_more_than_the_headers() -> None:
    usage = {"input_tokens": 30, "cache_creation_input_tokens": 8, "output_tokens": 12}
    body = {"type": "message", "id": "msg_bdrk_pier", "usage": usage}
    found = read_body(INVOKE, json.dumps(body).encode(), COUNT_HEADERS)

    assert told(found.usage) == {"input_tokens": 30, "cache_write_input_tokens": 8, "output_tokens": 12}


def test_novas_usage_is_like_that_of_converse() -> None:
    found = read(INVOKE, {"output": {}, "usage": USAGE})

    assert told(found.usage) == COUNTED


@pytest.mark.parametrize("value", ["", "-1", "1.5", "many", "9" * 13, "²"])
def test_a_header_that_is_no_count_tells_nothing(value: str) -> None:
    found = read_body(INVOKE, b"{}", {"x-amzn-bedrock-input-token-count": value})

    assert found.usage is None


@pytest.mark.parametrize("size", [1, 3, 7, 50, 1000])
def test_frames_are_read_in_any_split(size: int) -> None:
    data = b"".join(map(chunk, MESSAGE_EVENTS))
    reader = framed(INVOKE_STREAM, *(data[at : at + size] for at in range(0, len(data), size)))

    assert reader.finished
    assert told(reader.observation().usage)["output_tokens"] == 12


def test_a_frame_that_fails_its_checksum_is_left_out_and_noted() -> None:
    bad = bytearray(chunk(MESSAGE_EVENTS[1]))
    bad[-6] ^= 1
    reader = framed(INVOKE_STREAM, chunk(MESSAGE_EVENTS[0]), bytes(bad), *map(chunk, MESSAGE_EVENTS[2:]))
    found = reader.observation()

    assert told(found.usage)["output_tokens"] == 12
    assert found.problems == ("stream: a frame is corrupt",)


def test_a_broken_prelude_ends_the_reading() -> None:
    bad = bytearray(chunk(MESSAGE_EVENTS[1]))
    bad[0] ^= 0x40
    reader = framed(INVOKE_STREAM, bytes(bad), *map(chunk, MESSAGE_EVENTS))
    found = reader.observation()

    assert (found.usage, found.problems) == (None, ("stream: a frame is corrupt",))


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"bytes": 5}', b'{"bytes": "***"}'])
def test_a_chunk_without_an_event_is_noted(payload: bytes) -> None:
    reader = framed(INVOKE_STREAM, frame(payload, {":event-type": "chunk", ":message-type": "event"}))
    found = reader.observation()

    assert found.usage is None
    assert len(found.problems) == 1


def test_a_frame_longer_than_the_limit_is_skipped_without_being_held() -> None:
    reader = StreamReader(INVOKE_STREAM, limit=2_000, headers=STREAM_HEADERS)
    long = chunk({"type": "content_block_delta", "delta": {"text": "x" * 50_000}})
    for at in range(0, len(long), 100):
        reader.feed(long[at : at + 100])
        assert len(reader._decoder._held) <= 2_100  # type: ignore[union-attr]
    for item in MESSAGE_EVENTS:
        reader.feed(chunk(item))
    found = reader.observation()

    assert told(found.usage)["output_tokens"] == 12
    assert found.problems == ("stream: an event was too long to be read",)
