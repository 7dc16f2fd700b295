"""What happened to calls in this process, counted: nothing is lost silently."""

from __future__ import annotations

import logging
import threading
from collections import Counter

log = logging.getLogger("flask_llm_cost")


class Counters:
    """Thread-safe counts by name, such as ``recorded``, ``dropped`` or ``capture_errors``."""

    def __init__(self) -> None:
        # Re-entrant: a finalizer that counts may run inside another count of the same thread.
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, by: int = 1) -> int:
        """Count ``by`` more of ``name`` and return the new count."""
        with self._lock:
            self._counts[name] += by
            return self._counts[name]

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def snapshot(self) -> dict[str, int]:
        """All counts of this moment, by name."""
        with self._lock:
            return dict(self._counts)


def count_failure(counters: Counters, name: str, error: BaseException) -> int:
    """Count a failure of ours that nobody wants to be told of; how many of its kind there were."""
    counters.add(name)
    return counters.add(f"{name}:{type(error).__name__}")


def log_failure(counters: Counters, name: str, what: str, error: BaseException) -> None:
    """Count a failure of ours and log the first of its kind, then every hundredth.

    Only the exception's class is logged: its message and its frames may hold prompts.
    """
    times = count_failure(counters, name, error)
    if times == 1 or times % 100 == 0:
        log.warning("%s (%s, seen %d times in this process)", what, type(error).__name__, times)
