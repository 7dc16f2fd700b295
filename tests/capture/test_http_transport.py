"""What only transports meet: stacks, proxies and caches around them, contexts, and responses nobody reads."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from flask_llm_cost.capture.mute import is_covered
from flask_llm_cost.context import copy_context
from flask_llm_cost.context import with_tags
from flask_llm_cost.extension import LLMCostTracker
from flask_llm_cost.signals import call_recorded
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.capture.conftest import http
from tests.capture.http_clients import ASK
from tests.capture.http_clients import CHAT
from tests.capture.http_clients import STREAM
from tests.loopback import LoopbackProvider
from tests.wire_formats import chat_completion
from tests.wire_formats import chat_stream

LOCAL = {"LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "openai"}}

both_packages = pytest.mark.parametrize("package", [httpx, httpx2], ids=["httpx", "httpx2"])


@pytest.fixture
def app(make_app: MakeApp) -> TrackedApp:
    return make_app(config=LOCAL)


def plain(package: Any) -> Any:
    return package.HTTPTransport(verify=False)


def client_of(package: Any, tracker: LLMCostTracker, **options: Any) -> Any:
    return package.Client(transport=tracker.http_transport(plain(package), **options), timeout=5)


@both_packages
def test_without_an_inner_transport_the_clients_own_package_sends(
    app: TrackedApp, provider: LoopbackProvider, package: Any
) -> None:
    transport = app.tracker.http_transport()
    with package.Client(transport=transport) as client:
        assert type(client.post(provider.url + CHAT, json=ASK)) is package.Response

    async def ask() -> None:
        async with package.AsyncClient(transport=transport) as client:
            await client.post(provider.url + CHAT, json=ASK)

    asyncio.run(ask())
    assert [event.output_tokens for event in app.events] == [48, 48]


@both_packages
def test_an_answer_that_cannot_be_read_along_is_recorded_without_usage(
    provider: LoopbackProvider, package: Any
) -> None:
    class Odd(package.Response):  # type: ignore[misc]
        def __init__(self, answer: Any) -> None:
            super().__init__(answer.status_code, headers=answer.headers, stream=answer.stream)

    class OddTransport(package.HTTPTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            return Odd(super().handle_request(request))

    app = TrackedApp("harbour", LOCAL, {})
    provider.answer(chat_completion("gpt-quay"), gzip=True)
    with package.Client(transport=app.tracker.http_transport(OddTransport(verify=False))) as client:
        assert client.post(provider.url + CHAT, json=ASK).json() == chat_completion("gpt-quay")
    assert (app.event.status, app.event.usage_source, app.event.cost_status) == ("ok", "unknown", "unknown")
    assert app.runtime.counters["capture_errors"] == 1
    app.close()


@both_packages
def test_a_request_of_the_hosts_own_class_is_sent(
    app: TrackedApp, provider: LoopbackProvider, package: Any
) -> None:
    class Signed(package.Request):  # type: ignore[misc]
        pass

    with package.Client(transport=app.tracker.http_transport()) as client:
        assert client.send(Signed("POST", provider.url + CHAT, json=ASK)).is_success
    assert app.event.status == "ok"


@both_packages
def test_reading_what_was_billed_before_is_no_call(
    app: TrackedApp, provider: LoopbackProvider, package: Any
) -> None:
    provider.answer(chat_completion("gpt-quay"))
    with client_of(package, app.tracker) as client:
        client.get(f"{provider.url}{CHAT}/chatcmpl-quay-1")
    assert app.events == []


@both_packages
def test_the_inner_transport_is_entered_and_closed_with_ours(app: TrackedApp, package: Any) -> None:
    class Inner(package.BaseTransport):  # type: ignore[misc]
        def __init__(self) -> None:
            self.heard: list[str] = []

        def __enter__(self) -> Any:
            self.heard.append("enter")
            return self

        def __exit__(self, *error: object) -> None:
            self.heard.append("exit")

        def close(self) -> None:
            self.heard.append("close")

    inner = Inner()
    with package.Client(transport=app.tracker.http_transport(inner)):
        pass
    package.Client(transport=app.tracker.http_transport(inner)).close()
    assert inner.heard == ["enter", "exit", "close"]


@pytest.mark.parametrize("inner", [object(), httpx.Client, "https://api.openai.com"], ids=type)
def test_what_is_no_transport_is_refused(app: TrackedApp, inner: Any) -> None:
    with pytest.raises(TypeError, match="a transport of httpx or httpx2"):
        app.tracker.http_transport(inner)
    with pytest.raises(TypeError, match="tags must be a mapping or a callable, got str"):
        app.tracker.http_transport(tags="feature=chat")  # type: ignore[arg-type]


@both_packages
def test_an_answer_that_is_in_memory_already_is_read(app: TrackedApp, package: Any) -> None:
    mock = package.MockTransport(lambda request: package.Response(200, json=chat_completion("gpt-quay")))
    with package.Client(transport=app.tracker.http_transport(mock)) as client:
        assert client.post("https://api.groq.com/openai/v1/chat/completions", json=ASK).is_success
    assert (app.event.provider, app.event.output_tokens) == ("groq", 48)


@both_packages
@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_a_host_that_passes_raw_bytes_on_is_seen(
    app: TrackedApp, provider: LoopbackProvider, package: Any, gzip: bool
) -> None:
    provider.stream(chat_stream("gpt-quay"), gzip=gzip)
    with client_of(package, app.tracker) as client, client.stream("POST", provider.url + CHAT) as response:
        passed = list(response.iter_raw())
    assert (passed[0][:2] == b"\x1f\x8b") is gzip
    assert (app.event.status, app.event.output_tokens, app.event.stream) == ("ok", 48, True)


@both_packages
def test_a_cache_above_that_makes_a_response_of_its_own_is_seen_through(
    app: TrackedApp, provider: LoopbackProvider, package: Any
) -> None:
    class Cache(package.BaseTransport):  # type: ignore[misc]
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def handle_request(self, request: Any) -> Any:
            answer = self.inner.handle_request(request)
            return package.Response(answer.status_code, headers=answer.headers, stream=answer.stream)

        def close(self) -> None:
            self.inner.close()

    cached = Cache(app.tracker.http_transport(plain(package)))
    provider.stream(chat_stream("gpt-quay"), gzip=True)
    with package.Client(transport=cached) as client:
        client.post(provider.url + CHAT, json=STREAM)
    assert (app.event.status, app.event.output_tokens) == ("ok", 48)


@both_packages
def test_an_iterator_that_outlives_its_response_is_read_along(
    app: TrackedApp, provider: LoopbackProvider, package: Any
) -> None:
    transport = app.tracker.http_transport(plain(package))
    request = package.Request("POST", provider.url + CHAT, json=STREAM)
    pieces = iter(transport.handle_request(request).stream)
    first = next(pieces)
    gc.collect()
    assert app.events == []
    assert first + b"".join(pieces) == b"".join(chat_stream("gpt-quay"))
    assert app.event.status == "ok"
    transport.close()


@both_packages
@pytest.mark.parametrize("read_first", [False, True], ids=["never read", "half read"])
def test_a_response_that_is_collected_is_aborted(
    app: TrackedApp, provider: LoopbackProvider, package: Any, read_first: bool
) -> None:
    provider.stream(chat_stream("gpt-quay"), hold_after=2)
    transport = app.tracker.http_transport(plain(package))
    response = transport.handle_request(package.Request("POST", provider.url + CHAT, json=STREAM))
    pieces = iter(response.stream) if read_first else None
    if pieces is not None:
        next(pieces)
    assert app.events == []
    seen = weakref.ref(response)
    del response, pieces
    assert seen() is None, "nothing of ours keeps a response alive"
    gc.collect()
    assert (app.event.status, app.event.cost_status) == ("aborted", "unknown")
    transport.close()


@both_packages
def test_a_cancelled_request_is_aborted(app: TrackedApp, provider: LoopbackProvider, package: Any) -> None:
    provider.answer(chat_completion("gpt-quay"), delay=1)

    async def ask() -> None:
        transport = app.tracker.http_transport(package.AsyncHTTPTransport(verify=False))
        async with package.AsyncClient(transport=transport) as client:
            await asyncio.wait_for(client.post(provider.url + CHAT, json=ASK), 0.2)

    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    assert (app.event.status, app.event.error_type) == ("aborted", "CancelledError")


@both_packages
def test_a_cancelled_stream_is_not_ok(app: TrackedApp, provider: LoopbackProvider, package: Any) -> None:
    provider.stream(chat_stream("gpt-quay"), hold_after=3)

    async def ask() -> None:
        transport = app.tracker.http_transport(package.AsyncHTTPTransport(verify=False))
        async with package.AsyncClient(transport=transport) as client:
            await asyncio.wait_for(client.post(provider.url + CHAT, json=STREAM), 0.2)

    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    assert (app.event.status, app.event.provider_response_id) == ("aborted", "chatcmpl-quay-2")


@both_packages
def test_a_request_that_cannot_be_sent_is_no_call(
    app: TrackedApp, provider: LoopbackProvider, package: Any
) -> None:
    with client_of(package, app.tracker) as client, pytest.raises(package.LocalProtocolError):
        client.post(provider.url + CHAT, json=ASK, headers={"x-quay": "a\nb"})
    assert app.events == []


def openai_over(package: Any, provider: LoopbackProvider, tracker: LLMCostTracker) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="loopback", base_url=f"{provider.url}/v1", http_client=client_of(package, tracker)
    )


@pytest.mark.parametrize("package", dict.fromkeys([httpx, http]), ids=lambda package: package.__name__)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_tapped_sdk_over_our_transport_is_one_call(
    app: TrackedApp, provider: LoopbackProvider, package: Any, streamed: bool
) -> None:
    provider.fail(500)
    with openai_over(package, provider, app.tracker) as client:
        answer = client.chat.completions.create(**(STREAM if streamed else ASK))
        if streamed:
            assert len(list(answer)) > 40
    assert (app.event.status, app.event.attempts) == ("ok", 2)
    assert not is_covered()


def test_a_tapped_async_sdk_over_our_transport_is_one_call(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    async def ask() -> None:
        transport = app.tracker.http_transport(http.AsyncHTTPTransport(verify=False))
        client = openai.AsyncOpenAI(
            api_key="loopback",
            base_url=f"{provider.url}/v1",
            http_client=http.AsyncClient(transport=transport),
        )
        async with client:
            await asyncio.gather(*[client.chat.completions.create(**ASK) for _ in range(5)])
            assert not is_covered()

    asyncio.run(ask())
    assert [event.attempts for event in app.events] == [1] * 5


def test_a_tapped_anthropic_client_over_our_transport_is_one_call(
    app: TrackedApp, provider: LoopbackProvider
) -> None:
    package: Any = getattr(anthropic._base_client, "httpx2", None) or httpx
    client = anthropic.Anthropic(
        api_key="loopback", base_url=provider.url, http_client=client_of(package, app.tracker)
    )
    asked = {"model": "claude-pier", "max_tokens": 9, "messages": ASK["messages"]}
    with client, client.messages.stream(**asked) as stream:
        stream.until_done()
    assert (app.event.operation, app.event.output_tokens) == ("messages", 48)


def test_an_sdk_that_is_not_tapped_is_seen_by_its_transport(
    make_app: MakeApp, provider: LoopbackProvider
) -> None:
    app = make_app(config={**LOCAL, "LLM_COST_INSTRUMENT": None})
    provider.fail(500)
    with openai_over(http, provider, app.tracker) as client:
        assert client.chat.completions.create(**ASK).usage
        assert len(list(client.chat.completions.create(**STREAM))) > 40
    assert [(event.status, event.attempts) for event in app.events] == [("error", 1), ("ok", 1), ("ok", 1)]


@both_packages
def test_transports_around_each_other_record_once(
    app: TrackedApp, provider: LoopbackProvider, package: Any
) -> None:
    doubled = app.tracker.http_transport(app.tracker.http_transport(plain(package)))
    with package.Client(transport=doubled) as client:
        client.post(provider.url + CHAT, json=ASK)
    assert app.event.status == "ok"


def test_a_request_made_while_recording_passes(app: TrackedApp, provider: LoopbackProvider) -> None:
    client = client_of(httpx, app.tracker)
    answers: list[int] = []

    def on_call(sender: object, event: object) -> None:
        answers.append(client.post(provider.url + CHAT, json=ASK).status_code)

    with client, call_recorded.connected_to(on_call):
        client.post(provider.url + CHAT, json=ASK)
    assert answers == [200]
    assert app.event.status == "ok"


@pytest.mark.parametrize(
    "tags",
    [{"feature": "quay", "user": 7}, lambda: {"feature": "quay", "user": 7}],
    ids=["mapping", "callable"],
)
def test_the_transports_tags_come_on_top(app: TrackedApp, provider: LoopbackProvider, tags: Any) -> None:
    with client_of(httpx, app.tracker, tags=tags) as client, with_tags(feature="pier", tenant="acme"):
        client.post(provider.url + CHAT, json=ASK)
    assert (app.event.user_id, dict(app.event.tags)) == ("7", {"tenant": "acme", "feature": "quay"})


def broken() -> dict[str, object]:
    raise LookupError("no tags")


@pytest.mark.parametrize(
    "tags", [broken, lambda: "feature=quay", lambda: None], ids=["raises", "text", "none"]
)
def test_tags_that_cannot_be_had_cost_no_call(app: TrackedApp, provider: LoopbackProvider, tags: Any) -> None:
    with client_of(httpx, app.tracker, tags=tags) as client, with_tags(feature="pier"):
        client.post(provider.url + CHAT, json=ASK)
    assert dict(app.event.tags) == {"feature": "pier"}


def test_outside_any_context_a_call_belongs_to_the_trackers_only_app(
    make_app: MakeApp, provider: LoopbackProvider
) -> None:
    first, second = make_app("first", LOCAL), make_app("second", LOCAL)
    with client_of(httpx, first.tracker) as client:
        client.post(provider.url + CHAT, json=ASK)
        assert (len(first.events), len(second.events)) == (1, 0)
        with second.flask.app_context():
            client.post(provider.url + CHAT, json=ASK)
        assert (len(first.events), len(second.events)) == (1, 1)


def test_a_transport_may_be_made_before_the_app(provider: LoopbackProvider, make_app: MakeApp) -> None:
    tracker = LLMCostTracker()
    client = client_of(httpx, tracker)
    assert client.post(provider.url + CHAT, json=ASK).is_success
    app = make_app(config=LOCAL)  # not the tracker's own, but the only one
    assert client.post(provider.url + CHAT, json=ASK).is_success
    assert app.event.status == "ok"
    client.close()


def test_after_a_shutdown_nothing_is_recorded(make_app: MakeApp, provider: LoopbackProvider) -> None:
    app = make_app(config=LOCAL)
    with client_of(httpx, app.tracker) as client, app.flask.app_context():
        app.tracker.shutdown()
        assert client.post(provider.url + CHAT, json=ASK).is_success
    assert app.events == []


def test_a_thread_takes_tags_along_with_copy_context(app: TrackedApp, provider: LoopbackProvider) -> None:
    with client_of(httpx, app.tracker) as client, with_tags(feature="quay"):
        work = copy_context(lambda: client.post(provider.url + CHAT, json=ASK))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert dict(app.event.tags) == {"feature": "quay"}


def test_a_stream_belongs_to_the_app_it_began_in(make_app: MakeApp, provider: LoopbackProvider) -> None:
    first, second = make_app("first", LOCAL), make_app("second", LOCAL)
    with client_of(httpx, first.tracker) as client:
        with second.flask.app_context(), with_tags(feature="quay"):
            response = client.send(
                client.build_request("POST", provider.url + CHAT, json=STREAM), stream=True
            )
        with first.flask.app_context(), with_tags(feature="pier"):
            response.read()
    assert first.events == []
    assert dict(second.event.tags) == {"feature": "quay"}
