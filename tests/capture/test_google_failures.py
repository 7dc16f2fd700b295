"""Failed calls of google-genai are rows too, and the host gets the SDK's own exception."""

from __future__ import annotations

from typing import Any

import pytest
from google import genai
from google.genai import errors
from google.genai import types

from tests.capture.conftest import AsyncWork
from tests.capture.conftest import RunAsync
from tests.capture.conftest import TrackedApp
from tests.capture.google_calls import ASK
from tests.capture.google_calls import MODEL
from tests.capture.google_calls import generate
from tests.capture.google_calls import options
from tests.capture.google_calls import quiet_aiohttp
from tests.capture.google_calls import read_all
from tests.capture.google_calls import streamed
from tests.loopback import LoopbackProvider
from tests.loopback import closed_port
from tests.wire_formats import gemini_error
from tests.wire_formats import gemini_stream
from tests.wire_formats import sse

pytestmark = quiet_aiohttp


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [(400, "INVALID_ARGUMENT", "ClientError"), (503, "UNAVAILABLE", "ServerError")],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_refused_call_costs_nothing(
    app: TrackedApp,
    google_client: genai.Client,
    provider: LoopbackProvider,
    status: int,
    word: str,
    kind: str,
    stream: bool,
) -> None:
    provider.answer(gemini_error(status, word), status=status)
    with pytest.raises(errors.APIError) as raised:
        list(streamed(google_client)) if stream else generate(google_client)
    assert (raised.value.code, type(raised.value).__name__) == (status, kind)
    event = app.event
    assert (event.status, event.http_status, event.error_type) == ("error", status, kind)
    assert (event.cost_status, event.total_cost, event.stream) == ("free", None, stream)
    assert event.model == MODEL
    assert "jetty open" not in repr(event)
    assert "no such" not in repr(event)


@pytest.mark.parametrize("work", [generate, read_all], ids=["plain", "streamed"])
def test_a_refused_async_call_costs_nothing(
    app: TrackedApp, run_google: RunAsync, provider: LoopbackProvider, work: AsyncWork
) -> None:
    provider.answer(gemini_error(429, "RESOURCE_EXHAUSTED"), status=429)
    with pytest.raises(errors.ClientError):
        run_google(work)
    event = app.event
    assert (event.status, event.http_status, event.cost_status) == ("error", 429, "free")


RETRIES = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.001, jitter=0)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_retries_are_attempts_of_one_call(app: TrackedApp, provider: LoopbackProvider, stream: bool) -> None:
    provider.answer(gemini_error(503, "UNAVAILABLE"), status=503, times=2)
    retrying = options(provider.url, retry_options=RETRIES)
    with genai.Client(api_key="loopback", http_options=retrying) as client:
        list(streamed(client)) if stream else generate(client)
    assert len(provider.requests) == 3
    assert (app.event.status, app.event.attempts, app.event.http_status) == ("ok", 3, 200)


def test_exhausted_retries_are_one_failed_call(
    app: TrackedApp, run_google: RunAsync, provider: LoopbackProvider
) -> None:
    provider.answer(gemini_error(503, "UNAVAILABLE"), status=503, times=3)

    async def work(client: Any) -> None:
        with pytest.raises(errors.ServerError):
            await client.models.generate_content(
                model=MODEL, contents=ASK, config={"http_options": {"retry_options": RETRIES}}
            )

    run_google(work)
    assert (app.event.status, app.event.attempts, app.event.http_status) == ("error", 3, 503)


def test_a_refused_connection_is_a_failed_call_of_unknown_cost(app: TrackedApp) -> None:
    nobody = options(f"http://127.0.0.1:{closed_port()}")
    with (
        genai.Client(api_key="loopback", http_options=nobody) as client,
        pytest.raises(Exception, match="refused"),
    ):
        generate(client)
    event = app.event
    assert (event.status, event.http_status, event.error_type) == ("error", None, "ConnectError")
    assert (event.cost_status, event.total_cost) == ("unknown", None)


def test_a_request_that_the_sdk_refuses_is_no_call(app: TrackedApp, provider: LoopbackProvider) -> None:
    with genai.Client(api_key="auth_tokens/quay", http_options=options(provider.url)) as client:
        with pytest.raises(ValueError, match="Ephemeral tokens"):
            generate(client)
        with pytest.raises(ValueError, match="Ephemeral tokens"):
            list(streamed(client))
    assert (app.events, provider.requests) == ([], [])


def test_a_disconnect_midway_is_an_error(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    provider.stream(gemini_stream(MODEL), cut_after=20)
    with pytest.raises(Exception, match="peer closed"):
        list(streamed(google_client))
    event = app.event
    assert (event.status, event.error_type, event.cost_status) == ("error", "RemoteProtocolError", "unknown")
    assert event.http_status == 200
    assert event.time_to_first_token_ms is not None


def test_an_async_disconnect_midway_is_an_error(
    app: TrackedApp, run_google: RunAsync, provider: LoopbackProvider
) -> None:
    provider.stream(gemini_stream(MODEL), cut_after=20)
    with pytest.raises(Exception, match=r"peer closed|not completed|payload") as raised:
        run_google(read_all)
    assert (app.event.status, app.event.error_type) == ("error", type(raised.value).__name__)
    assert app.event.http_status == 200


@pytest.mark.parametrize("after", [0, 5], ids=["at once", "midway"])
def test_an_error_in_a_stream_is_an_error(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider, after: int
) -> None:
    provider.stream(gemini_stream(MODEL)[:after] + sse([gemini_error(503, "UNAVAILABLE")]))
    with pytest.raises(errors.ServerError):
        list(streamed(google_client))
    event = app.event
    assert (event.status, event.error_type, event.total_cost) == ("error", "ServerError", None)
    assert (event.http_status, event.cost_status) == ((200, "unknown") if after else (503, "free"))


@pytest.mark.parametrize("after", [0, 5], ids=["at once", "midway"])
def test_an_error_in_an_async_stream_is_an_error(
    app: TrackedApp, run_google: RunAsync, provider: LoopbackProvider, after: int
) -> None:
    provider.stream(gemini_stream(MODEL)[:after] + sse([gemini_error(503, "UNAVAILABLE")]))
    with pytest.raises(errors.ServerError):
        run_google(read_all)
    event = app.event
    assert (event.status, event.error_type, event.total_cost) == ("error", "ServerError", None)
    assert (event.http_status, event.cost_status) == ((200, "unknown") if after else (503, "free"))


def test_a_stream_whose_answer_never_finished_is_an_error(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    provider.stream(gemini_stream(MODEL)[:-1])
    assert len(list(streamed(google_client))) == 49
    event = app.event
    assert (event.status, event.error_type, event.total_cost) == ("error", "incomplete_stream", None)


def test_an_answer_that_is_no_json_is_recorded_without_usage(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    provider.answer(b"<html>quay</html>", headers={"content-type": "text/html"})
    with pytest.raises(ValueError, match="Expecting value"):
        generate(google_client)
    assert (app.event.status, app.event.cost_status, app.event.input_tokens) == ("ok", "unknown", None)
