"""The taps of HTTP packages: asked for by name, checked, put on once, and taken off without a trace."""

from __future__ import annotations

import inspect
import subprocess
import sys
import types
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import urllib3

from flask_llm_cost import capture
from flask_llm_cost.capture import client_aiohttp
from flask_llm_cost.capture import client_httpx
from flask_llm_cost.capture import client_urllib3
from flask_llm_cost.errors import CaptureContractError
from tests.capture.conftest import MakeApp
from tests.capture.google_calls import quiet_aiohttp
from tests.capture.http_clients import ASK
from tests.capture.http_clients import CHAT
from tests.loopback import LoopbackProvider

pytestmark = quiet_aiohttp

HTTP: dict[str, Any] = {
    "LLM_COST_PROVIDER_HOSTS": {"127.0.0.1": "openai"},
    "LLM_COST_INSTRUMENT": ["http"],
}
TAPPED: list[tuple[type, str]] = [
    (httpx.HTTPTransport, "handle_request"),
    (httpx.AsyncHTTPTransport, "handle_async_request"),
    (httpx2.HTTPTransport, "handle_request"),
    (httpx2.AsyncHTTPTransport, "handle_async_request"),
    (urllib3.HTTPConnectionPool, "urlopen"),
    *[(urllib3.HTTPResponse, name) for name in ("read", "read1", "read_chunked", "stream", "close")],
    (aiohttp.ClientSession, "_request"),
]


def methods() -> list[Any]:
    return [vars(cls)[name] for cls, name in TAPPED]


def post(url: str) -> None:
    with urllib3.PoolManager() as pool:
        pool.request("POST", url, json=ASK)


def test_the_last_app_leaves_the_packages_as_they_were(make_app: MakeApp) -> None:
    before = methods()
    make_app("plain", {"LLM_COST_INSTRUMENT": "auto"})
    assert methods() == before, "auto means the SDKs"
    first, second = make_app("first", HTTP), make_app("second", HTTP)
    patched = methods()
    assert all(new is not old for new, old in zip(patched, before, strict=True))
    first.close()
    assert methods() == patched
    second.close()
    assert methods() == before


def test_a_patched_method_looks_like_the_original(make_app: MakeApp) -> None:
    make_app(config=HTTP)
    for method in methods():
        for look in (inspect.signature, inspect.iscoroutinefunction):
            assert look(method) == look(method.__wrapped__)  # type: ignore[operator]
        assert (method.__name__, method.__doc__) == (method.__wrapped__.__name__, method.__wrapped__.__doc__)


def test_a_wrapper_that_could_not_be_taken_off_only_passes_on(
    make_app: MakeApp, provider: LoopbackProvider
) -> None:
    app = make_app(config=HTTP)
    ours = urllib3.HTTPConnectionPool.urlopen

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    urllib3.HTTPConnectionPool.urlopen = theirs  # type: ignore[method-assign]
    try:
        post(provider.url + CHAT)
        capture.uninstall(["http"])
        post(provider.url + CHAT)
        assert app.event.status == "ok"
    finally:
        urllib3.HTTPConnectionPool.urlopen = ours  # type: ignore[method-assign]
        capture.install(["http"])


def test_the_status_names_the_packages_where_they_are_asked_for(make_app: MakeApp) -> None:
    app = make_app(config=HTTP)
    found = {status.sdk: status for status in capture.status(("http",))}
    assert {name: found[name].state for name in ("httpx", "httpx2", "urllib3", "aiohttp", "openai")} == {
        "httpx": "active",
        "httpx2": "active",
        "urllib3": "active",
        "aiohttp": "active",
        "openai": "off",
    }
    assert found["urllib3"].version == urllib3.__version__
    assert "known provider" in found["urllib3"].reason
    assert "urllib3" not in {status.sdk for status in capture.status()}
    app.close()
    assert {status.state for status in capture.status(("auto", "http"))} == {"off"}


def httpx_with(**changes: Any) -> types.ModuleType:
    class HTTPTransport:
        def handle_request(self, request: Any) -> None: ...

    class AsyncHTTPTransport:
        async def handle_async_request(self, request: Any) -> None: ...

    module = types.ModuleType("httpx")
    module.HTTPTransport, module.AsyncHTTPTransport = HTTPTransport, AsyncHTTPTransport  # type: ignore[attr-defined]
    for name, value in changes.items():
        setattr(HTTPTransport if name == "handle_request" else module, name, value)
    return module


def urllib3_with(**changes: Any) -> types.ModuleType:
    class HTTPConnectionPool:
        def urlopen(self, method: Any, url: Any, body: Any = None, headers: Any = None) -> None: ...

    class HTTPResponse:
        def read(self) -> None: ...
        def read_chunked(self) -> None: ...
        def stream(self) -> None: ...
        def close(self) -> None: ...

    module = types.ModuleType("urllib3")
    module.HTTPConnectionPool, module.HTTPResponse = HTTPConnectionPool, HTTPResponse  # type: ignore[attr-defined]
    owners: dict[str, Any] = {"urlopen": HTTPConnectionPool, "read_chunked": HTTPResponse}
    for name, value in changes.items():
        setattr(owners.get(name, module), name, value)
    return module


def aiohttp_with(**changes: Any) -> types.ModuleType:
    class ClientSession:
        async def _request(self, method: Any, str_or_url: Any) -> None: ...

    module = types.ModuleType("aiohttp")
    module.ClientSession, module.StreamReader = ClientSession, aiohttp.StreamReader  # type: ignore[attr-defined]
    for name, value in changes.items():
        setattr(ClientSession if name == "_request" else module, name, value)
    return module


async def _any_async(self: Any, *args: Any, **kwargs: Any) -> None: ...


class _Elsewhere:
    """A reader that keeps its bytes in another place."""

    _buffer: list[bytes] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def feed_data(self, data: bytes) -> None: ...


@pytest.mark.parametrize(
    ("tap", "module", "problem"),
    [
        (client_httpx, httpx, None),
        (client_httpx, httpx2, None),
        (client_urllib3, urllib3, None),
        (client_aiohttp, aiohttp, None),
        (client_httpx, httpx_with(), None),
        (client_urllib3, urllib3_with(), None),
        (client_aiohttp, aiohttp_with(), None),
        (client_httpx, httpx_with(AsyncHTTPTransport=None), "httpx has no class AsyncHTTPTransport"),
        (client_httpx, httpx_with(handle_request=3), "handle_request is no method"),
        (client_httpx, httpx_with(handle_request=_any_async), "is a coroutine function"),
        (client_urllib3, urllib3_with(HTTPResponse=None), "no HTTPResponse"),
        (client_urllib3, urllib3_with(urlopen=3), "urlopen is no method"),
        (client_urllib3, urllib3_with(urlopen=lambda self, url: None), "takes no method, body, headers"),
        (client_urllib3, urllib3_with(urlopen=lambda self, *args, **kwargs: None), None),
        (client_urllib3, urllib3_with(read_chunked=3), "HTTPResponse has no read_chunked"),
        (client_aiohttp, aiohttp_with(ClientSession=None), "has no class ClientSession"),
        (client_aiohttp, aiohttp_with(_request=lambda self: None), "no coroutine function"),
        (client_aiohttp, aiohttp_with(_request=_any_async), None),
        (client_aiohttp, aiohttp_with(StreamReader=object), "cannot be read along (TypeError)"),
        (client_aiohttp, aiohttp_with(StreamReader=_Elsewhere), "keeps its bytes elsewhere"),
    ],
)
def test_the_contract_is_checked(tap: Any, module: Any, problem: str | None) -> None:
    found = tap.broken_contract(module)
    assert found is None if problem is None else problem in str(found)


def test_patched_packages_keep_the_contract(make_app: MakeApp) -> None:
    make_app(config=HTTP)
    assert client_httpx.broken_contract(httpx) is None
    assert client_urllib3.broken_contract(urllib3) is None
    assert client_aiohttp.broken_contract(aiohttp) is None


def test_a_loaded_package_that_does_not_fit_stops_the_start(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", httpx_with(handle_request=3))
    with pytest.raises(
        CaptureContractError, match=r"httpx .* cannot be tapped: .*handle_request is no method"
    ):
        make_app(config=HTTP)


def test_without_any_package_the_start_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])  # as if nothing were installed
    with pytest.raises(CaptureContractError, match="none of httpx, httpx2, urllib3, aiohttp is installed"):
        capture.install(["http"])


def test_a_package_imported_later_is_tapped(provider: LoopbackProvider) -> None:
    script = f"""
from flask import Flask
from flask_llm_cost import capture
from flask_llm_cost.extension import LLMCostTracker

events = []
app = Flask("harbour")
app.config["LLM_COST_INSTRUMENT"] = ["http"]
app.config["LLM_COST_PROVIDER_HOSTS"] = {{"127.0.0.1": "mistral"}}
LLMCostTracker(app, storage=events.append)

def states():
    return [found.state for found in capture.status(("http",)) if found.sdk in ("httpx2", "urllib3")]

print(*states())
import httpx2
import requests

httpx2.post("{provider.url}{CHAT}", json={{"model": "quay"}})
requests.post("{provider.url}{CHAT}", json={{"model": "pier"}})
print(*states())
print(*[f"{{event.provider}}/{{event.model}}" for event in events])
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["waiting waiting", "active active", "mistral/quay mistral/pier"]
