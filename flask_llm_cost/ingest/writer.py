"""One daemon thread per process that stores what has gathered, round by round."""

from __future__ import annotations

import random
import threading
import time
import weakref
from collections.abc import Callable

#: Seconds in which calls gather before a round, and how many end the waiting.
GATHER_SECONDS = 0.25
GATHERED_CALLS = 500
#: Seconds between two rounds of a process that has nothing to store. A finalizer, which may run inside any
#: lock, cannot wake the thread: what it left is found then.
IDLE_SECONDS = 5.0
#: Seconds before the second attempt after a failed round; doubled, with jitter, up to the last.
BACKOFF = 0.5
LONGEST_BACKOFF = 15.0
#: Seconds between two attempts while somebody waits for them: the first pause, doubled up to the last.
RETRY_PAUSE = 0.05
LONGEST_RETRY_PAUSE = 1.0


class Writer:
    """Runs rounds of work, in its thread or, where there can be none any more, in the caller's.

    :param work: a bound method that stores what waits and answers whether all of it is stored; never raises.
        Held weakly: the thread ends with the object it works for.
    :param name: the thread's.
    :param idle: seconds between two rounds of a process that has nothing to store.
    """

    def __init__(
        self, work: Callable[[], bool], *, name: str = "llm-cost-writer", idle: float = IDLE_SECONDS
    ) -> None:
        self._work = weakref.WeakMethod(work)
        self._name = name
        self._idle = idle
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._working = threading.Lock()
        self._awake = threading.Event()
        self._hurry = threading.Event()
        self._rounds = threading.Condition()
        self._begun = 0
        self._done = 0
        self._clean = True
        self._last_clean = 0
        self._worker: int | None = None
        self._failures = 0
        self._gathered = 0
        self._was_busy = False
        self._stopped = False

    @property
    def is_begun(self) -> bool:
        """Whether there is, or was, a thread."""
        return self._thread is not None

    def wake(self) -> None:
        """Something waits."""
        if self._thread is None:
            self._start()
        self._gathered += 1
        if not self._awake.is_set():
            self._awake.set()
        if self._gathered >= GATHERED_CALLS and not self._failures:
            self._hurry.set()

    def hurry(self) -> None:
        """Others want to see what waits: let nothing gather. While writing fails, that does not help them."""
        if not self._failures:
            self._hurry.set()

    @property
    def next_round(self) -> int:
        """The number of the round in which what is there by now is stored at the latest."""
        return self._begun + 1

    def stored(self, number: int, timeout: float) -> bool:
        """Wait until what that round is about is stored, for at most ``timeout`` seconds; whether it is.

        Whoever is storing does not wait for himself. Between attempts that fail nobody waits, but has the
        next one begin.
        """
        if self._last_clean >= number or self._worker == threading.get_ident():
            return True
        thread = self._thread
        if thread is None or not thread.is_alive():
            return self._work_once()
        with self._rounds:
            if self._begun < number or self._rests:
                self._begin_now()
            self._rounds.wait_for(
                lambda: self._last_clean >= number or self._rests or not thread.is_alive(), timeout
            )
            return self._last_clean >= number

    def run(self, timeout: float | None) -> bool:
        """Have a round begin now and wait for its end; whether everything that waited is stored."""
        if self._thread is None:
            self._start()
        thread = self._thread
        if thread is None or not thread.is_alive():
            return self._work_once()
        if thread is threading.current_thread():
            return False  # a receiver of the host's flushes within a round
        with self._rounds:
            wanted = self._begun + 1
            self._begin_now()
            over = self._rounds.wait_for(lambda: self._done >= wanted or not thread.is_alive(), timeout)
            return over and self._clean

    def run_until(self, timeout: float | None) -> bool:
        """As :meth:`run`, again after rounds that failed while there is time; without a limit once."""
        deadline = time.monotonic() + (timeout or 0.0)
        pause = RETRY_PAUSE
        while not (clean := self.run(None if timeout is None else max(0.0, deadline - time.monotonic()))):
            left = deadline - time.monotonic()
            if left <= 0 or self._thread is threading.current_thread():
                break
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_RETRY_PAUSE)
        return clean

    def stop(self, timeout: float) -> bool:
        """Run a last round, for at most ``timeout`` seconds; whether nobody works any more."""
        deadline = time.monotonic() + timeout
        self._stopped = True
        self.run(timeout)
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return thread is None
        thread.join(max(0.0, deadline - time.monotonic()))
        return not thread.is_alive()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._stopped:
                return
            thread = threading.Thread(target=_run, args=(weakref.ref(self),), name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # the interpreter is shutting down: whoever flushes works
            self._thread = thread

    def _work_once(self) -> bool:
        work = self._work()
        if work is None:
            return False
        with self._working:
            with self._rounds:
                self._begun += 1
                self._was_busy, self._gathered = self._gathered > 0, 0
            self._worker = threading.get_ident()
            clean = work()
            self._worker = None
            self._failures = 0 if clean else self._failures + 1
            with self._rounds:
                self._done = self._begun
                self._clean = clean
                if clean:
                    self._last_clean = self._begun
                self._rounds.notify_all()
        return clean

    def _begin_now(self) -> None:
        self._hurry.set()
        self._awake.set()

    @property
    def _rests(self) -> bool:
        """Whether an attempt has failed, and the next one is not due yet."""
        return bool(self._failures) and self._done == self._begun

    def _backoff(self) -> float:
        longest = min(LONGEST_BACKOFF, BACKOFF * 2.0 ** min(self._failures - 1, 10))
        return longest * random.uniform(0.5, 1)  # noqa: S311  # spreads processes, hides nothing


def _run(reference: weakref.ref[Writer]) -> None:
    """The thread. While it waits it holds nothing but what it waits for, so that the app can be collected."""
    while (writer := reference()) is not None and writer._work() is not None:
        awake, hurry, idle = writer._awake, writer._hurry, writer._idle
        backoff = writer._backoff() if writer._failures else None
        was_busy = writer._was_busy
        del writer
        if backoff is None:
            # A thread that is woken wants the interpreter's lock, which holds up whoever gives it up for a
            # moment, to write to a file. Where calls come and come, nobody has to wake it.
            if not was_busy:
                awake.wait(idle)
            hurry.wait(GATHER_SECONDS)
        else:
            hurry.wait(backoff)
        awake.clear()
        hurry.clear()
        if (writer := reference()) is None:
            return
        stopping = writer._stopped  # asked before: who stops a round that is under way wants another one
        writer._work_once()
        if stopping:
            return
