"""boto3's bedrock-runtime, which sends through pools of urllib3: each request is one row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.amazon_frames import STREAM_HEADERS
from tests.amazon_frames import chunks
from tests.amazon_frames import event
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.loopback import LoopbackProvider

CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
USED = {"inputTokens": 100, "outputTokens": 48, "totalTokens": 148}
TALK: Any = [{"role": "user", "content": [{"text": "Is the quay open?"}]}]
ASK = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": []})


@pytest.fixture
def app(make_app: MakeApp) -> TrackedApp:
    hosts = {"127.0.0.1": "bedrock"}
    return make_app(config={"LLM_COST_INSTRUMENT": ["http"], "LLM_COST_PROVIDER_HOSTS": hosts})


@pytest.fixture
def client(provider: LoopbackProvider) -> Iterator[Any]:
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "k", "region_name": "eu-west-1"}
    made = boto3.client("bedrock-runtime", endpoint_url=provider.url, **keys)  # type: ignore[call-overload]
    yield made
    made.close()


def recorded(app: TrackedApp) -> tuple[object, ...]:
    found = app.event
    return (found.provider, found.model, found.status, found.input_tokens, found.output_tokens)


FULLY = ("bedrock", CLAUDE, "ok", 100, 48)


def test_a_conversation_is_one_row(app: TrackedApp, provider: LoopbackProvider, client: Any) -> None:
    said = {"message": {"role": "assistant", "content": [{"text": "Open."}]}}
    provider.answer({"output": said, "stopReason": "end_turn", "usage": USED, "metrics": {"latencyMs": 7}})
    assert client.converse(modelId=CLAUDE, messages=TALK)["usage"] == USED
    assert recorded(app) == FULLY


def test_a_streamed_conversation_is_one_row(app: TrackedApp, provider: LoopbackProvider, client: Any) -> None:
    delta = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Open."}})
    pieces = [
        event("messageStart", {"role": "assistant"}),
        *[delta] * 20,
        event("messageStop", {"stopReason": "end_turn"}),
        event("metadata", {"usage": USED, "metrics": {"latencyMs": 7}}),
    ]
    provider.stream(pieces, headers=STREAM_HEADERS)
    events = list(client.converse_stream(modelId=CLAUDE, messages=TALK)["stream"])
    assert len(events) == len(pieces)
    assert recorded(app) == FULLY
    assert app.event.stream


def test_a_models_own_answer_is_one_row(app: TrackedApp, provider: LoopbackProvider, client: Any) -> None:
    provider.answer({"id": "msg_1", "type": "message", "usage": {"input_tokens": 100, "output_tokens": 48}})
    body = client.invoke_model(modelId=CLAUDE, body=ASK)["body"]
    assert json.loads(body.read())["id"] == "msg_1"
    assert recorded(app) == FULLY


def test_a_models_own_stream_is_one_row(app: TrackedApp, provider: LoopbackProvider, client: Any) -> None:
    told: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 100}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Open."}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 48}},
        {"type": "message_stop"},
    ]
    provider.stream(chunks(told), headers=STREAM_HEADERS)
    answer = client.invoke_model_with_response_stream(modelId=CLAUDE, body=ASK)
    assert len(list(answer["body"])) == len(told)
    assert recorded(app) == FULLY


def test_a_stream_that_is_left_is_aborted(app: TrackedApp, provider: LoopbackProvider, client: Any) -> None:
    piece = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Open."}})
    provider.stream([piece] * 4, headers=STREAM_HEADERS, hold_after=2)
    stream = client.converse_stream(modelId=CLAUDE, messages=TALK)["stream"]
    next(iter(stream))
    stream.close()
    assert (app.event.status, app.event.cost_status) == ("aborted", "unknown")


def test_botocores_own_retries_are_requests(app: TrackedApp, provider: LoopbackProvider, client: Any) -> None:
    provider.fail(500)
    said = {"message": {"role": "assistant", "content": [{"text": "Open."}]}}
    provider.answer({"output": said, "stopReason": "end_turn", "usage": USED, "metrics": {"latencyMs": 7}})
    client.converse(modelId=CLAUDE, messages=TALK)
    assert [event.status for event in app.events] == ["error", "ok"]
