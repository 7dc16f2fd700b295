"""How the results of a batch are read along: they are many calls in one answer."""

from __future__ import annotations

from collections.abc import Callable

from ..events import Observation
from ..providers import Route
from ..providers import results_reader


class BatchResults:
    """Reads the results of a batch, each of which is recorded as it passes."""

    saw_output = False
    is_whole = False

    def __init__(self, route: Route, record: Callable[[Observation], None]) -> None:
        self._results = results_reader(route)
        self._record = record

    def skips(self, chunk: bytes) -> bool:
        return False

    def feed(self, chunk: bytes) -> bool:
        for found in self._results.feed(chunk):
            self._record(found)
        return self._results.is_foreign

    def complete(self) -> Observation:
        for found in self._results.finish():
            self._record(found)
        return Observation()

    def partial(self) -> Observation:
        return Observation()  # what has passed is recorded

    def before_end(self, chunk: bytes) -> bytes:
        return chunk  # an exception that the host asked for comes after the last one
