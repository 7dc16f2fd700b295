"""Events wait in memory until the host is out of the way, then go to the ledger in one transaction.

They are written when an app context ends (after the host's session is gone), at :meth:`InlineIngest.flush`,
when a reader asks, at exit, and by a background thread for contexts that never end. While testing, and on a
connection that is shared with the host (in-memory SQLite), there is no thread.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from flask import Flask

from ..config import Config
from ..context import event_loop_runs
from ..counters import Counters
from ..counters import count_failure
from ..counters import log
from ..counters import log_failure
from ..errors import LLMCostError
from ..errors import StorageError
from ..events import Event
from ..ledger import LedgerSource
from ..ledger import host_transaction_open
from ..ledger import shared_connection
from ..providers import Sighting

BATCH = 500
#: The background thread writes when this many calls wait, or after so many seconds.
GATHERED_CALLS = 100
GATHERED_SECONDS = 5.0
#: Seconds that the end of a request, or a test, waits for somebody else's lock on the database.
SHORT_LOCK_WAIT = 0.1
#: Seconds that a large answer waits for the calls it has brought already to be written.
ROOM_WAIT = 2.0


class _Primitives:
    """What the threads of one process share.

    Made when it is first needed: after a server has forked, and after gevent has replaced what it is made of.
    A lock or an event made before that would hold up all greenlets of the process.
    """

    def __init__(self) -> None:
        self.flushing = threading.Lock()
        self.starting = threading.Lock()
        self.wake = threading.Event()


class InlineIngest:
    """A bounded buffer in front of the ledger.

    :param source: makes the app's ledger at the first write.
    :param catch_up: called before each write: brings along what finalizers have left.
    """

    mode = "inline"
    #: Why events are written this way, in words for the log and doctor.
    reason = "calls are written when their request ends"
    #: Who writes at this moment.
    _flushing_thread: int | None = None

    def __init__(
        self,
        app: Flask,
        config: Config,
        source: LedgerSource,
        counters: Counters,
        catch_up: Callable[[], None],
    ) -> None:
        self._app = weakref.ref(app)
        self._config = config
        self._source = source
        self._counters = counters
        self._waiting: deque[Event] = deque()
        self._writing: list[Event] = []
        self._crowded_after = 0.0
        self._catch_up = catch_up
        self._thread: threading.Thread | None = None
        self._reset_threads()

    @property
    def pending(self) -> int:
        return len(self._waiting) + len(self._writing)

    def accept(self, event: Event) -> bool:
        if self.pending >= self._config.buffer_size:
            self._drop()
            return False
        self._waiting.append(event)
        if self._thread is None and not self._testing:
            self._start_thread()
        if len(self._waiting) >= GATHERED_CALLS:
            self._primitives.wake.set()
        return True

    def postpone(self, sighting: Sighting) -> bool:
        return False  # nothing is gained: whoever writes it is in the host's way as well

    @property
    def is_crowded(self) -> bool:
        """Whether half of the buffer is taken; not right after it was in vain to write."""
        return self.pending >= self._config.buffer_size // 2 and time.monotonic() >= self._crowded_after

    def make_room(self) -> None:
        """Write here, but not in an event loop's thread, nor on a connection that is shared with the host."""
        if event_loop_runs():
            return
        before = self.pending
        try:
            if not shared_connection(self._source.get().engine):
                self.flush(ROOM_WAIT)
        except LLMCostError as error:
            self._log(error)
        if self.pending >= before:
            self._crowded_after = time.monotonic() + ROOM_WAIT

    def flush(self, timeout: float | None = None) -> bool:
        """Write what waits, in the calling thread; ``False`` where something is still pending.

        :raises StorageError: the database refused and ``LLM_COST_STORAGE_ERROR`` is "raise".
        """
        return self._flush(timeout, SHORT_LOCK_WAIT if self._testing else timeout)

    def seen_by_others(self, timeout: float) -> bool:
        """Have what waits written in the background, and wait for at most ``timeout`` seconds; whether it is.

        A receiver that was told of a call in the middle of a write does not wait for that.
        """
        if not self.pending or self._flushing_thread == threading.get_ident():
            return True
        written: list[bool] = []
        thread = threading.Thread(
            target=lambda: written.append(self.write_in_background()), name="llm-cost-inline-now", daemon=True
        )
        thread.start()
        thread.join(timeout)
        return written == [True]

    def _flush(self, timeout: float | None, lock_wait: float | None) -> bool:
        self._catch_up()
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        # Whoever holds the lock takes along what waits now; without a timeout there is nothing to hurry for.
        if not self._primitives.flushing.acquire(timeout=-1 if timeout is None else max(timeout, 0)):
            return False
        self._flushing_thread = threading.get_ident()
        try:
            while self._waiting:
                if not self._write_batch(lock_wait):
                    return False
                if time.monotonic() >= deadline:
                    break
            return not self._waiting
        finally:
            self._flushing_thread = None
            self._primitives.flushing.release()

    def context_ended(self) -> None:
        """Write now, if that disturbs nobody. Never raises: it is one of the host's teardown functions."""
        if event_loop_runs():
            self._primitives.wake.set()
            return
        try:
            self._flush(0, SHORT_LOCK_WAIT)  # another thread that writes takes these along
        except StorageError as error:
            self._log(error)

    def write_in_background(self) -> bool:
        """What the background thread does; a connection shared with the host is left to the host's thread.

        :returns: whether nothing waits any more.
        """
        try:
            if not self._stopped and not shared_connection(self._source.get().engine):
                return self._flush(None, None)
        except LLMCostError as error:
            self._log(error)
        return False

    def close(self, timeout: float) -> None:
        """Write what waits, for at most ``timeout`` seconds, and stop the background thread."""
        self._stopped = True
        self._primitives.wake.set()
        try:
            self.flush(timeout)
        except StorageError as error:
            self._log(error)
        if self.pending:
            log.error("%d calls were not written before shutdown and are lost", self.pending)
            self._counters.add("lost", self.pending)

    @property
    def _primitives(self) -> _Primitives:
        return self._made.get("here") or self._made.setdefault("here", _Primitives())

    @property
    def _testing(self) -> bool:
        app = self._app()
        return app is None or app.testing

    def _write_batch(self, lock_wait: float | None) -> bool:
        """Write the oldest events; ``False`` when they have to wait. The caller holds the flush lock."""
        try:
            ledger = self._source.get()
            if host_transaction_open(ledger.engine):
                return False
            self._take()
            ledger.write_or_quarantine(self._writing, lock_wait=lock_wait)
        except Exception as error:
            self._put_back()
            self._failed(error)
            return False
        except BaseException:
            # A signal ends the process (a server's worker timeout, say): there is one more write at exit.
            self._put_back()
            raise
        self._counters.add("written", len(self._writing))
        self._writing = []
        return True

    def _take(self) -> None:
        while self._waiting and len(self._writing) < BATCH:
            self._writing.append(self._waiting.popleft())

    def _put_back(self) -> None:
        self._waiting.extendleft(reversed(self._writing))
        self._writing = []

    def _failed(self, error: Exception) -> None:
        if self._config.storage_error == "raise":
            raise StorageError(
                f"{self.pending} calls wait in memory: they could not be written. "
                "flask llm-cost doctor says why."
            ) from error
        if self._config.storage_error == "warn":
            self._log(error)
        else:
            count_failure(self._counters, "storage_errors", error.__cause__ or error)

    def _log(self, error: BaseException) -> None:
        what = "Calls wait in memory: they could not be written; flask llm-cost doctor says why"
        log_failure(self._counters, "storage_errors", what, error.__cause__ or error)

    def _drop(self) -> None:
        dropped = self._counters.add("dropped")
        message = f"A call is not recorded: {self.pending} others wait already (LLM_COST_BUFFER_SIZE)"
        if self._config.storage_error == "raise":
            raise StorageError(message)
        if dropped == 1 or dropped % 100 == 0:
            log.error("%s (%d so far)", message, dropped)

    def _start_thread(self) -> None:
        with self._primitives.starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=_write_forever, args=(weakref.ref(self),), name="llm-cost-inline", daemon=True
                )
                self._thread.start()

    def _reset_threads(self) -> None:
        self._made: dict[str, _Primitives] = {}
        self._thread = None
        self._stopped = False

    def forked(self) -> None:
        """In a forked child: what waits is the parent's to write, and its thread did not come along."""
        self._waiting.clear()
        self._writing = []
        self._reset_threads()
        self._source.forked()


def _write_forever(reference: weakref.ref[InlineIngest]) -> None:
    """The background thread. It holds no reference while it sleeps, so that the app can be collected."""
    while (ingest := reference()) is not None and not ingest._stopped:
        wake = ingest._primitives.wake
        del ingest
        wake.wait(GATHERED_SECONDS)
        wake.clear()
        if (ingest := reference()) is not None:
            ingest.write_in_background()
