"""google-genai: every shape of a call is recorded, once per HTTP round."""

from __future__ import annotations

from typing import Any

import pytest
from google import genai
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.genai import types

from flask_llm_cost.context import with_tags
from tests.capture.conftest import MakeApp
from tests.capture.conftest import RunAsync
from tests.capture.conftest import TrackedApp
from tests.capture.conftest import google_http
from tests.capture.google_calls import ASK
from tests.capture.google_calls import MODEL
from tests.capture.google_calls import generate
from tests.capture.google_calls import options
from tests.capture.google_calls import quiet_aiohttp
from tests.capture.google_calls import read_all
from tests.capture.google_calls import streamed
from tests.loopback import LoopbackProvider
from tests.wire_formats import GEMINI_USED
from tests.wire_formats import gemini_content

pytestmark = quiet_aiohttp


def assert_recorded(app: TrackedApp, *, stream: bool) -> None:
    event = app.event
    assert {name: getattr(event, name) for name in GEMINI_USED} == GEMINI_USED
    assert (event.provider, event.model, event.requested_model) == ("google", MODEL, MODEL)
    assert (event.operation, event.status, event.http_status) == ("generate_content", "ok", 200)
    assert (event.stream, event.usage_source) == (stream, "stream" if stream else "response")
    assert (event.time_to_first_token_ms is not None) is stream
    assert event.provider_response_id == ("jetty-2" if stream else "jetty-1")
    assert event.attempts == 1
    assert event.latency_ms is not None


def test_a_call_is_recorded(app: TrackedApp, google_client: genai.Client) -> None:
    assert generate(google_client).text == "The quay is open."
    assert_recorded(app, stream=False)


def test_a_stream_is_recorded(app: TrackedApp, google_client: genai.Client) -> None:
    assert len(list(streamed(google_client))) == 50
    assert_recorded(app, stream=True)


def test_an_async_call_is_recorded(app: TrackedApp, run_google: RunAsync) -> None:
    assert run_google(generate).text == "The quay is open."
    assert_recorded(app, stream=False)


def test_an_async_stream_is_recorded(app: TrackedApp, run_google: RunAsync) -> None:
    assert len(run_google(read_all)) == 50
    assert_recorded(app, stream=True)


def test_a_call_over_an_httpx_client_of_the_host_is_recorded(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    with google_http.Client() as pool:
        generate(genai.Client(api_key="loopback", http_options=options(provider.url, httpx_client=pool)))
    assert_recorded(app, stream=False)


def test_each_message_of_a_chat_is_a_call(app: TrackedApp, google_client: genai.Client) -> None:
    chat = google_client.chats.create(model=MODEL)
    chat.send_message(ASK)
    list(chat.send_message_stream(ASK))
    assert [event.stream for event in app.events] == [False, True]


def call_of_a_function() -> dict[str, Any]:
    part = {"functionCall": {"name": "depth_at", "args": {"place": "jetty"}}}
    candidate = {"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    return gemini_content(MODEL, candidates=[candidate], responseId="jetty-0")


def depth_at(place: str) -> str:
    """The depth of the water.

    Args:
        place: Where.
    """
    return f"4 m at the {place}"


def test_each_round_of_automatic_function_calling_is_a_call(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    provider.answer(call_of_a_function())
    answer = google_client.chats.create(model=MODEL, config={"tools": [depth_at]}).send_message(ASK)
    assert answer.text == "The quay is open."
    assert [event.provider_response_id for event in app.events] == ["jetty-0", "jetty-1"]
    assert [event.input_tokens for event in app.events] == [100, 100]


def test_a_tool_that_calls_a_model_makes_a_call_of_its_own(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    def tide_at(place: str) -> str:
        """The tide.

        Args:
            place: Where.
        """
        return str(google_client.models.generate_content(model="gemini-tide", contents=place).text)

    # Before version 2 the SDK cannot call a function whose annotations are text.
    tide_at.__annotations__ = {"place": str, "return": str}
    body = call_of_a_function()
    body["candidates"][0]["content"]["parts"][0]["functionCall"]["name"] = "tide_at"
    provider.answer(body)
    google_client.chats.create(model=MODEL, config={"tools": [tide_at]}).send_message(ASK)
    assert [event.model for event in app.events] == [MODEL, "gemini-tide", MODEL]


def test_embeddings_are_recorded_with_the_model_of_the_request(
    app: TrackedApp, google_client: genai.Client
) -> None:
    google_client.models.embed_content(model="gemini-embedding-001", contents=[ASK])
    event = app.event
    assert (event.operation, event.model, event.input_tokens) == ("embeddings", "gemini-embedding-001", 9)
    assert (event.output_tokens, event.cost_status) == (0, "complete")


def test_what_is_free_is_not_recorded(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    assert google_client.models.count_tokens(model=MODEL, contents=ASK).total_tokens == 12
    provider.answer({"models": []})
    list(google_client.models.list())
    assert app.events == []


@pytest.mark.filterwarnings("ignore:The generate_images method is deprecated")
def test_pictures_are_recorded_without_usage(app: TrackedApp, provider: LoopbackProvider) -> None:
    provider.answer({"predictions": [{"bytesBase64Encoded": "cXVheQ==", "mimeType": "image/png"}]})
    with genai.Client(vertexai=True, api_key="loopback", http_options=options(provider.url)) as client:
        client.models.generate_images(model="imagen-quay", prompt=ASK)
    event = app.event
    assert (event.provider, event.operation, event.model) == ("vertex", "images", "imagen-quay")
    assert (event.input_tokens, event.cost_status, event.total_cost) == (None, "unknown", None)


def test_a_client_of_vertex_ai_is_billed_by_vertex(app: TrackedApp, provider: LoopbackProvider) -> None:
    with genai.Client(vertexai=True, api_key="loopback", http_options=options(provider.url)) as client:
        client.models.generate_content(model="gemini-2.5-flash", contents=ASK)
    assert "/publishers/google/models/gemini-2.5-flash:" in provider.requests[0].path
    event = app.event
    assert (event.provider, event.requested_model) == ("vertex", "gemini-2.5-flash")
    assert (event.input_tokens, event.cost_status) == (100, "complete")


def test_a_host_of_the_app_is_the_provider_it_says(make_app: MakeApp, provider: LoopbackProvider) -> None:
    app = make_app(config={"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "gateway"}})
    elsewhere = genai.Client(api_key="loopback", http_options=options("http://nowhere.invalid"))
    with elsewhere as client:
        client.models.generate_content(
            model=MODEL, contents=ASK, config={"http_options": options(provider.url)}
        )
    assert app.event.provider == "gateway"


@pytest.mark.skipif(
    "service_tier" not in types.GenerateContentConfig.model_fields,
    reason="this google-genai has no tiers yet",
)
def test_the_tier_that_was_asked_for_holds_where_the_answer_names_none(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    ask: Any = {"model": "gemini-2.5-flash", "contents": ASK, "config": {"service_tier": "flex"}}
    google_client.models.generate_content(**ask)
    provider.answer(gemini_content(MODEL, usageMetadata={"promptTokenCount": 3, "serviceTier": "standard"}))
    google_client.models.generate_content(**ask)
    assert [event.pricing_mode for event in app.events] == ["flex", None]


def test_a_call_made_while_another_is_recorded_passes_through(
    make_app: MakeApp, google_client: genai.Client
) -> None:
    def store(event: object) -> None:
        stored.append(event)
        generate(google_client)

    stored: list[object] = []
    app = make_app(storage=store)
    generate(google_client)
    app.runtime.recorder.catch_up()
    assert len(stored) == 1


def test_tags_are_those_of_the_moment_the_request_is_sent(
    app: TrackedApp, google_client: genai.Client
) -> None:
    with with_tags(feature="before"):
        stream = streamed(google_client)
    with with_tags(feature="reading"):
        list(stream)
    assert app.event.tags == {"feature": "reading"}, (
        "the SDK sends nothing before the first chunk is asked for"
    )


def test_a_client_over_a_transport_of_ours_is_recorded_once(
    make_app: MakeApp, provider: LoopbackProvider
) -> None:
    app = make_app(config={"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "google"}})
    with google_http.Client(transport=app.tracker.http_transport()) as http_client:
        client = genai.Client(
            api_key="loopback", http_options=options(provider.url, httpx_client=http_client)
        )
        generate(client)
        assert len(list(streamed(client))) == 50
    assert [event.stream for event in app.events] == [False, True]


def test_a_call_over_requests_is_recorded(
    app: TrackedApp, provider: LoopbackProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Vertex AI with a client certificate sends through a session of google-auth.
    sent: list[int] = []
    with (
        genai.Client(vertexai=True, api_key="loopback", http_options=options(provider.url)) as client,
        AuthorizedSession(AnonymousCredentials()) as session,
    ):
        api = client._api_client
        if not hasattr(api, "_use_google_auth_sync"):
            pytest.skip("this google-genai does not use requests yet")
        monkeypatch.setattr(type(api), "_use_google_auth_sync", lambda self: True)
        monkeypatch.setattr(type(api), "_use_mtls_endpoint", lambda self, **_: False, raising=False)
        session.hooks["response"].append(lambda response, **_: sent.append(response.status_code))
        api._authorized_session = session
        client.models.generate_content(model="gemini-2.5-flash", contents=ASK)
        list(client.models.generate_content_stream(model="gemini-2.5-flash", contents=ASK))
    assert sent == [200, 200]
    assert [(event.provider, event.stream, event.input_tokens) for event in app.events] == [
        ("vertex", False, 100),
        ("vertex", True, 100),
    ]


def test_a_cache_is_recorded_as_storage_of_unknown_cost_and_a_file_is_free(
    app: TrackedApp, google_client: genai.Client, provider: LoopbackProvider
) -> None:
    provider.answer({"name": "cachedContents/quay", "model": f"models/{MODEL}"})
    google_client.caches.create(model=MODEL, config={"contents": [ASK]})
    provider.answer({"name": "files/quay"})
    google_client.files.get(name="files/quay")
    assert len(provider.requests) == 2
    assert (app.event.operation, app.event.cost_status, app.event.total_cost) == ("other", "unknown", None)
