"""Calls that fail are rows too, and the host gets the SDK's own exception."""

from __future__ import annotations

import gc
from typing import Any

import anthropic
import openai
import pytest

from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.capture.conftest import http
from tests.capture.conftest import needs_middleware
from tests.loopback import LoopbackProvider
from tests.loopback import closed_port
from tests.wire_formats import anthropic_error
from tests.wire_formats import chat_completion
from tests.wire_formats import message

ASK: Any = [{"role": "user", "content": "Is the quay open?"}]


def chat(client: Any) -> Any:
    return client.chat.completions.create(model="gpt-quay", messages=ASK)


def test_retries_are_attempts_of_one_call(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.fail(429, times=2)
    chat(openai_client)
    assert len(provider.requests) == 3
    assert (app.event.status, app.event.attempts, app.event.http_status) == ("ok", 3, 200)


def test_exhausted_retries_are_one_failed_call(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.fail(503, times=3)
    with pytest.raises(openai.InternalServerError):
        chat(openai_client)
    event = app.event
    assert (event.status, event.attempts, event.http_status) == ("error", 3, 503)
    assert (event.error_type, event.cost_status, event.total_cost) == ("InternalServerError", "free", None)


def test_a_refused_request_is_a_failed_call_that_costs_nothing(
    app: TrackedApp, anthropic_client: anthropic.Anthropic, provider: LoopbackProvider
) -> None:
    provider.answer(
        anthropic_error(text="the prompt was: secret"),
        status=400,
        headers={"anthropic-organization-id": "pier-1"},
    )
    with pytest.raises(anthropic.BadRequestError):
        anthropic_client.messages.create(model="claude-pier", max_tokens=1, messages=ASK)
    event = app.event
    assert (event.status, event.http_status, event.error_type) == ("error", 400, "BadRequestError")
    assert (event.attempts, event.cost_status, event.model) == (1, "free", "claude-pier")
    assert event.provider_account == "pier-1"
    assert "secret" not in repr(event)


def test_a_refused_stream_is_a_failed_call(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.fail(400)
    with pytest.raises(openai.BadRequestError):
        openai_client.chat.completions.create(model="gpt-quay", messages=ASK, stream=True)
    assert (app.event.status, app.event.stream, app.event.cost_status) == ("error", True, "free")


def test_a_refused_connection_is_a_failed_call_of_unknown_cost(app: TrackedApp) -> None:
    base_url = f"http://127.0.0.1:{closed_port()}/v1"
    client = openai.OpenAI(api_key="loopback", base_url=base_url, max_retries=0)
    with client, pytest.raises(openai.APIConnectionError):
        chat(client)
    event = app.event
    assert (event.status, event.http_status, event.error_type) == ("error", None, "APIConnectionError")
    assert (event.cost_status, event.total_cost) == ("unknown", None)


def test_a_timeout_is_a_failed_call_of_unknown_cost(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.answer(chat_completion("gpt-quay"), delay=3)
    with pytest.raises(openai.APITimeoutError):
        chat(openai_client.with_options(timeout=0.1, max_retries=0))
    event = app.event
    assert (event.status, event.error_type, event.cost_status) == ("error", "APITimeoutError", "unknown")
    assert event.latency_ms is not None
    assert event.latency_ms >= 90


def test_attempts_are_known_for_calls_without_any_answer(app: TrackedApp) -> None:
    base_url = f"http://127.0.0.1:{closed_port()}/v1"
    client = openai.OpenAI(api_key="loopback", base_url=base_url, max_retries=1)
    with client, pytest.raises(openai.APIConnectionError):
        chat(client)
    assert app.event.attempts == 2


def test_what_the_sdk_refuses_to_send_is_no_call(app: TrackedApp, provider: LoopbackProvider) -> None:
    with anthropic.Anthropic(api_key=None, auth_token=None, base_url=provider.url) as client:
        client.api_key = None
        with pytest.raises(TypeError, match="authentication"):
            client.messages.create(model="claude-pier", max_tokens=1, messages=ASK)
    assert provider.requests == []
    assert app.events == []


def test_a_failure_on_an_unknown_route_is_no_call(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.fail(404)
    with pytest.raises(openai.NotFoundError):
        openai_client.post("/new/things", body={}, cast_to=object)
    assert app.events == []


def test_an_answer_that_is_no_json_is_recorded_with_unknown_usage(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    provider.answer(b"<html>a captive portal</html>", headers={"content-type": "text/html"})
    assert chat(openai_client) == "<html>a captive portal</html>"
    assert (app.event.status, app.event.input_tokens, app.event.cost_status) == ("ok", None, "unknown")


def test_numbers_that_cannot_be_true_are_unknown(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    usage = {"prompt_tokens": -4, "completion_tokens": 2, "total_tokens": -2}
    provider.answer(chat_completion("gpt-quay", usage=usage))
    chat(openai_client)
    assert (app.event.input_tokens, app.event.total_cost, app.event.cost_status) == (None, None, "unknown")


@needs_middleware
def test_a_middleware_that_answers_from_a_cache_makes_no_row(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    kept: list[Any] = []

    def cache(request: Any, call_next: Any) -> Any:
        if not kept:
            kept.append(call_next(request).parse())
        return kept[0]

    with anthropic.Anthropic(api_key="loopback", base_url=provider.url, middleware=[cache]) as client:
        for _ in range(2):
            client.messages.create(model="claude-pier", max_tokens=1, messages=ASK)
    assert len(provider.requests) == 1
    assert app.event.input_tokens == 100


@needs_middleware
def test_a_middleware_that_asks_twice_is_one_call_with_the_last_answer(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    def twice(request: Any, call_next: Any) -> Any:
        call_next(request).parse()
        gc.collect()
        return call_next(request)

    with anthropic.Anthropic(api_key="loopback", base_url=provider.url, middleware=[twice]) as client:
        stream = client.messages.create(model="claude-pier", max_tokens=1, messages=ASK, stream=True)
        list(stream)
    assert len(provider.requests) == 2
    assert (app.event.status, app.event.output_tokens) == ("ok", 48)


@needs_middleware
def test_a_middleware_that_falls_back_is_one_call_of_the_model_that_answered(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    def fall_back(request: Any, call_next: Any) -> Any:
        answer = call_next(request)
        return answer if answer.http_response.is_success else call_next(request)

    provider.answer(anthropic_error("overloaded_error"), status=529)
    provider.answer(message("claude-jetty"))
    client = anthropic.Anthropic(
        api_key="loopback", base_url=provider.url, middleware=[fall_back], max_retries=0
    )
    with client:
        client.messages.create(model="claude-pier", max_tokens=1, messages=ASK)
    assert len(provider.requests) == 2
    assert (app.event.status, app.event.model, app.event.requested_model) == (
        "ok",
        "claude-jetty",
        "claude-pier",
    )
    assert app.event.output_tokens == 48


@needs_middleware
def test_a_refusal_that_a_middleware_saw_is_a_failed_call(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    provider.answer(anthropic_error(), status=400)
    seen: list[int] = []

    def look(request: Any, call_next: Any) -> Any:
        answer = call_next(request)
        seen.append(answer.http_response.status_code)
        return answer

    client = anthropic.Anthropic(api_key="loopback", base_url=provider.url, middleware=[look])
    with client, pytest.raises(anthropic.BadRequestError):
        client.messages.create(model="claude-pier", max_tokens=1, messages=ASK)
    assert seen == [400]
    assert app.event.error_type == "BadRequestError"
    assert (app.event.status, app.event.http_status, app.event.cost_status) == ("error", 400, "free")


@needs_middleware
def test_a_free_call_inside_a_middleware_is_none_of_the_calls_answers(
    app: TrackedApp, anthropic_client: anthropic.Anthropic, provider: LoopbackProvider
) -> None:
    def count_after(request: Any, call_next: Any) -> Any:
        answer = call_next(request)
        anthropic_client.messages.count_tokens(model="claude-pier", messages=ASK)
        return answer

    with anthropic.Anthropic(api_key="loopback", base_url=provider.url, middleware=[count_after]) as client:
        client.messages.create(model="claude-pier", max_tokens=1, messages=ASK)
    assert (app.event.input_tokens, app.event.output_tokens) == (100, 48)


def test_a_receiver_that_asks_an_llm_does_not_record_itself_for_ever(
    app: TrackedApp, openai_client: openai.OpenAI, provider: LoopbackProvider
) -> None:
    from flask_llm_cost.signals import call_recorded

    def summarise(sender: object, event: object) -> None:
        chat(openai_client)

    with call_recorded.connected_to(summarise, sender=app.flask):
        chat(openai_client)
    assert len(provider.requests) == 2
    assert len(app.events) == 1


def test_an_answer_in_memory_is_read_like_any_other(app: TrackedApp) -> None:
    from tests.wire_formats import chat_stream

    def handle(request: http.Request) -> http.Response:
        return http.Response(
            200, content=b"".join(chat_stream("gpt-quay")), headers={"content-type": "text/event-stream"}
        )

    http_client = http.Client(transport=http.MockTransport(handle))
    base_url = "https://api.openai.com/v1"
    with openai.OpenAI(api_key="loopback", base_url=base_url, http_client=http_client) as client:
        stream = client.chat.completions.create(model="gpt-quay", messages=ASK, stream=True)
        assert len(list(stream)) == 50
    assert (app.event.provider, app.event.input_tokens) == ("openai", 100)


def test_our_own_failures_do_not_reach_the_host(
    make_app: MakeApp, openai_client: openai.OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> dict[str, object]:
        raise RuntimeError("a prompt stands here")

    app = make_app(default_tags=fail)
    assert chat(openai_client).usage.total_tokens == 168
    assert app.event.tags == {}
    assert "RuntimeError" in caplog.text
    assert "prompt" not in caplog.text
