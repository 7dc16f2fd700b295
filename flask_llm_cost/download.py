"""Getting one document over HTTPS, in bounded time and size. Only commands call this."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import IO
from urllib.parse import urlsplit

from .errors import LLMCostError
from .time_limit import TimeLimit

#: Bytes of a document, unpacked; the largest published price list has 3 MB.
SIZE_LIMIT = 16 * 1024 * 1024
#: Seconds for everything, and for one answer of the network.
TOTAL_TIMEOUT = 60.0
STEP_TIMEOUT = 15.0
REDIRECT_LIMIT = 3
REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 64 * 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class DownloadError(LLMCostError, RuntimeError):
    """A document could not be had.

    :param passing: whether another attempt may succeed: the network failed, not the address or the answer.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    :param url: where the answer came from, after redirects.
    :param content: the body, unpacked; empty where the status is no success.
    """

    url: str
    status: int
    headers: Message
    content: bytes


def download(
    url: str,
    headers: Mapping[str, str],
    *,
    timeout: float = TOTAL_TIMEOUT,
    follow: bool = False,
    plain_loopback: bool = False,
) -> Answer:
    """What is behind an ``https:`` URL, whatever its status.

    Proxies and certificates are those of the environment (``HTTPS_PROXY``, ``SSL_CERT_FILE``).

    :param follow: follow redirects. Headers go along, so not where they hold a key.
    :param plain_loopback: take ``http:`` too where the host is this machine; no proxy is asked for it.
    :raises DownloadError: not HTTPS, too slow, too large, or cut off.
    """
    check_url(url, plain_loopback=plain_loopback)
    asked = {"User-Agent": "flask-llm-cost", "Accept": "application/json", "Accept-Encoding": "gzip"}
    request = urllib.request.Request(url, headers={**asked, **headers})  # noqa: S310 - checked above
    limit = TimeLimit(timeout)
    with limit.running():
        try:
            answer = _open(_opener(request, limit, follow), request, min(timeout, STEP_TIMEOUT))
        except DownloadError:
            if not limit.is_over:
                raise
            answer = None
    if answer is None or limit.is_over:
        raise DownloadError(f"{url} took longer than {timeout:g} seconds.", passing=True)
    return answer


def check_url(url: str, *, plain_loopback: bool = False) -> None:
    """Refuse what must not be asked. :raises DownloadError: it is no HTTPS address, or holds a password."""
    parts = urlsplit(url)
    plain = plain_loopback and parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not plain and (parts.scheme != "https" or not parts.hostname):
        raise DownloadError(f"{url}: only https:// addresses and local files are read.")
    if parts.username is not None or parts.password is not None:
        raise DownloadError(f"{parts.hostname}: an address with a user or password in it is not used.")


def _open(opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float) -> Answer:
    url = request.full_url
    try:
        with opener.open(request, timeout=timeout) as response:
            final = response.geturl()
            return Answer(final, response.status, response.headers, _body(final, response))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(url, error.code, error.headers, b"")
    except urllib.error.URLError as error:
        stranger = isinstance(error.reason, ssl.SSLCertVerificationError)
        raise DownloadError(f"{url} cannot be reached: {error.reason}.", passing=not stranger) from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url} was cut off: {type(error).__name__}.", passing=True) from error


def _body(url: str, response: http.client.HTTPResponse) -> bytes:
    """The whole body, unpacked; never more than the limit is held, packed or not."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise DownloadError(f"{url}: the content encoding {encoding!r} is not understood.")
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == "gzip" else None
    found, received = bytearray(), 0
    while chunk := response.read1(_CHUNK):
        received += len(chunk)
        try:
            found += unpack.decompress(chunk, SIZE_LIMIT + 1 - len(found)) if unpack else chunk
        except zlib.error as error:
            raise DownloadError(f"{url}: the answer is not gzip, as it says.") from error
        if len(found) > SIZE_LIMIT:
            raise DownloadError(f"{url}: larger than {SIZE_LIMIT:,} bytes.")
    # What is left of the announced length: read1() takes an early end for the end.
    if response.length or (unpack and not unpack.eof):
        raise DownloadError(f"{url} was cut off after {received:,} bytes.", passing=True)
    return bytes(found)


def _opener(request: urllib.request.Request, limit: TimeLimit, follow: bool) -> urllib.request.OpenerDirector:
    redirects = _Redirects() if follow else _NoRedirects()
    if request.type == "http":
        # Only this machine is asked without TLS: a proxy would carry the request, and its key, elsewhere.
        return urllib.request.build_opener(urllib.request.ProxyHandler({}), redirects, _Plain(limit))
    return urllib.request.build_opener(redirects, _Encrypted(limit))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, and only to other ``https:`` addresses."""

    max_redirections = REDIRECT_LIMIT
    max_repeats = 1

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        try:
            check_url(newurl)
        except DownloadError as error:
            fp.close()
            raise DownloadError(f"{req.full_url} redirects to another place. {error}") from None
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect for what it is: an answer that is no success."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        return None


class _Encrypted(urllib.request.HTTPSHandler):
    """Opens connections that a time limit can shut."""

    def __init__(self, limit: TimeLimit) -> None:
        super().__init__(context=ssl.create_default_context())
        self._limit = limit
        self._tls = ssl.create_default_context()

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        def connection(host: str, **options: float) -> _EncryptedConnection:
            return _EncryptedConnection(
                host, context=self._tls, limit=self._limit, timeout=options["timeout"]
            )

        return self.do_open(connection, req)  # type: ignore[arg-type]


class _EncryptedConnection(http.client.HTTPSConnection):
    def __init__(self, host: str, *, context: ssl.SSLContext, limit: TimeLimit, timeout: float) -> None:
        super().__init__(host, timeout=timeout, context=context)
        self._limit = limit

    def connect(self) -> None:
        super().connect()
        self._limit.watch(self.sock)


class _Plain(urllib.request.HTTPHandler):
    """The same without TLS, for this machine."""

    def __init__(self, limit: TimeLimit) -> None:
        super().__init__()
        self._limit = limit

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        def connection(host: str, **options: float) -> _PlainConnection:
            return _PlainConnection(host, limit=self._limit, timeout=options["timeout"])

        return self.do_open(connection, req)  # type: ignore[arg-type]


class _PlainConnection(http.client.HTTPConnection):
    def __init__(self, host: str, *, limit: TimeLimit, timeout: float) -> None:
        super().__init__(host, timeout=timeout)
        self._limit = limit

    def connect(self) -> None:
        super().connect()
        self._limit.watch(self.sock)
