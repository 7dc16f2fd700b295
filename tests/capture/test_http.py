"""Requests of plain HTTP clients: each one to a known provider is recorded once, and none is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.context import with_tags
from flask_llm_cost.errors import UnknownPricingError
from flask_llm_cost.extension import LLMCostTracker
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.capture.google_calls import quiet_aiohttp
from tests.capture.http_clients import ASK
from tests.capture.http_clients import CHAT
from tests.capture.http_clients import CLIENTS
from tests.capture.http_clients import STREAM
from tests.capture.http_clients import Client
from tests.capture.http_clients import Seen
from tests.loopback import LoopbackProvider
from tests.loopback import closed_port
from tests.wire_formats import chat_completion
from tests.wire_formats import chat_stream
from tests.wire_formats import message_stream
from tests.wire_formats import sse

LOCAL: dict[str, Any] = {"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "openai"}}

pytestmark = quiet_aiohttp


@pytest.fixture(params=CLIENTS, ids=repr)
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    return found


@pytest.fixture
def app(make_app: MakeApp, client: Client) -> TrackedApp:
    return make_app(config={**client.config, **LOCAL})


def test_a_whole_answer_is_recorded(app: TrackedApp, provider: LoopbackProvider, client: Client) -> None:
    provider.answer(chat_completion("gpt-quay-2"), headers={"openai-organization": "org-quay"})
    assert client.post(provider.url + CHAT, tracker=app.tracker, json=ASK).status == 200
    event = app.event
    assert (event.provider, event.operation, event.status) == ("openai", "chat", "ok")
    assert (event.model, event.requested_model) == ("gpt-quay-2", "gpt-quay")
    assert (event.input_tokens, event.output_tokens, event.usage_source) == (100, 48, "response")
    assert (event.http_status, event.attempts, event.stream) == (200, 1, False)
    assert (event.provider_account, event.provider_response_id) == ("org-quay", "chatcmpl-quay-1")
    assert event.latency_ms is not None


def test_a_streamed_answer_is_recorded(app: TrackedApp, provider: LoopbackProvider, client: Client) -> None:
    client.stream(provider.url + CHAT, tracker=app.tracker, json=STREAM)
    event = app.event
    assert (event.status, event.stream, event.usage_source) == ("ok", True, "stream")
    assert (event.input_tokens, event.output_tokens) == (100, 48)
    assert event.time_to_first_token_ms is not None


def test_another_wire_format_is_read(app: TrackedApp, provider: LoopbackProvider, client: Client) -> None:
    provider.stream(message_stream("claude-pier"))
    body = {"model": "claude-pier", "max_tokens": 64, "stream": True, "messages": ASK["messages"]}
    client.stream(f"{provider.url}/v1/messages", tracker=app.tracker, json=body)
    assert (app.event.operation, app.event.model, app.event.output_tokens) == ("messages", "claude-pier", 48)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_compressed_answer_is_read(
    app: TrackedApp, provider: LoopbackProvider, client: Client, streamed: bool
) -> None:
    if streamed:
        provider.stream(chat_stream("gpt-quay"), gzip=True)
        seen = client.stream(provider.url + CHAT, tracker=app.tracker, json=STREAM)
        assert seen.body == b"".join(chat_stream("gpt-quay"))
    else:
        provider.answer(chat_completion("gpt-quay"), gzip=True)
        seen = client.post(provider.url + CHAT, tracker=app.tracker, json=ASK)
        assert json.loads(seen.body) == chat_completion("gpt-quay")
    assert (app.event.status, app.event.input_tokens, app.event.output_tokens) == ("ok", 100, 48)


def test_an_answer_that_cannot_be_unpacked_is_an_error(
    app: TrackedApp, provider: LoopbackProvider, client: Client
) -> None:
    provider.answer(b"no gzip at all", headers={"content-encoding": "gzip"})
    with pytest.raises(client.decoding_error):
        client.post(provider.url + CHAT, tracker=app.tracker, json=ASK)
    assert (app.event.status, app.event.cost_status) == ("error", "unknown")
    assert app.event.error_type == client.recorded_as(client.decoding_error, "decoding")


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
def test_a_refusal_is_recorded_and_free(
    app: TrackedApp, provider: LoopbackProvider, client: Client, status: int
) -> None:
    provider.fail(status)
    assert client.post(provider.url + CHAT, tracker=app.tracker, json=ASK).status == status
    event = app.event
    assert (event.status, event.http_status, event.cost_status) == ("error", status, "free")
    names = {429: "too_many_requests", 529: "http_error"}
    assert event.error_type == names.get(status, event.error_type)


def test_every_try_is_a_call(app: TrackedApp, provider: LoopbackProvider, client: Client) -> None:
    provider.fail(503, times=2)
    while client.post(provider.url + CHAT, tracker=app.tracker, json=ASK).status != 200:
        continue
    assert [(event.status, event.attempts) for event in app.events] == [("error", 1), ("error", 1), ("ok", 1)]


def test_a_redirection_is_no_call(app: TrackedApp, provider: LoopbackProvider, client: Client) -> None:
    provider.answer(b"", status=307, headers={"location": CHAT})
    more = {"follow_redirects": True} if "httpx" in client.name else {}
    assert (
        client.post(f"{provider.url}/chat/completions", tracker=app.tracker, json=ASK, **more).status == 200
    )
    assert app.event.http_status == 200


def test_a_connection_that_fails_is_recorded_as_unknown(app: TrackedApp, client: Client) -> None:
    with pytest.raises(client.connect_error):
        client.post(f"http://127.0.0.1:{closed_port()}{CHAT}", tracker=app.tracker, json=ASK)
    event = app.event
    assert (event.status, event.cost_status, event.total_cost) == ("error", "unknown", None)
    assert (event.model, event.http_status) == ("gpt-quay", None)
    assert event.error_type == client.recorded_as(client.connect_error, "connect")


def test_a_timeout_before_the_answer_is_recorded(
    app: TrackedApp, provider: LoopbackProvider, client: Client
) -> None:
    provider.answer(chat_completion("gpt-quay"), delay=5)
    with pytest.raises(client.timeout_errors[0]):
        client.post(provider.url + CHAT, tracker=app.tracker, json=ASK, timeout=0.2)
    name = client.recorded_as(client.timeout_errors[0], "timeout before the answer")
    assert (app.event.status, app.event.error_type) == ("error", name)


def test_a_timeout_within_the_answer_is_recorded(
    app: TrackedApp, provider: LoopbackProvider, client: Client
) -> None:
    provider.stream(chat_stream("gpt-quay"), hold_after=3)
    with pytest.raises(client.timeout_errors[1]):
        client.stream(provider.url + CHAT, tracker=app.tracker, json=STREAM, timeout=0.2)
    name = client.recorded_as(client.timeout_errors[1], "timeout within the answer")
    assert (app.event.status, app.event.error_type) == ("error", name)
    assert (app.event.input_tokens, app.event.provider_response_id) == (None, "chatcmpl-quay-2")


def test_a_server_that_hangs_up_is_an_error(
    app: TrackedApp, provider: LoopbackProvider, client: Client
) -> None:
    provider.stream(chat_stream("gpt-quay"), cut_after=3)
    with pytest.raises(client.broken_error):
        client.stream(provider.url + CHAT, tracker=app.tracker, json=STREAM)
    name = client.recorded_as(client.broken_error, "broken")
    assert (app.event.status, app.event.error_type) == ("error", name)
    assert app.event.cost_status == "unknown"


def test_an_error_event_in_the_stream_is_an_error(
    app: TrackedApp, provider: LoopbackProvider, client: Client
) -> None:
    provider.stream(sse([{"error": {"message": "no such pier", "type": "server_error"}}]))
    client.stream(provider.url + CHAT, tracker=app.tracker, json=STREAM)
    assert (app.event.status, app.event.http_status) == ("error", 200)


def test_an_answer_left_early_is_aborted(app: TrackedApp, provider: LoopbackProvider, client: Client) -> None:
    provider.stream(chat_stream("gpt-quay"), pause=0.01)
    client.stream(provider.url + CHAT, tracker=app.tracker, json=STREAM, pieces=2)
    event = app.event
    assert (event.status, event.cost_status, event.total_cost) == ("aborted", "unknown", None)
    assert (event.model, event.provider_response_id) == ("gpt-quay", "chatcmpl-quay-2")


def test_a_stream_left_after_its_terminal_event_is_complete(
    app: TrackedApp, provider: LoopbackProvider, client: Client
) -> None:
    provider.stream([b"".join(chat_stream("gpt-quay")), b": bye\n\n"], pause=0.05)
    client.stream(provider.url + CHAT, tracker=app.tracker, json=STREAM, pieces=1)
    assert (app.event.status, app.event.output_tokens) == ("ok", 48)


def test_speech_is_no_json_and_is_as_long_as_the_request_says(
    app: TrackedApp, provider: LoopbackProvider, client: Client
) -> None:
    provider.answer(b"\xff\xfb" * 4096, headers={"content-type": "audio/mpeg"})
    asked = {"model": "tts-1", "input": "x" * 40, "voice": "quay"}
    client.post(f"{provider.url}/v1/audio/speech", tracker=app.tracker, json=asked)
    event = app.event
    assert (event.operation, event.model, event.usage_source) == ("speech", "tts-1", "estimated")
    (spoken,) = event.line_items
    assert (spoken.component, spoken.quantity) == ("text_to_speech_character", 40)
    assert (event.total_cost, event.cost_status) == (Decimal("0.0006"), "complete")


SOUND = b'RIFF; name="model"\r\n\r\nnone\r\n'
FORM: Any = {"data": {"model": "whisper-quay"}, "files": {"file": ("quay.wav", SOUND)}}


def test_the_model_of_a_multipart_request_is_read(
    app: TrackedApp, provider: LoopbackProvider, client: Client
) -> None:
    provider.answer({"text": "open", "usage": {"type": "duration", "seconds": 3}})
    client.post(f"{provider.url}/v1/audio/transcriptions", tracker=app.tracker, **FORM)
    assert (app.event.operation, app.event.model) == ("transcription", "whisper-quay")
    assert b'filename="quay.wav"' in provider.requests[0].body


def test_the_body_of_a_streamed_request_is_left_alone(
    app: TrackedApp, provider: LoopbackProvider, client: Client
) -> None:
    raw = json.dumps(STREAM).encode()

    def pieces() -> Any:
        yield raw[:10]
        yield raw[10:]

    async def async_pieces() -> Any:
        yield raw[:10]
        yield raw[10:]

    body = async_pieces() if "async" in client.name else pieces()
    provider.stream(chat_stream("gpt-quay"))
    headers = {"content-length": str(len(raw)), "content-type": "application/json"}
    client.stream(provider.url + CHAT, tracker=app.tracker, content=body, headers=headers)
    assert provider.requests[0].body == raw
    assert (app.event.model, app.event.requested_model) == ("gpt-quay", None)
    assert app.event.stream


SCENES: dict[str, Callable[[LoopbackProvider], None]] = {
    "whole": lambda provider: provider.answer(chat_completion("gpt-quay"), headers={"x-quay": "7"}),
    "gzip": lambda provider: provider.answer(chat_completion("gpt-quay"), gzip=True),
    "streamed": lambda provider: provider.stream(chat_stream("gpt-quay")),
    "streamed gzip": lambda provider: provider.stream(chat_stream("gpt-quay"), gzip=True),
    "refused": lambda provider: provider.fail(429),
    "redirected": lambda provider: provider.answer(b"", status=307, headers={"location": "/elsewhere"}),
    "empty": lambda provider: provider.answer(b""),
}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("way", ["post", "stream"])
def test_the_host_and_the_provider_see_the_same_with_us_and_without(
    make_app: MakeApp, provider: LoopbackProvider, client: Client, way: str, scene: str
) -> None:
    def ask(tracker: LLMCostTracker | None) -> Seen:
        SCENES[scene](provider)
        more = {} if "httpx" in client.name else {"allow_redirects": False}
        found: Seen = getattr(client, way)(provider.url + CHAT, tracker=tracker, json=ASK, **more)
        return found

    without = ask(None)
    app = make_app(config={**client.config, **LOCAL})
    seen = [without, ask(app.tracker)]
    assert seen[0] == seen[1]
    assert provider.requests[0] == provider.requests[1]
    assert len(app.events) == (scene != "redirected")


def test_an_unknown_host_passes_untouched(
    make_app: MakeApp, provider: LoopbackProvider, client: Client
) -> None:
    app = make_app(config=client.config)
    assert client.post(provider.url + CHAT, tracker=app.tracker, json=ASK).status == 200
    assert app.events == []


def test_a_hosts_provider_is_the_one_that_is_configured(
    make_app: MakeApp, provider: LoopbackProvider, client: Client
) -> None:
    app = make_app(
        config={**client.config, "LLM_COST_PROVIDER_HOSTS": {f"127.0.0.1:{provider.port}": "groq"}}
    )
    client.post(f"{provider.url}/gateway/v1/chat/completions?key=secret", tracker=app.tracker, json=ASK)
    assert (app.event.provider, app.event.operation) == ("groq", "chat")


@pytest.mark.parametrize("path", ["/v1/moderations", "/v1/files", "/v1/messages/count_tokens", "/v1/unheard"])
def test_a_request_that_costs_nothing_is_no_call(
    app: TrackedApp, provider: LoopbackProvider, client: Client, path: str
) -> None:
    provider.answer({"results": []})
    client.post(provider.url + path, tracker=app.tracker, json=ASK)
    assert app.events == []


def test_an_unknown_route_that_tells_usage_is_recorded(
    app: TrackedApp, provider: LoopbackProvider, client: Client
) -> None:
    provider.answer({"model": "m", "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}})
    client.post(f"{provider.url}/v1/unheard", tracker=app.tracker, json=ASK)
    assert (app.event.operation, app.event.input_tokens, app.event.output_tokens) == ("other", 3, 4)


def test_tags_are_those_of_the_moment_the_request_is_sent(
    app: TrackedApp, provider: LoopbackProvider, client: Client
) -> None:
    with with_tags(user=7, feature="quay"):
        client.stream(provider.url + CHAT, tracker=app.tracker, json=STREAM)
    assert (app.event.user_id, dict(app.event.tags)) == ("7", {"feature": "quay"})


def test_an_exception_that_the_host_asked_for_reaches_it(
    make_app: MakeApp, provider: LoopbackProvider, client: Client
) -> None:
    app = make_app(config={**client.config, **LOCAL, "LLM_COST_UNKNOWN_PRICING": "raise"})
    with pytest.raises(UnknownPricingError):
        client.post(provider.url + CHAT, tracker=app.tracker, json=ASK)
    with pytest.raises(UnknownPricingError):
        client.stream(provider.url + CHAT, tracker=app.tracker, json=STREAM)
    assert [event.status for event in app.events] == ["ok", "ok"]


def test_the_kill_switch_records_nothing(
    make_app: MakeApp, provider: LoopbackProvider, client: Client
) -> None:
    app = make_app(config={**client.config, **LOCAL, "LLM_COST_ENABLED": False})
    assert client.post(provider.url + CHAT, tracker=app.tracker, json=ASK).status == 200
    assert app.events == []
