"""The reservations of this process: renewed while calls are under way, given back where nothing came of it.

Whoever holds a :class:`Lease` is a call under way. When nobody holds it any more, and no event was recorded,
the call came to nothing: an SDK refused its own request, a cache answered. The garbage collector says so, in
any thread and inside any lock, so the reservation only waits here to be given back.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass

from ..counters import Counters
from ..counters import log_failure
from ..errors import LLMCostError

#: Seconds between two looks for what is to be given back or renewed, while there is something, and else.
LOOK_SECONDS = 1.0
IDLE_SECONDS = 5.0
#: Seconds for which the reservation of a recorded call is renewed: until then its row is in the ledger, or
#: something is wrong with it.
RECORDED_SECONDS = 900.0
#: At most so many reservations in one statement.
_AT_ONCE = 200


class Lease:
    """What a call under way holds."""

    __slots__ = ("__weakref__", "_leases", "event_id")

    def __init__(self, event_id: str, leases: Leases) -> None:
        self.event_id = event_id
        self._leases = weakref.ref(leases)

    def is_of(self, event_id: str) -> None:
        """The call's event has another id than the call."""
        leases = self._leases()
        if leases is not None and event_id != self.event_id:
            leases.names[event_id] = self.event_id


@dataclass(slots=True)
class _Held:
    seconds: int
    renewed_at: float
    recorded_at: float | None = None


class Leases:
    """:param release: gives reservations back, by event; ``renew`` puts off their end by so many seconds."""

    def __init__(
        self,
        release: Callable[[Sequence[str]], None],
        renew: Callable[[Sequence[str], int], None],
        counters: Counters,
        *,
        in_background: bool,
    ) -> None:
        self._release = release
        self._renew = renew
        self._counters = counters
        self._in_background = in_background
        #: By event, under which id its reservation was made, where that is another one.
        self.names: dict[str, str] = {}
        self.forked()

    def forked(self) -> None:
        """In a forked child: reservations are the parent's, and its thread did not come along."""
        self._held: dict[str, _Held] = {}
        self._left: deque[str] = deque()
        self._thread: threading.Thread | None = None
        self._made: dict[str, threading.Event] = {}
        self._stopped = False
        self.names.clear()

    def hold(self, event_id: str, seconds: int) -> Lease:
        """A reservation was made."""
        self._held[event_id] = _Held(seconds, time.monotonic())
        lease = Lease(event_id, self)
        weakref.finalize(lease, _let_go, weakref.ref(self), event_id).atexit = False
        if self._in_background and self._thread is None:
            self._start()
        elif seconds < 3 * IDLE_SECONDS:
            self._wake.set()
        return lease

    def recorded(self, event_id: str) -> None:
        """The call's event is accepted: its reservation is settled when the event is written."""
        if (held := self._held.get(self.names.get(event_id, event_id))) is not None:
            held.recorded_at = time.monotonic()

    def settled(self, event_ids: Sequence[str]) -> None:
        """These events are written."""
        for event_id in event_ids:
            self._held.pop(self.names.pop(event_id, event_id), None)

    def let_go(self, event_id: str) -> None:
        """Nobody holds it any more. May run in a finalizer."""
        held = self._held.get(event_id)
        if held is not None and held.recorded_at is None:
            self._held.pop(event_id, None)
            self._left.append(event_id)

    def unsure(self, event_id: str) -> None:
        """Nobody knows whether a reservation was made: if so, it is to be given back."""
        self._left.append(event_id)

    def catch_up(self) -> None:
        """Give back what was left. Never raises: what stays in the database expires."""
        left: list[str] = []
        while self._left and len(left) < _AT_ONCE:
            left.append(self._left.popleft())
        if left:
            self._try("A reservation could not be given back; it expires", lambda: self._release(left))

    def close(self) -> None:
        """Give back what was left, and stop."""
        self._stopped = True
        if self._made:
            self._wake.set()
        self.catch_up()

    @property
    def _wake(self) -> threading.Event:
        # Made when first needed: after a server has forked, and after gevent has replaced what it is made of.
        return self._made.get("here") or self._made.setdefault("here", threading.Event())

    def _start(self) -> None:
        if self._stopped:
            return
        thread = threading.Thread(
            target=_look_after, args=(weakref.ref(self),), name="llm-cost-budgets", daemon=True
        )
        self._thread = thread
        try:
            thread.start()
        except RuntimeError:
            self._thread = None  # the interpreter is shutting down

    def _look(self) -> bool:
        """One look; whether there is something to look after."""
        self.catch_up()
        now = time.monotonic()
        for event_id, held in list(self._held.items()):
            if held.recorded_at is not None and now - held.recorded_at > RECORDED_SECONDS:
                self._held.pop(event_id, None)
        self._renew_due(now)
        return bool(self._held or self._left)

    def _renew_due(self, now: float) -> None:
        due: dict[int, list[str]] = {}
        for event_id, held in list(self._held.items()):
            if now - held.renewed_at >= held.seconds / 3:
                due.setdefault(held.seconds, []).append(event_id)
                held.renewed_at = now
        for seconds, event_ids in due.items():
            for first in range(0, len(event_ids), _AT_ONCE):
                some = event_ids[first : first + _AT_ONCE]
                self._try("A reservation could not be renewed", lambda: self._renew(some, seconds))  # noqa: B023

    def _try(self, what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except LLMCostError as error:
            log_failure(self._counters, "budget_errors", what, error.__cause__ or error)


def _let_go(reference: weakref.ref[Leases], event_id: str) -> None:
    if (leases := reference()) is not None:
        leases.let_go(event_id)


def _look_after(reference: weakref.ref[Leases]) -> None:
    """The thread. While it waits it holds nothing but what it waits for, so that the app can be collected."""
    busy = True
    while (leases := reference()) is not None and not leases._stopped:
        wake = leases._wake
        del leases
        wake.wait(LOOK_SECONDS if busy else IDLE_SECONDS)
        wake.clear()
        if (leases := reference()) is None:
            return
        busy = leases._look()
