"""Our own code and what must not come of it: errors in the host's call, and calls that record themselves."""

from __future__ import annotations

import contextvars
from types import TracebackType

from ..counters import Counters
from ..counters import log_failure
from ..errors import LLMCostError

#: Nothing, what is sent, or every call.
_OPEN, _SENT, _EVERYTHING = 0, 1, 2
_covered: contextvars.ContextVar[int] = contextvars.ContextVar("llm_cost_covered", default=_OPEN)
_muted: contextvars.ContextVar[bool] = contextvars.ContextVar("llm_cost_muted", default=False)


def is_muted() -> bool:
    """Whether our own code is running: an SDK call made there (by a callback, a receiver) passes through."""
    return _muted.get()


def is_covered() -> bool:
    """Whether a tap further up already records the call that this HTTP request is a part of."""
    return _covered.get() != _OPEN


def is_wrapped() -> bool:
    """Whether the host has said what the call is that this one of an SDK is a part of."""
    return _covered.get() == _EVERYTHING


def cover(how: int = _SENT) -> int:
    """From now on what is sent belongs to a call that is recorded already. Returns what :func:`uncover`
    wants.
    """
    before = _covered.get()
    _covered.set(max(before, how))
    return before


def uncover(before: int) -> None:
    # By value, not by token: a coroutine may be closed in another context than it was begun in.
    _covered.set(before)


class covered:
    """What is sent inside the block belongs to a call that is recorded already.

    :param whole: so do the calls of tapped SDKs there.
    """

    __slots__ = ("_before", "_how")

    def __init__(self, *, whole: bool = False) -> None:
        self._how = _EVERYTHING if whole else _SENT

    def __enter__(self) -> None:
        self._before = cover(self._how)

    def __exit__(self, *_: object) -> None:
        uncover(self._before)


class ours:
    """Everything of ours that runs inside a host's call stands in such a block.

    What goes wrong is counted, and logged once per kind by its class only. An :class:`LLMCostError`, which
    only leaves the recorder where the host opted in, passes; with ``silent`` (inside ``close``, a finalizer,
    or while the SDK's own exception is on its way) it is only counted.
    """

    __slots__ = ("_counters", "_muted_before", "_silent", "_what")

    def __init__(self, counters: Counters, what: str, *, silent: bool = False) -> None:
        self._counters = counters
        self._what = what
        self._silent = silent
        self._muted_before = False

    def __enter__(self) -> None:
        self._muted_before = _muted.get()
        _muted.set(True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        # Put back by value, not by token: a finalizer may run in a context of its own.
        _muted.set(self._muted_before)
        if not isinstance(error, Exception):
            return False
        if isinstance(error, LLMCostError):
            if self._silent:
                what = "An exception the app asked for could not be raised where it arose"
                log_failure(self._counters, "unraised_errors", what, error)
            return self._silent
        log_failure(self._counters, "capture_errors", self._what, error)
        return True
