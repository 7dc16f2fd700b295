"""Our own code and what must not come of it: errors in the host's call, and calls that record themselves."""

from __future__ import annotations

import contextvars
from types import TracebackType

from ..counters import Counters
from ..counters import log_failure
from ..errors import LLMCostError

#: What is sent belongs to a call that is recorded already; so do the calls of SDKs; our own code runs.
SENT, WRAPPED, MUTED = 1, 2, 4
#: Any of these, added up. Put back by value, not by token: a coroutine may be closed, and a finalizer run, in
#: another context than it was begun in.
state: contextvars.ContextVar[int] = contextvars.ContextVar("llm_cost_state", default=0)


def is_muted() -> bool:
    """Whether our own code is running: an SDK call made there (by a callback, a receiver) passes through."""
    return bool(state.get() & MUTED)


def is_covered() -> bool:
    """Whether a tap further up already records the call that this HTTP request is a part of."""
    return bool(state.get() & (SENT | WRAPPED))


class covered:
    """What is sent inside the block belongs to a call that is recorded already.

    :param whole: so do the calls of tapped SDKs there.
    """

    __slots__ = ("_before", "_how")

    def __init__(self, *, whole: bool = False) -> None:
        self._how = SENT | WRAPPED if whole else SENT

    def __enter__(self) -> None:
        self._before = state.get()
        state.set(self._before | self._how)

    def __exit__(self, *_: object) -> None:
        state.set(self._before)


class ours:
    """Everything of ours that runs inside a host's call stands in such a block.

    What goes wrong is counted, and logged once per kind by its class only. An :class:`LLMCostError`, which
    only leaves the recorder where the host opted in, passes; with ``silent`` (inside ``close``, a finalizer,
    or while the SDK's own exception is on its way) it is only counted.
    """

    __slots__ = ("_before", "_counters", "_silent", "_what")

    def __init__(self, counters: Counters, what: str, *, silent: bool = False) -> None:
        self._counters = counters
        self._what = what
        self._silent = silent
        self._before = 0

    def __enter__(self) -> None:
        self._before = state.get()
        state.set(self._before | MUTED)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        state.set(self._before)
        if not isinstance(error, Exception):
            return False
        if isinstance(error, LLMCostError):
            if self._silent:
                what = "An exception the app asked for could not be raised where it arose"
                log_failure(self._counters, "unraised_errors", what, error)
            return self._silent
        log_failure(self._counters, "capture_errors", self._what, error)
        return True
