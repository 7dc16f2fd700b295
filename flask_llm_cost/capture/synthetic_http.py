"""One made-up call per tapped HTTP package, by its own client, through a proxy in this process that answers
in the provider's place: the taps sit where requests leave for the network, which a mock would not reach.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from http.server import HTTPServer
from typing import Any

#: Plain HTTP, which a proxy is sent as it is.
_URL = "http://api.openai.com/v1/chat/completions"
_SECONDS = 10


def call_httpx(model: str, response_id: str) -> None:
    """A chat completion by httpx."""
    _call_httpx("httpx", model, response_id)


def call_httpx2(model: str, response_id: str) -> None:
    """A chat completion by httpx2."""
    _call_httpx("httpx2", model, response_id)


def call_urllib3(model: str, response_id: str) -> None:
    """A chat completion by urllib3."""
    http: Any = importlib.import_module("urllib3")
    with _proxy(model, response_id) as proxy, http.ProxyManager(proxy) as pool:
        pool.request("POST", _URL, body=_asked(model), timeout=_SECONDS, retries=False)


def call_aiohttp(model: str, response_id: str) -> None:
    """A chat completion by aiohttp."""
    http: Any = importlib.import_module("aiohttp")

    async def call(proxy: str) -> None:
        limit = http.ClientTimeout(total=_SECONDS)
        async with (
            http.ClientSession(timeout=limit) as session,
            session.post(_URL, data=_asked(model), proxy=proxy) as response,
        ):
            await response.read()

    with _proxy(model, response_id) as proxy:
        asyncio.run(call(proxy))


def _call_httpx(package: str, model: str, response_id: str) -> None:
    http: Any = importlib.import_module(package)
    with (
        _proxy(model, response_id) as proxy,
        http.Client(proxy=proxy, trust_env=False, timeout=_SECONDS) as client,
    ):
        client.post(_URL, content=_asked(model))


def _asked(model: str) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "ping"}]}).encode()


@contextmanager
def _proxy(model: str, response_id: str) -> Iterator[str]:
    """The URL of a proxy on this machine that answers one chat completion."""
    usage = {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}
    body = json.dumps({"id": response_id, "model": model, "choices": [], "usage": usage}).encode()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        server.timeout = _SECONDS
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            thread.join(_SECONDS)
