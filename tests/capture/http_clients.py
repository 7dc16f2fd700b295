"""One way to ask clients of httpx, httpx2 (sync and async) and requests, so that one test covers them all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import httpx2
import requests

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


def _renamed(body: dict[str, Any]) -> dict[str, Any]:
    return {"data" if name == "content" else name: value for name, value in body.items()}


def _seen(response: Any, body: bytes) -> Seen:
    return Seen(response.status_code, list(response.headers.items()), body, type(response))


CLIENTS: list[Client] = [Sync(httpx), Sync(httpx2), Async(httpx), Async(httpx2), Requests()]
