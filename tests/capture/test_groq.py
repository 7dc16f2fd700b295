"""groq: the same tap as openai's, over httpx, with a usage that is told in a place of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import groq
import pytest

from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.loopback import LoopbackProvider
from tests.wire_formats import OPENAI_USED
from tests.wire_formats import chat_stream
from tests.wire_formats import groq_stream
from tests.wire_formats import sse

ASK: Any = [{"role": "user", "content": "Is the lock open?"}]
MODEL = "llama-lock"


def chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(model=MODEL, messages=ASK, **more)


def assert_recorded(app: TrackedApp, **more: Any) -> None:
    wanted = {"provider": "groq", "operation": "chat", "model": MODEL, "status": "ok", **OPENAI_USED, **more}
    assert {name: getattr(app.event, name) for name in wanted} == wanted


def test_a_call_is_recorded(app: TrackedApp, groq_client: groq.Groq) -> None:
    assert chat(groq_client).choices
    assert_recorded(app, stream=False, usage_source="response", attempts=1)


def test_a_stream_is_recorded_by_the_usage_in_its_last_chunk(
    app: TrackedApp, groq_client: groq.Groq, provider: LoopbackProvider
) -> None:
    provider.stream(groq_stream(MODEL))
    assert len(list(chat(groq_client, stream=True))) == 49
    assert_recorded(app, stream=True, usage_source="stream")


def test_raw_and_async_calls_are_recorded(
    app: TrackedApp, groq_client: groq.Groq, provider: LoopbackProvider
) -> None:
    async def run() -> None:
        async with groq.AsyncGroq(api_key="loopback", base_url=provider.url) as client:
            provider.stream(groq_stream(MODEL))
            async for _ in await chat(client, stream=True):
                pass

    assert groq_client.chat.completions.with_raw_response.create(model=MODEL, messages=ASK).parse().usage
    asyncio.run(run())
    assert [(event.stream, event.total_tokens) for event in app.events] == [(False, 168), (True, 168)]


def test_an_error_event_after_200_is_an_error(
    app: TrackedApp, groq_client: groq.Groq, provider: LoopbackProvider
) -> None:
    error = {"error": {"message": "over capacity", "type": "internal_server_error"}}
    # Its client ends such a stream with an exception only where the event has the name.
    provider.stream([*chat_stream(MODEL)[:4], b"event: error\n" + sse([error])[0]])
    with pytest.raises(groq.APIError):
        list(chat(groq_client, stream=True))
    event = app.event
    assert (event.status, event.error_type, event.http_status) == ("error", "internal_server_error", 200)
    assert (event.cost_status, event.total_cost) == ("unknown", None)


def test_a_retried_call_is_one_call(
    app: TrackedApp, groq_client: groq.Groq, provider: LoopbackProvider
) -> None:
    provider.fail(503, times=2)
    chat(groq_client.with_options(max_retries=2))
    assert_recorded(app, attempts=3)


def test_it_is_tapped_by_name_and_left_as_it_was(make_app: MakeApp, groq_client: groq.Groq) -> None:
    before = vars(groq._base_client.SyncAPIClient)["request"]
    app, other = make_app("some", {"LLM_COST_INSTRUMENT": ["groq"]}), make_app("other")
    with app.flask.app_context():
        chat(groq_client)
    assert_recorded(app)
    app.close()
    other.close()
    assert vars(groq._base_client.SyncAPIClient)["request"] is before
