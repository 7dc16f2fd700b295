"""One HTTP request that no SDK's tap sees: which app's it is, whether it is a call, and how it ended.

Each request is a call of its own here: a transport cannot tell a retry from a second question.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult
from urllib.parse import urlsplit

from .. import runtime as runtimes
from ..counters import log
from ..events import Observation
from ..identity import asked
from ..providers import Route
from ..providers import find_route
from ..providers import only_reads
from ..providers import provider_of_host
from ..runtime import Runtime
from .call import CapturedCall
from .call import begin_request
from .http_request import request_fields
from .mute import is_covered
from .mute import is_muted
from .mute import ours
from .readers import Reader
from .readers import is_stream
from .readers import read_at_once
from .readers import reader_for

Tags = Mapping[str, object] | Callable[[], Mapping[str, object]]

#: Classes whose heirs are raised about a connection: of httpx and httpx2, of urllib3.
_CONNECTION_ERRORS = {"TransportError", "HTTPError"}
#: Heirs of theirs that are raised before anything is sent.
_NOTHING_SENT = {"UnsupportedProtocol", "LocalProtocolError"}


class HttpTap:
    """What a transport and an adapter share.

    :param resolve: the runtime that a request beginning now belongs to.
    :raises TypeError: ``tags`` is neither a mapping nor a callable.
    """

    def __init__(self, resolve: Callable[[], Runtime | None], tags: Tags | None) -> None:
        if tags is not None and not isinstance(tags, Mapping) and not callable(tags):
            raise TypeError(f"tags must be a mapping or a callable, got {type(tags).__name__}")
        self._resolve = resolve
        self._tags = dict(tags) if isinstance(tags, Mapping) else tags

    def begin(self, request: Any) -> CapturedCall | None:
        """Open a call for a request that is about to be sent; ``None`` where it is not to be recorded."""
        parts = urlsplit(str(request.url))
        # Most requests read what was billed before, and end here.
        if is_covered() or only_reads(str(request.method), parts.path):
            return None
        runtime = self._resolve()
        if runtime is None:
            return None
        made_by_us = is_muted()
        with ours(runtime.counters, "An HTTP request could not be tracked", silent=True):
            route = _route(str(request.method), parts, runtime.config.provider_hosts)
            if route is None or route.billing == "free":
                return None
            if made_by_us:
                runtimes.untracked.add("made_while_recording")
                return None
            return begin_request(runtime, route, request_fields(request), self._scope())
        return None

    def _scope(self) -> Mapping[str, object]:
        said = asked(self._tags) if callable(self._tags) else self._tags
        if said is not None and not isinstance(said, Mapping):
            log.warning("tags= must answer a mapping, got %s: it is left out", type(said).__name__)
        return said if isinstance(said, Mapping) else {}


def failed(call: CapturedCall, error: BaseException) -> None:
    """Sending the request ended in this exception, which is on its way to the host."""
    with ours(call.runtime.counters, "A failed request could not be recorded", silent=True):
        if not isinstance(error, Exception) or _came_from_the_wire(error):
            call.finish_unanswered(error)


def answered(call: CapturedCall, response: Any, whole: bytes | None) -> Reader | None:
    """A response arrived; the reader for its body, or ``None`` where that tells nothing more.

    A refusal is recorded, a redirection is not.

    :param whole: the body, if it is in memory; it is read here.
    :raises LLMCostError: the host opted into an exception.
    """
    reader = None
    with ours(call.runtime.counters, "An answer could not be observed", silent=True):
        call.answered(response, retries_taken=0)
        if response.status_code >= 400:
            call.finish(Observation(status="error", error_type=_refusal(response.status_code)), silent=True)
        elif 200 <= response.status_code < 300:
            reader = reader_for(call.route, response, streamed=call.stream, record=call.tell)
            if is_stream(response):
                call.streams()
    if reader is None or whole is None:
        return reader
    with ours(call.runtime.counters, "An answer could not be read"):
        call.finish_read(read_at_once(reader, whole), silent=False)
    return None


def _route(method: str, parts: SplitResult, provider_hosts: Mapping[str, str]) -> Route | None:
    """The route of a request; ``None`` where its host is nobody's who answers such requests."""
    host = parts.netloc.rpartition("@")[2]
    if provider_of_host(host, provider_hosts) is None:
        return None
    return find_route(method, host, parts.path, provider_hosts=provider_hosts)


def _came_from_the_wire(error: Exception) -> bool:
    """Whether this is about a connection, and not about how the host called its client."""
    names = {base.__name__ for base in type(error).__mro__}
    if isinstance(error, ValueError) or names & _NOTHING_SENT:  # requests' InvalidURL, InvalidHeader
        return False
    return isinstance(error, OSError) or bool(names & _CONNECTION_ERRORS)


def _refusal(status: int) -> str:
    """The name of an HTTP status, such as ``too_many_requests``; providers have some of their own."""
    try:
        return HTTPStatus(status).name.lower()
    except ValueError:
        return "http_error"
