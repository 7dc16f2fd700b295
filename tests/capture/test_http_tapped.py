"""What only the taps of whole HTTP packages meet: what a client can have between the host and the network,
and layers that are tapped on top of each other.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import anthropic
import httpx
import httpx2
import openai
import pytest
import requests
import urllib3
from google import genai
from requests.adapters import BaseAdapter

from flask_llm_cost.capture.mute import is_covered
from flask_llm_cost.context import with_tags
from flask_llm_cost.runtime import untracked
from flask_llm_cost.signals import call_recorded
from tests.capture.conftest import MakeApp
from tests.capture.conftest import RunAsync
from tests.capture.conftest import TrackedApp
from tests.capture.google_calls import generate
from tests.capture.google_calls import quiet_aiohttp
from tests.capture.google_calls import streamed
from tests.capture.http_clients import ASK
from tests.capture.http_clients import CHAT
from tests.capture.http_clients import STREAM
from tests.loopback import LoopbackProvider
from tests.wire_formats import chat_completion

pytestmark = quiet_aiohttp

LOCAL: dict[str, Any] = {"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "openai"}}
HTTP: dict[str, Any] = {**LOCAL, "LLM_COST_INSTRUMENT": ["http"]}
BOTH: dict[str, Any] = {**LOCAL, "LLM_COST_INSTRUMENT": ["auto", "http"]}

both_packages = pytest.mark.parametrize("package", [httpx, httpx2], ids=["httpx", "httpx2"])


@pytest.fixture
def app(make_app: MakeApp) -> TrackedApp:
    return make_app(config=HTTP)


def post_httpx(url: str, proxy: str | None = None) -> None:
    with httpx.Client(proxy=proxy, verify=False) as client:
        client.post(url, json=ASK)


def post_httpx2_async(url: str, proxy: str | None = None) -> None:
    async def main() -> None:
        mounts = {"http://": httpx2.AsyncHTTPTransport(proxy=proxy, verify=False)}
        async with httpx2.AsyncClient(mounts=mounts, verify=False) as client:
            await client.post(url, json=ASK)

    asyncio.run(main())


def post_requests(url: str, proxy: str | None = None) -> None:
    requests.post(url, json=ASK, proxies={"http": proxy} if proxy else None, timeout=5)


def post_urllib3(url: str, proxy: str | None = None) -> None:
    with urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager() as pool:
        pool.request("POST", url, json=ASK)


def post_aiohttp(url: str, proxy: str | None = None) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session, session.post(url, json=ASK, proxy=proxy) as response:
            await response.read()

    asyncio.run(main())


POSTS = [post_httpx, post_httpx2_async, post_requests, post_urllib3, post_aiohttp]
every_package = pytest.mark.parametrize("post", POSTS, ids=lambda post: post.__name__.removeprefix("post_"))


@every_package
@pytest.mark.parametrize(
    ("url", "whose"),
    [
        ("http://api.groq.com/openai/v1/chat/completions", "groq"),
        ("http://quay.openai.azure.com:8080/openai/deployments/mini/chat/completions?api-version=1", "azure"),
        ("http://gateway.ai.cloudflare.com/v1/0a1b/harbour/deepseek/chat/completions", "deepseek"),
        ("http://harbour.example/v1/chat/completions", None),
        ("http://api.groq.com/openai/v1/models", None),
    ],
)
def test_a_request_through_a_proxy_is_its_providers(
    app: TrackedApp, provider: LoopbackProvider, post: Any, url: str, whose: str | None
) -> None:
    post(url, provider.url)
    assert provider.requests[0].path == url
    assert [event.provider for event in app.events] == ([whose] if whose else [])


@every_package
def test_tags_and_context_are_those_of_the_moment(
    make_app: MakeApp, provider: LoopbackProvider, post: Any
) -> None:
    first, second = make_app("first", HTTP), make_app("second", HTTP)
    with second.flask.app_context(), with_tags(feature="quay", user=7):
        post(provider.url + CHAT)
    assert first.events == []
    assert (second.event.user_id, dict(second.event.tags)) == ("7", {"feature": "quay"})


@every_package
def test_an_app_that_does_not_name_http_is_left_alone(
    make_app: MakeApp, provider: LoopbackProvider, post: Any
) -> None:
    quiet, other = make_app("quiet", LOCAL), make_app("other", HTTP)
    for app in (quiet, other):
        with app.flask.app_context():
            post(provider.url + CHAT)
    assert (len(quiet.events), len(other.events)) == (0, 1)


@every_package
def test_only_a_call_that_belongs_to_nobody_is_counted(
    make_app: MakeApp, provider: LoopbackProvider, post: Any
) -> None:
    make_app("first", HTTP), make_app("second", HTTP)
    before = untracked["no_app"]
    post("http://harbour.example/v1/chat/completions", provider.url)
    assert untracked["no_app"] == before
    post("http://api.groq.com/openai/v1/chat/completions", provider.url)
    assert untracked["no_app"] == before + 1


@every_package
def test_what_a_receiver_sends_passes(app: TrackedApp, provider: LoopbackProvider, post: Any) -> None:
    sent: list[object] = []

    def on_call(sender: object, event: object) -> None:
        with urllib3.PoolManager() as pool:
            sent.append(pool.request("POST", provider.url + CHAT, json=ASK).status)

    with call_recorded.connected_to(on_call):
        post(provider.url + CHAT)
    assert (sent, app.event.status) == ([200], "ok")


@both_packages
def test_what_does_not_reach_the_network_is_no_call(app: TrackedApp, package: Any) -> None:
    mock = package.MockTransport(lambda request: package.Response(200, json=chat_completion("gpt-quay")))
    with package.Client(transport=mock) as client:
        assert client.post("https://api.groq.com/openai/v1/chat/completions", json=ASK).is_success
    assert app.events == []


def test_an_adapter_that_answers_itself_makes_no_call(app: TrackedApp) -> None:
    class Canned(BaseAdapter):
        def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
            response = requests.Response()
            response.status_code, response.request = 200, request
            response._content = json.dumps(chat_completion("gpt-quay")).encode()
            return response

        def close(self) -> None: ...

    with requests.Session() as session:
        session.mount("http://", Canned())
        assert session.post(f"http://127.0.0.1{CHAT}", json=ASK).json()["usage"]
    assert app.events == []


@both_packages
def test_a_transport_of_the_hosts_that_sends_through_the_packages_is_seen_through(
    app: TrackedApp, provider: LoopbackProvider, package: Any
) -> None:
    class Cache(package.BaseTransport):  # type: ignore[misc]
        def __init__(self) -> None:
            self.inner, self.kept = package.HTTPTransport(verify=False), None

        def handle_request(self, request: Any) -> Any:
            if self.kept is None:
                self.kept = self.inner.handle_request(request).read()
            return package.Response(200, content=self.kept)

        def close(self) -> None:
            self.inner.close()

    with package.Client(transport=Cache()) as client:
        answers = {client.post(provider.url + CHAT, json=ASK).content for _ in range(3)}
    assert (len(answers), app.event.output_tokens) == (1, 48)


@both_packages
def test_a_flow_of_authentication_is_recorded_by_its_requests(
    app: TrackedApp, provider: LoopbackProvider, package: Any
) -> None:
    class Refreshing(package.Auth):  # type: ignore[misc]
        def auth_flow(self, request: Any) -> Any:
            response = yield request
            if response.status_code == 401:
                request.headers["authorization"] = "Bearer fresh"
                yield request

    provider.fail(401)
    with package.Client(auth=Refreshing(), verify=False) as client:
        assert client.post(provider.url + CHAT, json=ASK).is_success
    assert [(event.status, event.http_status) for event in app.events] == [("error", 401), ("ok", 200)]


@both_packages
def test_hooks_see_what_they_always_saw(app: TrackedApp, provider: LoopbackProvider, package: Any) -> None:
    heard: list[Any] = []

    def on_response(response: Any) -> None:
        heard.append((type(response), response.read()))

    hooks = {"request": [lambda request: heard.append(type(request))], "response": [on_response]}
    with package.Client(event_hooks=hooks, verify=False) as client:
        response = client.post(provider.url + CHAT, json=ASK)
    assert heard == [package.Request, (package.Response, response.content)]
    assert app.event.output_tokens == 48


def test_retries_within_urllib3_are_attempts_of_one_call(app: TrackedApp, provider: LoopbackProvider) -> None:
    provider.fail(503, times=2)
    retries = urllib3.Retry(total=5, status_forcelist=[503], allowed_methods=None, backoff_factor=0)
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
        assert session.post(provider.url + CHAT, json=ASK).ok
    assert (app.event.status, app.event.http_status, app.event.attempts) == ("ok", 200, 3)


def test_a_redirection_within_a_pool_is_no_attempt(app: TrackedApp, provider: LoopbackProvider) -> None:
    provider.answer(b"", status=307, headers={"location": CHAT})
    with urllib3.HTTPConnectionPool("127.0.0.1", provider.port) as pool:
        assert pool.urlopen("POST", "/chat/completions", json.dumps(ASK), {}).status == 200
    assert (app.event.model, app.event.http_status, app.event.attempts) == ("gpt-quay", 200, 1)


def test_aiohttp_follows_a_redirection_within_one_call(app: TrackedApp, provider: LoopbackProvider) -> None:
    provider.answer(b"", status=307, headers={"location": CHAT})
    post_aiohttp(f"{provider.url}/chat/completions")
    assert (app.event.model, app.event.http_status) == ("gpt-quay", 200)


def test_a_refusal_that_aiohttp_raises_is_a_refusal(app: TrackedApp, provider: LoopbackProvider) -> None:
    provider.fail(429)

    async def main() -> None:
        async with aiohttp.ClientSession(provider.url, raise_for_status=True) as session:
            await session.post(CHAT, json=ASK)

    with pytest.raises(aiohttp.ClientResponseError):
        asyncio.run(main())
    assert (app.event.status, app.event.http_status) == ("error", 429)
    assert (app.event.error_type, app.event.cost_status) == ("too_many_requests", "free")


def test_what_aiohttp_refuses_to_send_is_no_call(app: TrackedApp, provider: LoopbackProvider) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.InvalidURL):
                await session.post("http://", json=ASK)
            with pytest.raises(ValueError, match="can not be used at the same time"):
                await session.post(provider.url + CHAT, json=ASK, data=b"{}")

    asyncio.run(main())
    assert app.events == []


# Layers


def chat(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(**{**ASK, **more})


@pytest.mark.parametrize(("config", "rows"), [(BOTH, 1), (HTTP, 2)], ids=["both", "http"])
def test_an_sdk_is_recorded_by_its_own_tap_if_it_has_one(
    make_app: MakeApp, provider: LoopbackProvider, config: dict[str, Any], rows: int
) -> None:
    app = make_app(config=config)
    with openai.OpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
        provider.fail(500)
        chat(client)
        assert len(app.events) == rows, "a retry is a request of its own to who does not see the SDK"
        list(chat(client, stream=True))
    assert len(app.events) == rows + 1
    assert not is_covered()


@pytest.mark.parametrize("config", [BOTH, HTTP], ids=["both", "http"])
def test_an_async_sdk_is_one_row(
    make_app: MakeApp, provider: LoopbackProvider, config: dict[str, Any]
) -> None:
    app = make_app(config=config)

    async def main() -> None:
        async with anthropic.AsyncAnthropic(api_key="loopback", base_url=provider.url) as client:
            asked: Any = {"model": "claude-pier", "max_tokens": 9, "messages": ASK["messages"]}
            async with client.messages.stream(**asked) as stream:
                await stream.get_final_message()
            await client.messages.create(**asked)

    asyncio.run(main())
    assert [(event.operation, event.output_tokens) for event in app.events] == [("messages", 48)] * 2


@pytest.mark.parametrize("config", [BOTH, HTTP], ids=["both", "http"])
def test_google_genai_is_one_row(
    make_app: MakeApp,
    provider: LoopbackProvider,
    google_client: genai.Client,
    run_google: RunAsync,
    config: dict[str, Any],
) -> None:
    app = make_app(config=config)
    generate(google_client)
    list(streamed(google_client))
    run_google(generate)
    assert [event.operation for event in app.events] == ["generate_content"] * 3


def test_what_an_explicit_transport_or_adapter_sends_is_one_row(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    with httpx.Client(transport=app.tracker.http_transport(tags={"way": "httpx"})) as client:
        client.post(provider.url + CHAT, json=STREAM)
    with requests.Session() as session:
        session.mount("http://", app.tracker.requests_adapter(tags={"way": "requests"}))
        session.post(provider.url + CHAT, json=ASK)
    assert [dict(event.tags) for event in app.events] == [{"way": "httpx"}, {"way": "requests"}]
