"""A loopback provider, real clients that talk to it, and an app whose events land in a list."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import groq
import openai
import pytest
from flask import Flask
from google import genai
from google.genai import _api_client

from flask_llm_cost import capture
from flask_llm_cost.events import Event
from flask_llm_cost.extension import LLMCostTracker
from flask_llm_cost.runtime import Runtime
from flask_llm_cost.runtime import registry
from flask_llm_cost.runtime import runtime_of
from tests.loopback import LoopbackProvider
from tests.loopback import loopback_provider


def http_of(sdk: Any) -> Any:
    """The HTTP package that an installed SDK speaks: httpx2, or httpx before openai 3 and anthropic 1."""
    return getattr(sdk._base_client, "httpx2", None) or sdk._base_client.httpx


http = http_of(openai)

#: The same for google-genai: httpx2, or httpx before version 3.
google_http: Any = getattr(_api_client, "httpx2", None) or _api_client.httpx

needs_middleware = pytest.mark.skipif(
    "middleware" not in inspect.signature(anthropic.Anthropic).parameters,
    reason="this anthropic has no middleware yet",
)


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_tapped_yet() -> None:
    """Other tests of the process leave apps behind that nobody shut down."""
    for app in registry.apps():
        registry.discard(app)
    while any(sdk.state in ("active", "waiting") for sdk in capture.status()):
        capture.uninstall("auto")


def chat_helpers(client: Any) -> Any:
    """Where a client of openai has ``parse`` and ``stream``: among the beta resources before version 1.92."""
    found = client.chat.completions
    return found if hasattr(found, "parse") else client.beta.chat.completions


class TrackedApp:
    """An app whose storage is a list."""

    def __init__(self, name: str, config: dict[str, Any], options: dict[str, Any]) -> None:
        self.stored: list[Event] = []
        self.flask = Flask(name)
        self.flask.config.update(TESTING=True, LLM_COST_DASHBOARD=False, **config)
        self.tracker = LLMCostTracker()
        self.tracker.init_app(self.flask, **{"storage": self.stored.append, **options})

    @property
    def runtime(self) -> Runtime:
        runtime = runtime_of(self.flask)
        assert runtime is not None
        return runtime

    @property
    def events(self) -> list[Event]:
        """Everything recorded, what finalizers left behind included."""
        self.runtime.recorder.catch_up()
        return self.stored

    @property
    def event(self) -> Event:
        """The only one."""
        (event,) = self.events
        return event

    def close(self) -> None:
        with self.flask.app_context():
            self.tracker.shutdown(timeout=0)


MakeApp = Callable[..., TrackedApp]


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """``make_app(name, {config}, **init_app_options)``; all are taken down at the end."""
    made: list[TrackedApp] = []

    def make(name: str = "harbour", config: dict[str, Any] | None = None, **options: Any) -> TrackedApp:
        made.append(TrackedApp(name, config or {}, options))
        return made[-1]

    yield make
    for app in made:
        counted = app.runtime.counters.snapshot()
        app.close()
        assert "capture_errors" not in counted, counted


@pytest.fixture
def app(make_app: MakeApp) -> TrackedApp:
    """The only tracked app, so that calls need no app context."""
    return make_app()


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with loopback_provider() as running:
        yield running


@pytest.fixture(scope="session")
def openai_pool() -> Iterator[openai.OpenAI]:
    """Loading the certificates for a client takes longer than most tests: its HTTP client is shared."""
    with openai.OpenAI(api_key="loopback", timeout=5) as client:
        yield client


@pytest.fixture(scope="session")
def anthropic_pool() -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="loopback", timeout=5) as client:
        yield client


@pytest.fixture
def openai_client(provider: LoopbackProvider, openai_pool: openai.OpenAI) -> openai.OpenAI:
    return openai_pool.with_options(base_url=f"{provider.url}/v1")


@pytest.fixture
def anthropic_client(provider: LoopbackProvider, anthropic_pool: anthropic.Anthropic) -> anthropic.Anthropic:
    return anthropic_pool.with_options(base_url=provider.url)


@pytest.fixture(scope="session")
def groq_pool() -> Iterator[groq.Groq]:
    with groq.Groq(api_key="loopback", timeout=5) as client:
        yield client


@pytest.fixture
def groq_client(provider: LoopbackProvider, groq_pool: groq.Groq) -> groq.Groq:
    return groq_pool.with_options(base_url=provider.url)


@pytest.fixture
def google_client(provider: LoopbackProvider) -> Iterator[genai.Client]:
    with genai.Client(api_key="loopback", http_options=_google_options(provider)) as client:
        yield client


AsyncWork = Callable[[Any], Awaitable[Any]]
RunAsync = Callable[[AsyncWork], Any]


@pytest.fixture(params=["aiohttp", "httpx"])
def run_google(provider: LoopbackProvider, request: pytest.FixtureRequest) -> RunAsync:
    """``run_google(work)`` runs ``work(client.aio)`` to its end, with either HTTP package beneath."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        options = _google_options(provider)
        if request.param == "aiohttp":
            async with genai.Client(api_key="loopback", http_options=options).aio as client:
                yield client
        else:
            async with google_http.AsyncClient() as pool:
                options["httpx_async_client"] = pool
                yield genai.Client(api_key="loopback", http_options=options).aio

    def run(work: AsyncWork) -> Any:
        async def main() -> Any:
            async with opened() as client:
                return await work(client)

        return asyncio.run(main())

    return run


def _google_options(provider: LoopbackProvider) -> Any:
    return {"base_url": provider.url, "timeout": 5_000}
