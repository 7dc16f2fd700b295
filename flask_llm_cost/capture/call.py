"""One logical SDK call under way, from the request to its one event, however it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from .. import runtime as runtimes
from ..config import asks_for
from ..context import with_tags
from ..counters import log_failure
from ..errors import LLMCostError
from ..events import Lease
from ..events import Observation
from ..events import OpenCall
from ..events import Status
from ..providers import Answer
from ..providers import RequestFacts
from ..providers import Route
from ..providers import Sighting
from ..providers import find_route
from ..providers import is_event_stream
from ..runtime import Runtime
from .admission import Admission
from .admission import admission_of
from .asked import Asked
from .asked import is_kept
from .destination import Destination
from .mute import MUTED
from .mute import WRAPPED
from .mute import ours
from .mute import state

#: Response headers that name the account a call is billed to, the most specific first.
_ACCOUNT_HEADERS = ("openai-project", "openai-organization", "anthropic-organization-id")
_RAW_ACCOUNT_HEADERS = tuple(name.encode() for name in _ACCOUNT_HEADERS)

_Where = tuple[int, str, str, str, str, str | None]
#: Destinations by the identity of an app's own hosts, which holds as long as they are kept here, the SDK,
#: method, host and path of a request, and its client's provider.
_destinations: dict[_Where, tuple[Mapping[str, str], Destination]] = {}
_DESTINATIONS_KEPT = 512


class CapturedCall:
    """What capture remembers of one call. :meth:`finish` makes its event, exactly once.

    A call is answered by the last successful response its client processed: Anthropic's middleware may
    see several. Without any response (a middleware answered from a cache) there is no row.
    """

    #: Of the answer, in lower case.
    content_type = ""
    #: What is to be asked before it is sent, where budgets have a say.
    admission: Admission | None = None
    _attempts = 1
    _http_status: int | None = None
    _account: str | None = None
    _answered_ms: int | None = None
    _first_token_ms: int | None = None
    _objection: LLMCostError | None = None

    def __init__(self, runtime: Runtime, route: Route, asked: RequestFacts, opened: OpenCall) -> None:
        self.runtime = runtime
        self.route = route
        self._asked = asked
        self._open = opened
        self._forks = runtimes.forks
        # Taken once and never released: an atomic flag that a finalizer can test inside any other lock.
        self._finishing = threading.Lock()

    @property
    def opened(self) -> OpenCall:
        """What was known when it began."""
        return self._open

    @property
    def stream(self) -> bool:
        """Whether the answer is asked for, or comes, as a stream."""
        return self._open.start.stream

    @property
    def is_bulk(self) -> bool:
        """Whether the answer tells of many calls, so that reading it along takes long."""
        return self.route.billing == "results"

    @property
    def is_answered_in_events(self) -> bool:
        """Whether the answer says that it is a stream."""
        return is_event_stream(self.content_type)

    def answered(self, response: Any, retries_taken: int) -> None:
        """A response arrived after this many retries."""
        self._attempts = retries_taken + 1
        self._http_status = response.status_code
        self.content_type, self._account = _headers(response.headers)
        self._answered_ms = (time.monotonic_ns() - self._open.started_ns) // 1_000_000

    def streams(self) -> None:
        """The answer is a stream, whether or not the request could be read to say so."""
        if not self._open.start.stream:
            self._open = self._open._replace(start=self._open.start._replace(stream=True))

    def answered_after(self, attempts: int) -> None:
        """An answer with HTTP status 200 arrived, from an SDK that does not show its response."""
        self._attempts = attempts
        self._http_status = 200
        self._answered_ms = self._elapsed_ms()

    def saw_output(self) -> None:
        """The first content of a stream went by."""
        if self._first_token_ms is None:
            self._first_token_ms = self._elapsed_ms()

    def holds(self, lease: Lease | None) -> None:
        """What was set aside for it, as long as it is under way."""
        if lease is not None:
            self._open = self._open._replace(lease=lease)

    def finish_blocked(self, refusal: LLMCostError) -> None:
        """It is not sent, for this reason."""
        self.finish(Observation(status="blocked", error_type=type(refusal).__name__), silent=True)

    def tell(self, observation: Observation) -> None:
        """Record one of the many calls that the answer tells of. An exception that the host opted into is
        kept for the answer's end: the calls after this one count as well.
        """
        if runtimes.forks != self._forks:
            return
        recorder = self.runtime.recorder
        try:
            with ours(self.runtime.counters, "A result of a batch could not be recorded"):
                if observation.charge_id is None:
                    for problem in observation.problems:
                        recorder.note_problem(self.route.provider, problem)
                    return
                if self.runtime.ingest.is_crowded:
                    self.runtime.ingest.make_room()
                recorder.settle(self._open, replace(observation, provider_account=self._account))
        except LLMCostError as error:
            self._objection = self._objection or error

    def finish_read(self, answer: Answer | Observation, *, silent: bool) -> None:
        """The whole answer had arrived before the SDK parsed it; whether that succeeds changes no bill.

        :raises LLMCostError: as :meth:`finish`.
        """
        self.finish(answer, latency_ms=self._answered_ms, silent=silent)

    def finish_refused(self, error: BaseException, http_status: int | None, attempts: int) -> None:
        """The request ended in this exception; ``http_status`` is that of its last answer, if any."""
        with ours(self.runtime.counters, "A failed call could not be recorded", silent=True):
            self._attempts = max(self._attempts, attempts)
            status: Status = "error" if isinstance(error, Exception) else "aborted"
            found = Observation(status=status, http_status=http_status, error_type=type(error).__name__)
            self.finish(found, silent=True)

    def finish_failure(self, error: BaseException) -> None:
        """The request ended in an exception before there was an answer. A refusal by the SDK itself, which
        sent nothing, is no call.
        """
        with ours(self.runtime.counters, "A failed call could not be recorded", silent=True):
            if isinstance(error, Exception) and not _came_from_the_wire(error):
                return
            response = getattr(error, "response", None)
            if response is not None:
                self._http_status = response.status_code
                self._account = _headers(response.headers)[1]
            self._attempts = max(self._attempts, _attempts(error))
            self.finish_unanswered(error)

    def finish_unanswered(self, error: BaseException) -> None:
        """The request was sent, or begun to be, and ended in this exception."""
        status: Status = "error" if isinstance(error, Exception) else "aborted"
        self.finish(Observation(status=status, error_type=type(error).__name__), silent=True)

    def finish(
        self,
        answer: Answer | Observation,
        *,
        latency_ms: int | None = None,
        from_finalizer: bool = False,
        silent: bool = False,
    ) -> None:
        """Record the call's event, the first time this is called.

        :raises LLMCostError: the host opted into an exception, and neither ``silent`` nor ``from_finalizer``.
        """
        if not self._finishing.acquire(blocking=False):
            return
        if runtimes.forks != self._forks:
            return  # a forked child inherited the response; the parent records it
        if latency_ms is None:
            latency_ms = self._elapsed_ms()
        sighting = Sighting(
            self._open,
            self.route,
            self._asked,
            answer,
            self._http_status,
            self._account,
            self._attempts,
            # Asking is quick; how long work in the background took is not known to the millisecond.
            None if self.route.billing == "later" else latency_ms,
            self._first_token_ms,
        )
        recorder = self.runtime.recorder
        if self._objection is None and not from_finalizer:
            try:
                if recorder.postpone(sighting):
                    return
            except Exception as error:  # if it was kept after all: the same id counts once
                log_failure(self.runtime.counters, "capture_errors", "A call could not be postponed", error)
        with ours(self.runtime.counters, "A call could not be recorded", silent=silent or from_finalizer):
            if self._objection is not None:
                raise self._objection
            recorder.see(sighting, from_finalizer=from_finalizer)

    def _elapsed_ms(self) -> int:
        return (time.monotonic_ns() - self._open.started_ns) // 1_000_000


def begin_request(
    runtime: Runtime,
    destination: Destination,
    body: Mapping[str, Any] | None,
    scope: Mapping[str, object] = MappingProxyType({}),
    *,
    has_files: bool = False,
) -> CapturedCall:
    """Open a call for a request that is billed, with these tags on top of those in force."""
    facts, start = destination.read(body)
    if not scope:
        opened = runtime.recorder.begin(start)
    else:
        with with_tags(scope):
            opened = runtime.recorder.begin(start)
    call = CapturedCall(runtime, destination.route, facts, opened)
    if runtime.budgets is not None:
        call.admission = admission_of(call, runtime.budgets, facts, body, has_files)
    return call


def begin_call(sdk: str, describe: Callable[..., Asked], *request: Any) -> CapturedCall | None:
    """Open a call for a request that is about to be sent; ``None`` where it is not to be recorded.

    :param describe: says of ``request`` what it asks for.
    """
    runtime = _runtime_for(sdk)
    if runtime is None:
        return None
    # Each call of the host's comes by, so without the context manager that stands around what is rarer.
    before = state.get()
    state.set(before | MUTED)
    try:
        return _begin(runtime, sdk, describe(*request))
    except Exception as error:
        log_failure(runtime.counters, "capture_errors", "A call could not be tracked", error)
        return None
    finally:
        state.set(before)


def is_wanted(sdk: str) -> bool:
    """Whether a call of this SDK that begins now is to be recorded: its app asks for it."""
    return _runtime_for(sdk) is not None


def _runtime_for(sdk: str) -> Runtime | None:
    if (how := state.get()) & (MUTED | WRAPPED):
        if how & MUTED:
            runtimes.untracked.add("made_while_recording")
        return None
    runtime = runtimes.resolve()
    if runtime is None:
        return None
    return runtime if asks_for(runtime.config.instrument, sdk) else None


def _begin(runtime: Runtime, sdk: str, asked: Asked) -> CapturedCall | None:
    hosts = runtime.config.provider_hosts
    where = (id(hosts), sdk, asked.method, asked.host, asked.path, asked.provider)
    known = _destinations.get(where)
    destination = known[1] if known is not None and known[0] is hosts else _find(hosts, where)
    if destination.route.billing == "free":
        return None
    call = begin_request(runtime, destination, asked.body, has_files=asked.has_files)
    if asked.streamed and not call.is_bulk:  # results are read as a stream; their calls were none
        call.streams()
    return call


def _find(hosts: Mapping[str, str], where: _Where) -> Destination:
    _, sdk, method, host, path, provider = where
    route = find_route(method, host, path, sdk=sdk, provider_hosts=hosts)
    if provider is not None and route.provider == sdk:
        route = replace(route, provider=provider)
    found = Destination(route)
    # The paths of other requests hold ids, and would drive out those that come again and again.
    if method.upper() == "POST" and is_kept(path):
        if len(_destinations) >= _DESTINATIONS_KEPT:
            _destinations.clear()
        _destinations[where] = (hosts, found)
    return found


def _came_from_the_wire(error: Exception) -> bool:
    """Whether the SDK raised this about an answer, or about the connection: its ``APIError`` and heirs."""
    return any(base.__name__ == "APIError" for base in type(error).__mro__)


def _attempts(error: BaseException) -> int:
    """How often the SDK tried: it numbers its retries in a header of each request."""
    request = getattr(error, "request", None)
    told = str(request.headers.get("x-stainless-retry-count", "")) if request is not None else ""
    return int(told) + 1 if told.isdigit() else 1


def _headers(headers: Any) -> tuple[str, str | None]:
    """The content type, in lower case, and the account."""
    raw = getattr(headers, "raw", None)
    if raw and isinstance(raw, list):  # of httpx, whose own look-up is slow
        names, values = zip(*raw, strict=True)
        told = dict(zip(map(bytes.lower, names), values, strict=True)).get
        project, organization, anthropic = map(told, _RAW_ACCOUNT_HEADERS)
        account = project or organization or anthropic
        content_type = told(b"content-type", b"").decode("ascii", "replace").lower()
        return content_type, account.decode("latin-1") if account else None
    account = next((found for name in _ACCOUNT_HEADERS if (found := headers.get(name))), None)
    return str(headers.get("content-type", "")).lower(), None if account is None else str(account)
