"""One HTTP request that no SDK's tap sees: which app's it is, whether it is a call, and how it ended.

Each request is a call of its own here: a transport cannot tell a retry from a second question.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from .. import runtime as runtimes
from ..config import HTTP
from ..config import asks_for
from ..counters import log
from ..events import Observation
from ..identity import asked
from ..providers import UNKNOWN_PROVIDER
from ..providers import find_route
from ..providers import is_nobodys
from ..providers import only_reads
from ..runtime import Runtime
from .call import CapturedCall
from .call import begin_request
from .destination import Destination
from .http_request import is_form
from .http_request import request_fields
from .mute import covered
from .mute import is_covered
from .mute import is_muted
from .mute import ours
from .readers import Reader
from .readers import read_at_once
from .readers import reader_for

_NO_HOSTS: Mapping[str, str] = MappingProxyType({})

Tags = Mapping[str, object] | Callable[[], Mapping[str, object]]

#: Classes whose heirs are raised about a connection: of httpx and httpx2, of urllib3, of aiohttp.
_CONNECTION_ERRORS = {"TransportError", "HTTPError", "ClientError"}
#: Heirs of theirs that are raised before anything is sent.
_NOTHING_SENT = {"UnsupportedProtocol", "LocalProtocolError"}


class HttpTap:
    """What a transport, an adapter and the taps of whole HTTP packages share.

    :param resolve: the runtime that a request beginning now belongs to; it counts nothing.
    :raises TypeError: ``tags`` is neither a mapping nor a callable.
    """

    def __init__(self, resolve: Callable[[], Runtime | None], tags: Tags | None) -> None:
        if tags is not None and not isinstance(tags, Mapping) and not callable(tags):
            raise TypeError(f"tags must be a mapping or a callable, got {type(tags).__name__}")
        self._resolve = resolve
        self._tags = dict(tags) if isinstance(tags, Mapping) else tags

    def begin(self, request: Any) -> CapturedCall | None:
        """Open a call for a request that is about to be sent; ``None`` where it is not to be recorded."""
        return self.open(request) if self.concerns(request.method, str(request.url)) else None

    def concerns(self, method: str, url: str) -> bool:
        """Whether a request may be a call. Most requests of an app end here, so it is quick."""
        if is_covered():
            return False
        runtime = self._resolve()
        if is_nobodys(_host(url), _NO_HOSTS if runtime is None else runtime.config.provider_hosts):
            return False
        return not only_reads(str(method), urlsplit(url).path)

    def open(self, request: Any) -> CapturedCall | None:
        """As :meth:`begin`, for a request that :meth:`concerns` us."""
        runtime = self._resolve()
        made_by_us = is_muted()
        counters = runtimes.untracked if runtime is None else runtime.counters
        with ours(counters, "An HTTP request could not be tracked", silent=True):
            url = str(request.url)
            hosts = _NO_HOSTS if runtime is None else runtime.config.provider_hosts
            route = find_route(str(request.method), _host(url), url, provider_hosts=hosts)
            if route.billing == "free" or route.provider == UNKNOWN_PROVIDER:
                return None
            if runtime is None:
                runtimes.resolve()  # now that it is a call, it counts as one that belongs to nobody
                return None
            if made_by_us:
                runtimes.untracked.add("made_while_recording")
                return None
            fields = request_fields(request)
            return begin_request(
                runtime, Destination(route), fields, self._scope(), has_files=is_form(request)
            )
        return None

    def _scope(self) -> Mapping[str, object]:
        said = asked(self._tags) if callable(self._tags) else self._tags
        if said is not None and not isinstance(said, Mapping):
            log.warning("tags= must answer a mapping, got %s: it is left out", type(said).__name__)
        return said if isinstance(said, Mapping) else {}


def _resolve_for_process() -> Runtime | None:
    runtime = runtimes.resolve(counted=False)
    return runtime if runtime is not None and asks_for(runtime.config.instrument, HTTP) else None


#: The tap of requests that no transport or adapter of the host's choice sends.
PROCESS = HttpTap(_resolve_for_process, None)


def failed(call: CapturedCall, error: BaseException) -> None:
    """Sending the request ended in this exception, which is on its way to the host."""
    with ours(call.runtime.counters, "A failed request could not be recorded", silent=True):
        status = getattr(error, "status", None)  # aiohttp makes exceptions of refusals where it is asked to
        if isinstance(status, int) and status >= 400:
            call.finish(_refused(status), silent=True)
        elif not isinstance(error, Exception) or _came_from_the_wire(error):
            call.finish_unanswered(error)


class sending:
    """The request of a call is on its way: no tap further down records it again, and how it fails is told.

    :param tell: is told the exception that is on its way to the host.
    """

    __slots__ = ("_call", "_covered", "_tell")

    def __init__(
        self, call: CapturedCall, tell: Callable[[CapturedCall, BaseException], object] = failed
    ) -> None:
        self._call = call
        self._tell = tell
        self._covered = covered()

    def __enter__(self) -> None:
        self._covered.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._covered.__exit__()
        if error is not None:
            self._tell(self._call, error)


class reading_along(ours):
    """An answer that is being sent is made to be read along.

    Where that cannot be done the call is billed all the same, and what it used stays unknown.
    """

    __slots__ = ("_call",)

    def __init__(self, call: CapturedCall) -> None:
        super().__init__(call.runtime.counters, "An answer could not be read along", silent=True)
        self._call = call

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        went_wrong = super().__exit__(kind, error, trace)
        if went_wrong:
            self._call.finish(Observation(), silent=True)
        return went_wrong


def answered(
    call: CapturedCall, response: Any, whole: bytes | None, *, retries_taken: int = 0
) -> Reader | None:
    """A response arrived; the reader for its body, or ``None`` where that tells nothing more.

    A refusal is recorded, a redirection is not.

    :param whole: the body, if it is in memory; it is read here.
    :raises LLMCostError: the host opted into an exception.
    """
    reader = None
    with ours(call.runtime.counters, "An answer could not be observed", silent=True):
        call.answered(response, retries_taken)
        if response.status_code >= 400:
            call.finish(_refused(response.status_code), silent=True)
        elif 200 <= response.status_code < 300:
            headers, kind = response.headers, call.content_type
            reader = reader_for(call.route, headers, kind, streamed=call.stream, record=call.tell)
            if call.is_answered_in_events:
                call.streams()
    if reader is None or whole is None:
        return reader
    with ours(call.runtime.counters, "An answer could not be read"):
        call.finish_read(read_at_once(reader, whole), silent=False)
    return None


def _host(url: str) -> str:
    """The host of a URL, with its port if it tells one."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]


def _came_from_the_wire(error: Exception) -> bool:
    """Whether this is about a connection, and not about how the host called its client."""
    names = {base.__name__ for base in type(error).__mro__}
    if isinstance(error, ValueError) or names & _NOTHING_SENT:  # requests' InvalidURL, InvalidHeader
        return False
    return isinstance(error, OSError) or bool(names & _CONNECTION_ERRORS)


def _refused(status: int) -> Observation:
    """A refusal, by the name of its HTTP status; providers have some of their own."""
    try:
        error_type = HTTPStatus(status).name.lower()
    except ValueError:
        error_type = "http_error"
    return Observation(status="error", http_status=status, error_type=error_type)
