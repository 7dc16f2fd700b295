"""What only sessions of requests meet: lines and text, adapters of the host's, errors before the request."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
import requests

from flask_llm_cost.context import with_tags
from flask_llm_cost.errors import UnknownPricingError
from flask_llm_cost.extension import LLMCostTracker
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.capture.http_clients import ASK
from tests.capture.http_clients import CHAT
from tests.capture.http_clients import STREAM
from tests.loopback import LoopbackProvider
from tests.wire_formats import chat_completion
from tests.wire_formats import chat_stream

LOCAL = {"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "openai"}}


@pytest.fixture
def app(make_app: MakeApp) -> TrackedApp:
    return make_app(config=LOCAL)


def session_of(tracker: LLMCostTracker, inner: Any = None, **options: Any) -> requests.Session:
    session = requests.Session()
    session.mount("http://", tracker.requests_adapter(inner, **options))
    return session


@pytest.mark.parametrize("encoding", [None, "utf-8"])
def test_lines_of_text_are_read_along(
    app: TrackedApp, provider: LoopbackProvider, encoding: str | None
) -> None:
    with session_of(app.tracker) as session:
        provider.stream(chat_stream("gpt-quäy"))
        with session.post(provider.url + CHAT, json=STREAM, stream=True) as response:
            response.encoding = encoding or response.encoding
            lines = list(response.iter_lines(decode_unicode=True))
    assert all(isinstance(line, str) for line in lines)
    assert (app.event.status, app.event.model, app.event.output_tokens) == ("ok", "gpt-quäy", 48)


def test_an_exception_that_the_host_asked_for_reaches_one_who_reads_text(
    make_app: MakeApp, provider: LoopbackProvider
) -> None:
    app = make_app(config={**LOCAL, "LLM_COST_UNKNOWN_PRICING": "raise"})
    with (
        session_of(app.tracker) as session,
        session.post(provider.url + CHAT, json=STREAM, stream=True) as response,
        pytest.raises(UnknownPricingError),
    ):
        list(response.iter_lines(decode_unicode=True))
    assert app.event.status == "ok"


def test_a_body_can_be_asked_for_again(app: TrackedApp, provider: LoopbackProvider) -> None:
    with session_of(app.tracker) as session:
        response = session.post(provider.url + CHAT, json=ASK, stream=True)
        assert response.json() == response.json()
        assert b"".join(response.iter_content(7)) == response.content
    assert app.event.status == "ok"


def test_what_requests_refuses_it_refuses_at_once(app: TrackedApp, provider: LoopbackProvider) -> None:
    with (
        session_of(app.tracker) as session,
        session.post(provider.url + CHAT, json=ASK, stream=True) as response,
    ):
        with pytest.raises(TypeError, match="chunk_size must be an int"):
            response.iter_content("7")  # type: ignore[arg-type]
        assert response.content
    assert app.event.status == "ok"


def test_a_response_that_is_collected_is_aborted(app: TrackedApp, provider: LoopbackProvider) -> None:
    provider.stream(chat_stream("gpt-quay"), hold_after=2)
    with session_of(app.tracker) as session:
        response = session.post(provider.url + CHAT, json=STREAM, stream=True)
        next(response.iter_content(16))
        assert app.events == []
        del response
        gc.collect()
        assert (app.event.status, app.event.cost_status) == ("aborted", "unknown")


def test_a_request_that_cannot_be_sent_is_no_call(app: TrackedApp, provider: LoopbackProvider) -> None:
    with session_of(app.tracker) as session, pytest.raises(ValueError, match="Invalid timeout"):
        session.post(provider.url + CHAT, json=ASK, timeout=(1, 2, 3))  # type: ignore[arg-type]
    assert app.events == []


def test_an_adapter_of_the_hosts_sends(app: TrackedApp) -> None:
    class Canned(requests.adapters.BaseAdapter):
        closed = False

        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            response = requests.Response()
            response.status_code, response.request = 200, request
            response.headers["content-type"] = "application/json"
            response._content = json.dumps(chat_completion("gpt-quay")).encode()
            return response

        def close(self) -> None:
            self.closed = True

    canned = Canned()
    with session_of(app.tracker, canned) as session:
        assert session.post(f"http://127.0.0.1{CHAT}", json=ASK).json()["usage"]
    assert canned.closed
    assert (app.event.status, app.event.output_tokens) == ("ok", 48)


def test_what_is_no_adapter_is_refused(app: TrackedApp) -> None:
    with pytest.raises(TypeError, match="an adapter of requests, got str"):
        app.tracker.requests_adapter("https://")


def test_the_adapters_tags_come_on_top(app: TrackedApp, provider: LoopbackProvider) -> None:
    with (
        session_of(app.tracker, tags={"feature": "quay"}) as session,
        with_tags(feature="pier", tenant="acme"),
    ):
        session.post(provider.url + CHAT, json=ASK)
    assert dict(app.event.tags) == {"tenant": "acme", "feature": "quay"}


def test_adapters_around_each_other_record_once(app: TrackedApp, provider: LoopbackProvider) -> None:
    with session_of(app.tracker, app.tracker.requests_adapter()) as session:
        session.post(provider.url + CHAT, json=ASK)
    assert app.event.status == "ok"
