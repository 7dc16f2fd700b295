"""Getting a published price list over HTTPS, in bounded time and size. Only commands call this."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field
from email.message import Message
from typing import IO
from urllib.parse import urlsplit

from .errors import RefreshError

#: Bytes of a list, unpacked; the largest published one has 3 MB.
SIZE_LIMIT = 16 * 1024 * 1024
#: Seconds for everything, and for one answer of the network.
TOTAL_TIMEOUT = 60.0
STEP_TIMEOUT = 15.0
REDIRECT_LIMIT = 3
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server answered. ``content`` is ``None`` where it is the same as before.

    :param url: where the answer came from, after redirects.
    """

    url: str
    content: bytes | None
    etag: str | None


def fetch(url: str, etag: str | None = None, *, timeout: float = TOTAL_TIMEOUT) -> Fetched:
    """The content behind an ``https:`` URL.

    Proxies and certificates are those of the environment (``HTTPS_PROXY``, ``SSL_CERT_FILE``).

    :param etag: of the content that is at hand; a server that has nothing newer says so.
    :raises RefreshError: not HTTPS, too slow, too large, cut off, or not answered with success.
    """
    _check_url(url)
    headers = {"User-Agent": "flask-llm-cost", "Accept": "application/json", "Accept-Encoding": "gzip"}
    if etag:
        headers["If-None-Match"] = etag
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above to be https
    deadline = _Deadline(timeout)
    opener = urllib.request.build_opener(_Redirects(), _Handler(deadline))
    with deadline.running(url):
        try:
            with opener.open(request, timeout=min(timeout, STEP_TIMEOUT)) as response:
                final = response.geturl()
                return Fetched(final, _body(final, response), response.headers.get("ETag"))
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.client.NOT_MODIFIED:
                    return Fetched(url, None, etag)
                if error.code in (301, 302, 303, 307, 308):
                    raise RefreshError(
                        f"{url} redirects too often, or to what is no https:// address."
                    ) from None
                raise RefreshError(f"{url} answered {error.code}.") from None
        except urllib.error.URLError as error:
            raise RefreshError(f"{url} cannot be reached: {error.reason}.") from error
        except (OSError, http.client.HTTPException) as error:
            raise RefreshError(f"{url} was cut off: {type(error).__name__}.") from error


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise RefreshError(f"{url}: only https:// addresses and local files are read.")
    if parts.username is not None or parts.password is not None:
        raise RefreshError(f"{parts.hostname}: an address with a user or password in it is not used.")


def _body(url: str, response: http.client.HTTPResponse) -> bytes:
    """The whole body, unpacked; never more than the limit is held, packed or not."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise RefreshError(f"{url}: the content encoding {encoding!r} is not understood.")
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == "gzip" else None
    found, received = bytearray(), 0
    while chunk := response.read1(_CHUNK):
        received += len(chunk)
        try:
            found += unpack.decompress(chunk, SIZE_LIMIT + 1 - len(found)) if unpack else chunk
        except zlib.error as error:
            raise RefreshError(f"{url}: the answer is not gzip, as it says.") from error
        if len(found) > SIZE_LIMIT:
            raise RefreshError(f"{url}: larger than {SIZE_LIMIT:,} bytes.")
    # What is left of the announced length: read1() takes an early end for the end.
    if response.length or (unpack and not unpack.eof):
        raise RefreshError(f"{url} was cut off after {received:,} bytes.")
    return bytes(found)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, and only to other ``https:`` addresses."""

    max_redirections = REDIRECT_LIMIT
    max_repeats = 1

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        try:
            _check_url(newurl)
        except RefreshError as error:
            fp.close()
            raise RefreshError(f"{req.full_url} redirects to another place. {error}") from None
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


class _Handler(urllib.request.HTTPSHandler):
    """Opens connections that a deadline can shut."""

    def __init__(self, deadline: _Deadline) -> None:
        super().__init__(context=ssl.create_default_context())
        self._deadline = deadline
        self._tls = ssl.create_default_context()

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        def connection(host: str, **options: float) -> _Connection:
            return _Connection(host, context=self._tls, deadline=self._deadline, timeout=options["timeout"])

        return self.do_open(connection, req)  # type: ignore[arg-type]


class _Connection(http.client.HTTPSConnection):
    def __init__(self, host: str, *, context: ssl.SSLContext, deadline: _Deadline, timeout: float) -> None:
        super().__init__(host, timeout=timeout, context=context)
        self._deadline = deadline

    def connect(self) -> None:
        super().connect()
        self._deadline.watch(self.sock)


@dataclass(slots=True)
class _Deadline:
    """Shuts what is still open when the time is over: a server that drips never times out by itself."""

    seconds: float
    _sockets: list[socket.socket] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def watch(self, connection: socket.socket) -> None:
        self._sockets.append(connection)
        if self._over.is_set():  # while it was being connected
            self._shut()

    @contextmanager
    def running(self, url: str) -> Iterator[None]:
        """Hold the block to the time.

        :raises RefreshError: it took longer, however it ended.
        """
        timer = threading.Timer(self.seconds, self._shut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except RefreshError:
            if not self._over.is_set():
                raise
        finally:
            timer.cancel()
        if self._over.is_set():
            raise RefreshError(f"{url} took longer than {self.seconds:g} seconds.")

    def _shut(self) -> None:
        self._over.set()
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
