"""One way to ask clients of HTTP packages, through what the tracker gives them or tapped as they are, so that
one test covers them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
import httpx2
import requests
import urllib3

from flask_llm_cost.extension import LLMCostTracker

ASK: Any = {"model": "gpt-quay", "messages": [{"role": "user", "content": "Is the quay open?"}]}
STREAM: Any = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Seen:
    """What the host saw of an answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    kind: type


class Client:
    """A kind of client. Without a tracker it is one as it comes.

    :param timeout: seconds.
    """

    name: str
    #: What the app needs to be told, for its requests to be seen.
    config: dict[str, Any] = {}
    connect_error: type[Exception]
    #: Raised before the answer, and within it.
    timeout_errors: tuple[type[Exception], type[Exception]]
    broken_error: type[Exception]
    decoding_error: type[Exception]

    def post(self, url: str, *, tracker: LLMCostTracker | None, timeout: float = 5, **body: Any) -> Seen:
        """Send a request and read its whole answer."""
        raise NotImplementedError

    def stream(
        self,
        url: str,
        *,
        tracker: LLMCostTracker | None,
        pieces: int | None = None,
        timeout: float = 5,
        **body: Any,
    ) -> Seen:
        """Read an answer as it comes, and leave after so many pieces."""
        raise NotImplementedError

    def recorded_as(self, error: type[Exception], situation: str) -> str:
        """The name under which this exception is recorded: its own, where the client is the one tapped."""
        return error.__name__

    def __repr__(self) -> str:
        return self.name


class Sync(Client):
    def __init__(self, package: Any) -> None:
        self.name = package.__name__
        self.package = package
        self.connect_error, self.decoding_error = package.ConnectError, package.DecodingError
        self.timeout_errors = (package.ReadTimeout, package.ReadTimeout)
        self.broken_error = package.RemoteProtocolError

    def client(self, tracker: LLMCostTracker | None, timeout: float) -> Any:
        transport = self.package.HTTPTransport(verify=False)
        return self.package.Client(
            transport=tracker.http_transport(transport) if tracker else transport, timeout=timeout
        )

    def post(self, url: str, *, tracker: LLMCostTracker | None, timeout: float = 5, **body: Any) -> Seen:
        with self.client(tracker, timeout) as client:
            return _seen(response := client.post(url, **body), response.content)

    def stream(
        self,
        url: str,
        *,
        tracker: LLMCostTracker | None,
        pieces: int | None = None,
        timeout: float = 5,
        **body: Any,
    ) -> Seen:
        read = b""
        with self.client(tracker, timeout) as client, client.stream("POST", url, **body) as response:
            for number, piece in enumerate(response.iter_bytes(), start=1):
                read += piece
                if number == pieces:
                    break
        return _seen(response, read)


class Async(Client):
    def __init__(self, package: Any) -> None:
        self.name = f"{package.__name__} async"
        self.package = package
        self.connect_error, self.decoding_error = package.ConnectError, package.DecodingError
        self.timeout_errors = (package.ReadTimeout, package.ReadTimeout)
        self.broken_error = package.RemoteProtocolError

    def client(self, tracker: LLMCostTracker | None, timeout: float) -> Any:
        transport = self.package.AsyncHTTPTransport(verify=False)
        return self.package.AsyncClient(
            transport=tracker.http_transport(transport) if tracker else transport, timeout=timeout
        )

    def post(self, url: str, *, tracker: LLMCostTracker | None, timeout: float = 5, **body: Any) -> Seen:
        async def work(client: Any) -> Seen:
            return _seen(response := await client.post(url, **body), response.content)

        return self._run(work, tracker, timeout)

    def stream(
        self,
        url: str,
        *,
        tracker: LLMCostTracker | None,
        pieces: int | None = None,
        timeout: float = 5,
        **body: Any,
    ) -> Seen:
        async def work(client: Any) -> Seen:
            read, number = b"", 0
            async with client.stream("POST", url, **body) as response:
                async for piece in response.aiter_bytes():
                    read, number = read + piece, number + 1
                    if number == pieces:
                        break
            return _seen(response, read)

        return self._run(work, tracker, timeout)

    def _run(
        self, work: Callable[[Any], Awaitable[Seen]], tracker: LLMCostTracker | None, timeout: float
    ) -> Seen:
        async def main() -> Seen:
            async with self.client(tracker, timeout) as client:
                return await work(client)

        return asyncio.run(main())


class Requests(Client):
    name = "requests"
    connect_error = requests.exceptions.ConnectionError
    timeout_errors = (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError)
    broken_error = requests.exceptions.ChunkedEncodingError
    decoding_error = requests.exceptions.ContentDecodingError

    def session(self, tracker: LLMCostTracker | None) -> requests.Session:
        session = requests.Session()
        if tracker:
            session.mount("http://", tracker.requests_adapter())
        return session

    def post(self, url: str, *, tracker: LLMCostTracker | None, timeout: float = 5, **body: Any) -> Seen:
        with self.session(tracker) as session:
            return _seen(response := session.post(url, timeout=timeout, **_renamed(body)), response.content)

    def stream(
        self,
        url: str,
        *,
        tracker: LLMCostTracker | None,
        pieces: int | None = None,
        timeout: float = 5,
        **body: Any,
    ) -> Seen:
        read = b""
        with (
            self.session(tracker) as session,
            session.post(url, timeout=timeout, stream=True, **_renamed(body)) as response,
        ):
            for number, piece in enumerate(response.iter_content(None), start=1):
                read += piece
                if number == pieces:
                    break
        return _seen(response, read)


class Urllib3(Client):
    name = "urllib3"
    connect_error = urllib3.exceptions.NewConnectionError
    timeout_errors = (urllib3.exceptions.ReadTimeoutError, urllib3.exceptions.ReadTimeoutError)
    broken_error = urllib3.exceptions.ProtocolError
    decoding_error = urllib3.exceptions.DecodeError

    def post(self, url: str, *, tracker: LLMCostTracker | None, timeout: float = 5, **body: Any) -> Seen:
        with urllib3.PoolManager() as pool:
            return _seen(response := self._send(pool, url, timeout, body), response.data)

    def stream(
        self,
        url: str,
        *,
        tracker: LLMCostTracker | None,
        pieces: int | None = None,
        timeout: float = 5,
        **body: Any,
    ) -> Seen:
        read = b""
        with urllib3.PoolManager() as pool:
            response = self._send(pool, url, timeout, {**body, "preload_content": False})
            try:
                for number, piece in enumerate(response.stream(2**16, decode_content=True), start=1):
                    read += piece
                    if number == pieces:
                        break
            finally:
                response.close()
        return _seen(response, read)

    def _send(self, pool: urllib3.PoolManager, url: str, timeout: float, body: dict[str, Any]) -> Any:
        options = {"body" if name == "content" else name: value for name, value in body.items()}
        if "files" in options:
            options["fields"] = {**options.pop("data"), **options.pop("files")}
        redirects = options.pop("allow_redirects", True)
        retries = urllib3.Retry(connect=False, read=False, redirect=3 if redirects else False)
        return pool.request("POST", url, timeout=timeout, retries=retries, redirect=redirects, **options)


class Aiohttp(Client):
    name = "aiohttp async"
    connect_error = aiohttp.ClientConnectorError
    timeout_errors = (aiohttp.SocketTimeoutError, aiohttp.SocketTimeoutError)
    broken_error = aiohttp.ClientPayloadError
    decoding_error = aiohttp.ClientPayloadError

    def post(self, url: str, *, tracker: LLMCostTracker | None, timeout: float = 5, **body: Any) -> Seen:
        async def work(response: aiohttp.ClientResponse) -> bytes:
            return await response.read()

        return self._run(work, url, timeout, body)

    def stream(
        self,
        url: str,
        *,
        tracker: LLMCostTracker | None,
        pieces: int | None = None,
        timeout: float = 5,
        **body: Any,
    ) -> Seen:
        async def work(response: aiohttp.ClientResponse) -> bytes:
            read, number = b"", 0
            async for piece in response.content.iter_any():
                read, number = read + piece, number + 1
                if number == pieces:
                    break
            return read

        return self._run(work, url, timeout, body)

    def _run(
        self,
        work: Callable[[aiohttp.ClientResponse], Awaitable[bytes]],
        url: str,
        timeout: float,
        body: dict[str, Any],
    ) -> Seen:
        options = {"data" if name == "content" else name: value for name, value in body.items()}
        if "files" in options:
            options["data"] = form = aiohttp.FormData(options["data"])
            for name, (filename, content) in options.pop("files").items():
                form.add_field(name, content, filename=filename)

        async def main() -> Seen:
            limit = aiohttp.ClientTimeout(sock_read=timeout)
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.post(url, **options) as response,
            ):
                read = await work(response)
            return Seen(response.status, list(response.headers.items()), read, type(response))

        return asyncio.run(main())


class Tapped(Client):
    """A client as it comes, in an app that taps the HTTP packages of its process.

    :param recorded: under which names its exceptions are recorded, by situation, where it sends through
        another package.
    """

    config = {"LLM_COST_INSTRUMENT": ["http"]}

    def __init__(self, inner: Client, recorded: dict[str, str] | None = None) -> None:
        self.name = f"{inner.name} tapped"
        self._inner = inner
        self._recorded = recorded or {}
        self.connect_error, self.timeout_errors = inner.connect_error, inner.timeout_errors
        self.broken_error, self.decoding_error = inner.broken_error, inner.decoding_error

    def post(self, url: str, *, tracker: LLMCostTracker | None, **options: Any) -> Seen:
        return self._inner.post(url, tracker=None, **options)

    def stream(self, url: str, *, tracker: LLMCostTracker | None, **options: Any) -> Seen:
        return self._inner.stream(url, tracker=None, **options)

    def recorded_as(self, error: type[Exception], situation: str) -> str:
        return self._recorded.get(situation, error.__name__)


#: What urllib3 raises where requests raises exceptions of its own.
OF_URLLIB3 = {
    "connect": "MaxRetryError",
    "timeout before the answer": "ReadTimeoutError",
    "timeout within the answer": "ReadTimeoutError",
    "broken": "ProtocolError",
    "decoding": "DecodeError",
}


def _renamed(body: dict[str, Any]) -> dict[str, Any]:
    return {"data" if name == "content" else name: value for name, value in body.items()}


def _seen(response: Any, body: bytes) -> Seen:
    return Seen(
        response.status if type(response) is urllib3.HTTPResponse else response.status_code,
        list(response.headers.items()),
        body,
        type(response),
    )


CLIENTS: list[Client] = [
    Sync(httpx),
    Sync(httpx2),
    Async(httpx),
    Async(httpx2),
    Requests(),
    Tapped(Sync(httpx)),
    Tapped(Sync(httpx2)),
    Tapped(Async(httpx)),
    Tapped(Async(httpx2)),
    Tapped(Requests(), OF_URLLIB3),
    Tapped(Urllib3()),
    Tapped(Aiohttp()),
]
