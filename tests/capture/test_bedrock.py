"""Anthropic's client for Amazon Bedrock, which streams in Amazon's frames, and Bedrock over plain HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest

from tests.amazon_frames import STREAM_HEADERS
from tests.amazon_frames import chunks
from tests.amazon_frames import event
from tests.amazon_frames import exception
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.loopback import LoopbackProvider
from tests.wire_formats import message

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ASK: Any = {
    "model": MODEL,
    "max_tokens": 16,
    "messages": [{"role": "user", "content": "Is the quay open?"}],
}
TOLD = {"input_tokens": 1_000_000, "cache_read_input_tokens": 20, "output_tokens": 1}
#: Claude calls itself by its plain name there.
ANSWERED = message("claude-sonnet-4-5-20250929", usage={**TOLD, "output_tokens": 48})
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": message("claude-sonnet-4-5-20250929", content=[], usage=TOLD)},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "open"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 48},
    },
    {
        "type": "message_stop",
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1_000_000, "outputTokenCount": 48},
    },
]
KEYS: Any = {"aws_region": "us-east-1", "aws_access_key": "quay", "aws_secret_key": "quay"}


@pytest.fixture
def client(provider: LoopbackProvider) -> Iterator[anthropic.AnthropicBedrock]:
    with anthropic.AnthropicBedrock(base_url=provider.url, max_retries=0, timeout=5, **KEYS) as client:
        yield client


def streamed(provider: LoopbackProvider, pieces: list[bytes], **how: Any) -> None:
    provider.stream(pieces, headers=STREAM_HEADERS, **how)


def check_told(app: TrackedApp, *, stream: bool) -> None:
    found = app.event
    assert (found.provider, found.operation, found.status, found.stream) == (
        "bedrock",
        "messages",
        "ok",
        stream,
    )
    assert (found.model, found.requested_model) == (MODEL, MODEL)
    assert (found.input_tokens, found.cache_read_input_tokens, found.output_tokens) == (1_000_000, 20, 48)
    assert found.cost_status == "complete"
    assert found.total_cost is not None
    # In one region Bedrock asks a tenth more than Anthropic's 3 USD per million.
    assert found.line_items[0].cost is not None
    assert f"{found.line_items[0].cost:.2f}" == "3.30"


def test_a_message_is_priced_by_the_model_that_was_asked(
    app: TrackedApp, provider: LoopbackProvider, client: anthropic.AnthropicBedrock
) -> None:
    provider.answer(ANSWERED)
    assert client.messages.create(**ASK).usage.output_tokens == 48
    assert provider.requests[0].path.endswith("/invoke")
    check_told(app, stream=False)


@pytest.mark.parametrize("split", [False, True], ids=["frame by frame", "in odd pieces"])
def test_a_stream_in_amazons_frames_is_read_along(
    app: TrackedApp, provider: LoopbackProvider, client: anthropic.AnthropicBedrock, split: bool
) -> None:
    pieces = chunks(EVENTS)
    data = b"".join(pieces)
    streamed(provider, [data[at : at + 77] for at in range(0, len(data), 77)] if split else pieces)
    events = list(client.messages.create(**ASK, stream=True))

    assert [item.type for item in events] == [item["type"] for item in EVENTS]
    check_told(app, stream=True)
    assert app.event.time_to_first_token_ms is not None


def test_a_stream_through_the_helper_is_read_along(
    app: TrackedApp, provider: LoopbackProvider, client: anthropic.AnthropicBedrock
) -> None:
    streamed(provider, chunks(EVENTS))
    with client.messages.stream(**ASK) as stream:
        assert stream.get_final_text() == "open"
    check_told(app, stream=True)


def test_an_async_stream_is_read_along(app: TrackedApp, provider: LoopbackProvider) -> None:
    streamed(provider, chunks(EVENTS))

    async def main() -> None:
        options = {"base_url": provider.url, "max_retries": 0, "timeout": 5, **KEYS}
        async with anthropic.AsyncAnthropicBedrock(**options) as client:
            stream = await client.messages.create(**ASK, stream=True)
            assert [item.type async for item in stream] == [item["type"] for item in EVENTS]

    asyncio.run(main())
    check_told(app, stream=True)


def test_a_stream_left_early_is_aborted_and_unknown(
    app: TrackedApp, provider: LoopbackProvider, client: anthropic.AnthropicBedrock
) -> None:
    streamed(provider, chunks(EVENTS), hold_after=3)
    with client.messages.create(**ASK, stream=True) as stream:
        next(iter(stream))
    provider.release()
    assert (app.event.status, app.event.usage_source, app.event.total_cost) == ("aborted", "unknown", None)


def test_an_exception_frame_is_the_calls_error(
    app: TrackedApp, provider: LoopbackProvider, client: anthropic.AnthropicBedrock
) -> None:
    streamed(provider, [*chunks(EVENTS[:3]), exception("modelStreamErrorException")])
    with pytest.raises(anthropic.APIError):
        list(client.messages.create(**ASK, stream=True))
    assert (app.event.status, app.event.error_type) == ("error", "modelStreamErrorException")


def test_converse_over_plain_http_is_one_priced_call(make_app: MakeApp, provider: LoopbackProvider) -> None:
    app = make_app(config={"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "bedrock"}})
    usage = {"inputTokens": 1_000, "outputTokens": 500, "totalTokens": 1_500}
    provider.answer({"output": {}, "stopReason": "end_turn", "usage": usage})
    streamed(
        provider,
        [
            event("messageStart", {"role": "assistant"}),
            event("contentBlockDelta", {"delta": {"text": "open"}}),
            event("messageStop", {"stopReason": "end_turn"}),
            event("metadata", {"usage": usage}),
        ],
    )
    path = "/model/amazon.nova-lite-v1%3A0/converse"
    with httpx2.Client(transport=app.tracker.http_transport()) as client:
        client.post(provider.url + path, json={"messages": []})
        client.post(f"{provider.url}{path}-stream", json={"messages": []})

    for found in app.events:
        assert (found.provider, found.model) == ("bedrock", "amazon.nova-lite-v1:0")
        assert (found.input_tokens, found.output_tokens, found.cost_status) == (1_000, 500, "complete")
    assert [found.stream for found in app.events] == [False, True]


def test_boto3s_events_of_a_converse_stream_can_be_handed_to_track_stream(app: TrackedApp) -> None:
    usage = {"inputTokens": 1_000, "outputTokens": 500, "totalTokens": 1_500}
    with app.tracker.track_stream(provider="bedrock", model="amazon.nova-lite-v1:0") as stream:
        stream.event({"messageStart": {"role": "assistant"}})
        stream.event({"contentBlockDelta": {"delta": {"text": "open"}, "contentBlockIndex": 0}})
        stream.event({"messageStop": {"stopReason": "end_turn"}})
        stream.event({"metadata": {"usage": usage, "metrics": {"latencyMs": 900}}})

    found = app.event
    assert (found.operation, found.provider, found.model) == ("chat", "bedrock", "amazon.nova-lite-v1:0")
    assert (found.input_tokens, found.output_tokens, found.cost_status) == (1_000, 500, "complete")
    assert found.time_to_first_token_ms is not None
