"""A provider on 127.0.0.1 that speaks the formats of OpenAI, Anthropic and Google, with scripted answers.

``python -m tests.loopback`` serves the default answers in a process of its own and prints its port.
"""

from __future__ import annotations

import functools
import json
import socket
import socketserver
import sys
import threading
import zlib
from collections import deque
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from tests.wire_formats import default_answer
from tests.wire_formats import openai_error


@dataclass(frozen=True)
class Received:
    """One HTTP request as it arrived; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """A scripted answer. More than one piece, or ``streamed``, is sent chunk by chunk."""

    pieces: list[bytes]
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    streamed: bool = False
    #: Seconds before the head, and between pieces.
    delay: float = 0.0
    pause: float = 0.0
    #: Close the connection after this many pieces, without the end of the body.
    cut_after: int | None = None
    #: Wait for :meth:`LoopbackProvider.release` after this many pieces.
    hold_after: int | None = None

    @functools.cached_property
    def head(self) -> bytes:
        size = "transfer-encoding: chunked" if self.streamed else f"content-length: {len(self.pieces[0])}"
        lines = [f"HTTP/1.1 {self.status} Scripted", size]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class LoopbackProvider:
    """The server. Requests are answered from the script first, then as a healthy provider would."""

    def __init__(self, *, port: int = 0, keep_requests: bool = True) -> None:
        self.requests: list[Received] = []
        #: How many connections were opened.
        self.connections = 0
        self._keep_requests = keep_requests
        self._script: deque[Answer] = deque()
        self._released = threading.Event()
        self._stopped = threading.Event()
        self._connections: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The base URL for Anthropic's and Google's clients; OpenAI's takes ``url + "/v1"``."""
        return f"http://127.0.0.1:{self.port}"

    def answer(
        self,
        body: Mapping[str, Any] | list[Any] | bytes,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        gzip: bool = False,
        delay: float = 0.0,
        times: int = 1,
    ) -> None:
        """Answer the next ``times`` requests with ``body``."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json", **(headers or {})}
        if gzip:
            raw, sent["content-encoding"] = b"".join(_zipped([raw])), "gzip"
        self._script.extend(Answer([raw], status, sent, delay=delay) for _ in range(times))

    def fail(self, status: int, body: Mapping[str, Any] | None = None, *, times: int = 1) -> None:
        """Refuse the next ``times`` requests; the SDKs do not wait before they try again."""
        self.answer(
            body or openai_error(),
            status=status,
            headers={"retry-after": "0", "retry-after-ms": "1"},
            times=times,
        )

    def stream(
        self,
        pieces: Iterable[bytes],
        *,
        headers: Mapping[str, str] | None = None,
        gzip: bool = False,
        **timing: Any,
    ) -> None:
        """Answer the next request piece by piece; ``timing`` takes the fields of :class:`Answer`."""
        sent = {"content-type": "text/event-stream; charset=utf-8", **(headers or {})}
        parts = list(pieces)
        if gzip:
            parts, sent["content-encoding"] = _zipped(parts), "gzip"
        self._script.append(Answer(parts, 200, sent, streamed=True, **timing))

    def release(self) -> None:
        """Let answers go on that wait at ``hold_after``."""
        self._released.set()

    def start(self) -> LoopbackProvider:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection and the listening socket."""
        self._stopped.set()
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client closed it first
        self._server.server_close()

    def __enter__(self) -> LoopbackProvider:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answer_to(self, request: Received) -> Answer:
        if self._keep_requests:
            self.requests.append(request)
        if self._script:
            return self._script.popleft()
        return _healthy(urlsplit(request.path).path, *_asked(request.body))

    def _wait(self, seconds: float) -> None:
        if seconds:
            self._stopped.wait(seconds)


def _asked(body: bytes) -> tuple[str, bool, bool]:
    try:
        asked = json.loads(body or b"{}")
    except ValueError:
        return "", False, False
    if not isinstance(asked, dict):
        return "", False, False
    options = asked.get("stream_options") or {}
    return str(asked.get("model", "")), bool(asked.get("stream")), bool(options.get("include_usage"))


@functools.lru_cache(maxsize=256)
def _healthy(path: str, model: str, stream: bool, include_usage: bool) -> Answer:
    body = {"model": model, "stream": stream, "stream_options": {"include_usage": include_usage}}
    try:
        found = default_answer(path, body)
    except LookupError:
        return Answer([json.dumps(openai_error("not_found")).encode()], 404, _JSON_HEADERS)
    if isinstance(found, list):
        return Answer(found, headers={"content-type": "text/event-stream"}, streamed=True)
    return Answer([json.dumps(found).encode()], headers=_JSON_HEADERS)


_JSON_HEADERS = {"content-type": "application/json"}


def _zipped(pieces: Iterable[bytes]) -> list[bytes]:
    """Each piece can be unpacked as soon as it arrives, as a compressing proxy sends a stream."""
    packer = zlib.compressobj(wbits=31)
    found = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    found[-1] += packer.flush()
    return found


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = False  # stop() waits for them, so that no socket is left to the garbage collector
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], provider: LoopbackProvider) -> None:
        self.provider = provider
        super().__init__(address, _Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that went away is a case we test
            super().handle_error(request, client_address)


class _Connection(socketserver.StreamRequestHandler):
    """HTTP/1.1 with keep-alive, as little of it as our clients need, which is what makes it fast."""

    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        provider = self.server.provider
        provider._connections.add(self.connection)
        provider.connections += 1
        try:
            if provider._stopped.is_set():
                return
            while (request := self._read()) is not None:
                if not self._send(provider, provider._answer_to(request)):
                    return
        except OSError:
            return  # the client hung up
        finally:
            provider._connections.discard(self.connection)

    def _read(self) -> Received | None:
        first = self.rfile.readline()
        if not first.strip():
            return None
        method, path, _ = first.decode().split(" ", 2)
        headers: dict[str, str] = {}
        while line := self.rfile.readline().rstrip(b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Received(method, path, headers, self.rfile.read(int(headers.get("content-length", 0))))

    def _send(self, provider: LoopbackProvider, answer: Answer) -> bool:
        """Write the answer; whether the connection stays open."""
        provider._wait(answer.delay)
        if not answer.streamed:
            self.connection.sendall(answer.head + answer.pieces[0])
            return True
        self.connection.sendall(answer.head)
        for sent, piece in enumerate(answer.pieces):
            if sent == answer.hold_after:
                provider._released.wait()
            if sent == answer.cut_after:
                return False
            self.connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            provider._wait(answer.pause)
        self.connection.sendall(b"0\r\n\r\n")
        return True


@contextmanager
def loopback_provider() -> Iterator[LoopbackProvider]:
    """A running provider, stopped at the end; a fixture is ``with loopback_provider() as it: yield it``."""
    with LoopbackProvider() as provider:
        yield provider


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Serve until standard input closes."""
    with LoopbackProvider(keep_requests=False) as provider:
        print(provider.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
