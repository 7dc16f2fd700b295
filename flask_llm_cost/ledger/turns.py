"""So many at a time, and whoever came first is next."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import TimeoutError as WaitedTooLong


class Turns:
    """As a semaphore, in the order of arrival: of many who come again and again nobody waits for ever.

    :param many: how many have their turn at a time.
    """

    def __init__(self, many: int) -> None:
        self._lock = threading.Lock()
        self._free = many
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def taken(self, seconds: float) -> Iterator[None]:
        """A turn, until the block ends.

        :raises sqlalchemy.exc.TimeoutError: it did not come in so many seconds.
        """
        if not self._take(seconds):
            raise WaitedTooLong("too many questions are asked at once")
        try:
            yield
        finally:
            self._give_back()

    def _take(self, seconds: float) -> bool:
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(seconds):
            return True
        with self._lock:
            if mine.is_set():  # it came in the meantime
                return True
            self._waiting.remove(mine)
            return False

    def _give_back(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
