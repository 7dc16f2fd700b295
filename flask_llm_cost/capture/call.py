"""One logical SDK call under way, from the request to its one event, however it ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from .. import runtime as runtimes
from ..config import asks_for
from ..context import with_tags
from ..errors import LLMCostError
from ..events import CallStart
from ..events import Lease
from ..events import Observation
from ..events import OpenCall
from ..events import Status
from ..providers import RequestFacts
from ..providers import Route
from ..providers import completed
from ..providers import find_route
from ..providers import read_request
from ..providers import without_billed
from ..runtime import Runtime
from .admission import Admission
from .admission import admission_of
from .asked import Asked
from .mute import is_muted
from .mute import ours

#: Response headers that name the account a call is billed to, the most specific first.
_ACCOUNT_HEADERS = ("openai-project", "openai-organization", "anthropic-organization-id")


class CapturedCall:
    """What capture remembers of one call. :meth:`finish` makes its event, exactly once.

    A call is answered by the last successful response its client processed: Anthropic's middleware may
    see several. Without any response (a middleware answered from a cache) there is no row.
    """

    def __init__(self, runtime: Runtime, route: Route, asked: RequestFacts, opened: OpenCall) -> None:
        self.route = route
        self._asked = asked
        self._runtime = runtime
        self._open = opened
        self._pid = os.getpid()
        # Taken once and never released: an atomic flag that a finalizer can test inside any other lock.
        self._finishing = threading.Lock()
        self._attempts = 1
        self._http_status: int | None = None
        self._account: str | None = None
        self._answered_ms: int | None = None
        self._first_token_ms: int | None = None
        self._objection: LLMCostError | None = None
        #: What is to be asked before it is sent, where budgets have a say.
        self.admission: Admission | None = None

    @property
    def runtime(self) -> Runtime:
        return self._runtime

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

    def answered(self, response: Any, retries_taken: int) -> None:
        """A response arrived after this many retries."""
        self._attempts = retries_taken + 1
        self._http_status = response.status_code
        self._account = _account(response.headers)
        self._answered_ms = self._elapsed_ms()

    def streams(self) -> None:
        """The answer is a stream, whether or not the request could be read to say so."""
        if not self._open.start.stream:
            self._open = replace(self._open, start=replace(self._open.start, stream=True))

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
            self._open = replace(self._open, lease=lease)

    def finish_blocked(self, refusal: LLMCostError) -> None:
        """It is not sent, for this reason."""
        self.finish(Observation(status="blocked", error_type=type(refusal).__name__), silent=True)

    def tell(self, observation: Observation) -> None:
        """Record one of the many calls that the answer tells of. An exception that the host opted into is
        kept for the answer's end: the calls after this one count as well.
        """
        if os.getpid() != self._pid:
            return
        recorder = self._runtime.recorder
        try:
            with ours(self._runtime.counters, "A result of a batch could not be recorded"):
                if observation.charge_id is None:
                    for problem in observation.problems:
                        recorder.note_problem(self.route.provider, problem)
                    return
                if self._runtime.ingest.is_crowded:
                    self._runtime.ingest.make_room()
                recorder.settle(self._open, replace(observation, provider_account=self._account))
        except LLMCostError as error:
            self._objection = self._objection or error

    def finish_read(self, observation: Observation, *, silent: bool) -> None:
        """The whole answer had arrived before the SDK parsed it; whether that succeeds changes no bill.

        :raises LLMCostError: as :meth:`finish`.
        """
        self.finish(observation, latency_ms=self._answered_ms, silent=silent)

    def finish_refused(self, error: BaseException, http_status: int | None, attempts: int) -> None:
        """The request ended in this exception; ``http_status`` is that of its last answer, if any."""
        with ours(self._runtime.counters, "A failed call could not be recorded", silent=True):
            self._attempts = max(self._attempts, attempts)
            status: Status = "error" if isinstance(error, Exception) else "aborted"
            found = Observation(status=status, http_status=http_status, error_type=type(error).__name__)
            self.finish(found, silent=True)

    def finish_failure(self, error: BaseException) -> None:
        """The request ended in an exception before there was an answer. A refusal by the SDK itself, which
        sent nothing, is no call.
        """
        with ours(self._runtime.counters, "A failed call could not be recorded", silent=True):
            if isinstance(error, Exception) and not _came_from_the_wire(error):
                return
            response = getattr(error, "response", None)
            if response is not None:
                self._http_status = response.status_code
                self._account = _account(response.headers)
            self._attempts = max(self._attempts, _attempts(error))
            self.finish_unanswered(error)

    def finish_unanswered(self, error: BaseException) -> None:
        """The request was sent, or begun to be, and ended in this exception."""
        status: Status = "error" if isinstance(error, Exception) else "aborted"
        self.finish(Observation(status=status, error_type=type(error).__name__), silent=True)

    def finish(
        self,
        observation: Observation,
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
        if os.getpid() != self._pid:
            return  # a forked child inherited the response; the parent records it
        with ours(self._runtime.counters, "A call could not be recorded", silent=silent or from_finalizer):
            if self._objection is not None:
                raise self._objection
            if not self._is_call(observation):
                return
            filled = replace(
                observation,
                http_status=observation.http_status or self._http_status,
                provider_account=observation.provider_account or self._account,
                attempts=self._attempts,
                latency_ms=self._latency_ms(latency_ms),
                time_to_first_token_ms=self._first_token_ms,
                # What began here began when this says so, to the millisecond.
                occurred_at=observation.occurred_at if self.route.billing == "later" else None,
            )
            filled = completed(filled, self.route, self._asked)
            filled = without_billed(filled, self._runtime.billed_containers)
            recorder = self._runtime.recorder
            if filled.charge_id is not None:
                recorder.settle(self._open, filled, from_finalizer=from_finalizer)
            else:
                recorder.record(recorder.finish(self._open, filled), from_finalizer=from_finalizer)

    def _is_call(self, observation: Observation) -> bool:
        """Whether what came of the request is a call, or a further one than its results."""
        if self.route.billing == "unknown":
            return observation.usage is not None or bool(observation.problems)
        if self.route.billing == "later":
            # What did not go on in the background was billed when it was asked for.
            return observation.charge_id is not None and observation.is_settled
        return self.route.billing != "results"

    def _latency_ms(self, told: int | None) -> int | None:
        if self.route.billing == "later":
            return None  # asking is quick; how long the work took is not known to the millisecond
        return self._elapsed_ms() if told is None else told

    def _elapsed_ms(self) -> int:
        return (time.monotonic_ns() - self._open.started_ns) // 1_000_000


def begin_request(
    runtime: Runtime,
    route: Route,
    body: Mapping[str, Any] | None,
    scope: Mapping[str, object] = MappingProxyType({}),
    *,
    has_files: bool = False,
) -> CapturedCall:
    """Open a call for a request that is billed, with these tags on top of those in force."""
    facts = read_request(route, body)
    start = CallStart(
        provider=route.provider,
        operation=route.operation,
        requested_model=facts.model,
        requested_mode=facts.pricing_mode,
        stream=facts.stream,
        regional=route.regional,
    )
    with with_tags(scope) if scope else nullcontext():
        call = CapturedCall(runtime, route, facts, runtime.recorder.begin(start))
    if runtime.budgets is not None:
        call.admission = admission_of(call, runtime.budgets, facts, body, has_files)
    return call


def begin_call(sdk: str, describe: Callable[[], Asked]) -> CapturedCall | None:
    """Open a call for a request that is about to be sent; ``None`` where it is not to be recorded."""
    runtime = _runtime_for(sdk)
    if runtime is None:
        return None
    with ours(runtime.counters, "A call could not be tracked", silent=True):
        return _begin(runtime, sdk, describe())
    return None


def is_wanted(sdk: str) -> bool:
    """Whether a call of this SDK that begins now is to be recorded: its app asks for it."""
    return _runtime_for(sdk) is not None


def _runtime_for(sdk: str) -> Runtime | None:
    if is_muted():
        runtimes.untracked.add("made_while_recording")
        return None
    runtime = runtimes.resolve()
    if runtime is None:
        return None
    return runtime if asks_for(runtime.config.instrument, sdk) else None


def _begin(runtime: Runtime, sdk: str, asked: Asked) -> CapturedCall | None:
    hosts = runtime.config.provider_hosts
    route = find_route(asked.method, asked.host, asked.path, sdk=sdk, provider_hosts=hosts)
    if route.billing == "free":
        return None
    if asked.provider is not None and route.provider == sdk:
        route = replace(route, provider=asked.provider)
    call = begin_request(runtime, route, asked.body, has_files=asked.has_files)
    if asked.streamed and not call.is_bulk:  # results are read as a stream; their calls were none
        call.streams()
    return call


def _came_from_the_wire(error: Exception) -> bool:
    """Whether the SDK raised this about an answer, or about the connection: its ``APIError`` and heirs."""
    return any(base.__name__ == "APIError" for base in type(error).__mro__)


def _attempts(error: BaseException) -> int:
    """How often the SDK tried: it numbers its retries in a header of each request."""
    request = getattr(error, "request", None)
    told = str(request.headers.get("x-stainless-retry-count", "")) if request is not None else ""
    return int(told) + 1 if told.isdigit() else 1


def _account(headers: Any) -> str | None:
    for name in _ACCOUNT_HEADERS:
        if found := headers.get(name):
            return str(found)
    return None
