"""google-genai's interactions: a client of its own beside the one that all the rest goes through."""

from __future__ import annotations

import asyncio
import gc
import types
from typing import Any

import pytest
from google import genai

from flask_llm_cost.capture import speakeasy
from flask_llm_cost.errors import UnknownPricingError
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.capture.conftest import google_http
from tests.capture.google_calls import options
from tests.loopback import LoopbackProvider
from tests.wire_formats import GEMINI_USED
from tests.wire_formats import interaction
from tests.wire_formats import interaction_stream
from tests.wire_formats import sse

MODEL = "gemini-2.5-flash"
pytestmark = [
    pytest.mark.skipif(not hasattr(genai.Client, "interactions"), reason="this google-genai has none yet"),
    pytest.mark.filterwarnings("ignore:.*experimental.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:Async interactions client cannot use aiohttp:UserWarning"),
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]


def create(client: Any, **more: Any) -> Any:
    return client.interactions.create(model=MODEL, input="Is the jetty open?", **more)


def assert_recorded(app: TrackedApp, **more: Any) -> None:
    wanted = {
        "provider": "google",
        "operation": "generate_content",
        "model": MODEL,
        "requested_model": MODEL,
        "provider_response_id": "interaction-1",
        "status": "ok",
        "http_status": 200,
        **GEMINI_USED,
        **more,
    }
    assert {name: getattr(app.event, name) for name in wanted} == wanted


def test_an_interaction_is_recorded(app: TrackedApp, google_client: genai.Client) -> None:
    assert create(google_client).id == "interaction-1"
    assert_recorded(app, stream=False, usage_source="response")


def test_a_streamed_interaction_is_recorded(app: TrackedApp, google_client: genai.Client) -> None:
    events = list(create(google_client, stream=True))
    assert len(events) == 5
    assert_recorded(app, stream=True, usage_source="stream")
    assert app.event.time_to_first_token_ms is not None


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_async_interaction_is_recorded(app: TrackedApp, provider: LoopbackProvider, stream: bool) -> None:
    async def run() -> None:
        async with google_http.AsyncClient() as pool:
            http = options(provider.url, httpx_async_client=pool)
            answer = await create(genai.Client(api_key="loopback", http_options=http).aio, stream=stream)
            if stream:
                assert len([event async for event in answer]) == 5

    asyncio.run(run())
    assert_recorded(app, stream=stream)


@pytest.mark.parametrize("leave", ["close", "collected"])
def test_a_stream_left_early_is_aborted(app: TrackedApp, google_client: genai.Client, leave: str) -> None:
    stream = create(google_client, stream=True)
    next(iter(stream))
    if leave == "close":
        stream.close()
    del stream
    gc.collect()
    assert (app.event.status, app.event.cost_status, app.event.total_cost) == ("aborted", "unknown", None)


def test_an_error_event_is_an_error(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    error = {"event_type": "error", "error": {"code": "overloaded", "message": "the jetty sank"}}
    provider.stream([*interaction_stream(MODEL)[:2], *sse([error])])
    list(create(google_client, stream=True))
    assert (app.event.status, app.event.error_type) == ("error", "overloaded")


def test_a_refused_interaction_costs_nothing(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    provider.answer({"error": {"code": "invalid_request", "message": "no such jetty"}}, status=400)
    with pytest.raises(Exception, match="no such jetty"):
        create(google_client)
    assert (app.event.status, app.event.http_status, app.event.total_cost) == ("error", 400, None)


def test_an_interaction_in_the_background_has_an_unknown_cost(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    provider.answer(interaction(MODEL, status="in_progress", usage=None))
    create(google_client, background=True)
    assert (app.event.status, app.event.cost_status, app.event.input_tokens) == ("ok", "unknown", None)


def test_reading_or_cancelling_one_is_not_recorded(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    provider.answer(interaction(MODEL), times=2)
    google_client.interactions.get(id="interaction-1")
    google_client.interactions.cancel(id="interaction-1")
    assert len(provider.requests) == 2
    assert app.events == []


def test_the_last_app_leaves_the_client_as_it_was(make_app: MakeApp, google_client: genai.Client) -> None:
    app = make_app()
    create(google_client)
    app.close()
    create(google_client)
    assert len(app.stored) == 1


def test_an_exception_the_host_asked_for_comes_after_the_answer(
    make_app: MakeApp, google_client: genai.Client
) -> None:
    app = make_app(config={"LLM_COST_UNKNOWN_PRICING": "raise"})
    with pytest.raises(UnknownPricingError):
        google_client.interactions.create(model="gemini-jetty", input="Is the jetty open?")
    assert app.event.input_tokens == 100


def base_sdk(**methods: Any) -> types.ModuleType:
    def do_request(self: Any, hook_ctx: Any, request: Any, stream: bool = False) -> None: ...

    async def do_request_async(self: Any, hook_ctx: Any, request: Any, stream: bool = False) -> None: ...

    own = {"do_request": do_request, "do_request_async": do_request_async, **methods}
    module = types.ModuleType("acme.basesdk")
    module.BaseSDK = type("BaseSDK", (), own)  # type: ignore[attr-defined]
    return module


async def coroutine(self: Any, hook_ctx: Any, request: Any) -> None: ...


@pytest.mark.parametrize(
    ("methods", "problem"),
    [
        ({}, None),
        ({"do_request": lambda self, *args, **kwargs: None}, None),
        ({"do_request": None}, "acme.basesdk has no class with a method do_request"),
        ({"do_request_async": None}, "has no class with a method do_request_async"),
        ({"do_request": coroutine}, "do_request is a coroutine function and should be none, or the reverse"),
        ({"do_request": lambda self, options: None}, "do_request takes no hook_ctx, request"),
    ],
    ids=["kept", "wrapped by another tool", "gone", "async gone", "became async", "other arguments"],
)
def test_the_contract_is_checked(methods: dict[str, Any], problem: str | None) -> None:
    found = speakeasy.broken_contract(base_sdk(**methods))
    assert found is None if problem is None else problem in str(found)


def test_a_refusal_that_the_client_raises_itself_is_a_failed_call(app: TrackedApp) -> None:
    class Refused(Exception):
        status_code = 429

    def do_request(self: Any, hook_ctx: Any, request: Any) -> None:
        raise Refused

    module = base_sdk(do_request=do_request)
    speakeasy.patch("google", module)
    url = "https://generativelanguage.googleapis.com/v1/interactions"
    request = google_http.Request("POST", url, json={"model": MODEL})
    with pytest.raises(Refused):
        module.BaseSDK().do_request(None, request)
    speakeasy.unpatch(module)
    assert (app.event.status, app.event.http_status, app.event.error_type) == ("error", 429, "Refused")
