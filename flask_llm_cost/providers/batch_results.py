"""The results of a batch: many answers in one body, each of them a call of its own."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import replace

from ..events import Observation
from .batch_formats import LINES
from .batch_formats import Result
from .batch_formats import inlined_results
from .fields import EMPTY
from .jsontext import Unreadable
from .jsontext import read_object
from .modes import DATA_RESIDENCY
from .modes import join_modes
from .reading import read_document
from .routes import Route
from .sse import EVENT_LIMIT

#: A batch object with its results in it is kept for parsing up to here; Google takes 20 MB of requests.
DOCUMENT_LIMIT = 64 * 1024 * 1024


class ResultsReader(ABC):
    """Reads a body with the results of a batch along: an observation for each that is billed.

    It never raises. A body that holds no results, or cannot be read, has none.
    """

    def __init__(self, route: Route) -> None:
        self._route = route
        #: This holds no results: it is an upload, a picture, a film. Nothing more of it needs to be read.
        self.is_foreign = False

    @abstractmethod
    def feed(self, chunk: bytes) -> Iterable[Observation]:
        """The results that ``chunk`` completes. Iterate to the end before feeding more."""

    @abstractmethod
    def finish(self) -> Iterator[Observation]:
        """The results that the end of the body completes."""

    def _observed(self, result: Result) -> Iterator[Observation]:
        route = Route(
            provider=self._route.provider,
            operation=result.operation,
            protocol=result.protocol,
            billing="usage",
            model=result.model,
        )
        found = read_document(route, result.body, "batch")
        if found.status == "error" and found.usage is None:
            return  # its request failed, although the batch did not
        residency = DATA_RESIDENCY if DATA_RESIDENCY in (found.pricing_mode or "") else None
        yield replace(
            found,
            model=found.model or result.model,
            pricing_mode=join_modes("batch", residency),
            mode_told=True,
            http_status=result.http_status,
            charge_id=result.charge_id,
            is_settled=True,
            operation=result.operation,
            occurred_at=result.occurred_at,
        )


class LinesReader(ResultsReader):
    """JSON lines, of which one is held at a time.

    :param limit: the length in bytes from which a line is skipped.
    """

    def __init__(self, route: Route, *, limit: int = EVENT_LIMIT) -> None:
        super().__init__(route)
        self._read_line, self._is_line = LINES[route.protocol]
        self._limit = limit
        self._rest = bytearray()
        self._skipping = False
        self._are_results = False
        self._position = 0

    def feed(self, chunk: bytes) -> Iterable[Observation]:
        if b"\n" in chunk:
            return self._lines(chunk)
        if not self.is_foreign:
            self._keep(memoryview(chunk))
        return ()

    def _lines(self, chunk: bytes) -> Iterator[Observation]:
        start = 0
        while not self.is_foreign and (end := chunk.find(b"\n", start)) >= 0:
            line = bytes(self._rest) + chunk[start:end] if self._rest else chunk[start:end]
            start = end + 1
            self._rest.clear()
            if self._skipping or len(line) > self._limit:
                yield from self._skipped()
            else:
                yield from self._read(line)
        if not self.is_foreign:
            self._keep(memoryview(chunk)[start:])

    def finish(self) -> Iterator[Observation]:
        if not self.is_foreign:
            yield from self._skipped() if self._skipping else self._read(bytes(self._rest))
        self._rest.clear()

    def _keep(self, rest: memoryview) -> None:
        """The beginning of a line. Before it is copied, it shows by its first byte whether it can be JSON."""
        if not (self._are_results or self._rest or bytes(rest[:64]).lstrip()[:1] in (b"", b"{")):
            self.is_foreign = True
        elif len(self._rest) + len(rest) > self._limit:
            self._skipping = self._are_results
            self.is_foreign = not self._are_results  # results begin with a line that can be read
            self._rest.clear()
        elif not self._skipping:
            self._rest += rest

    def _skipped(self) -> Iterator[Observation]:
        """A line that was too long."""
        self._skipping = False
        self._position += 1
        self.is_foreign = not self._are_results
        if self._are_results:
            yield Observation(problems=("batch: a line was too long to be read",))

    def _read(self, line: bytes) -> Iterator[Observation]:
        if not line.strip():
            return
        self._position += 1
        try:
            document = read_object(line, exact=False)
        except Unreadable as error:
            document = EMPTY
            if self._are_results:
                yield Observation(problems=(f"batch: a line is {error}",))
        if not self._are_results:
            self._are_results = self._is_line(document)
            self.is_foreign = not self._are_results
        if self._are_results:
            result = self._read_line(document, self._route.resource, self._position)
            yield from () if result is None else self._observed(result)


class InlinedReader(ResultsReader):
    """Google's batch object, which holds the results of a small batch when it is done.

    The batch objects of others are asked for by the same path, and hold none.

    :param limit: the size in bytes from which it is not kept for parsing.
    """

    def __init__(self, route: Route, *, limit: int = DOCUMENT_LIMIT) -> None:
        super().__init__(route)
        self._parts: list[bytes] = []
        self._room = limit

    def feed(self, chunk: bytes) -> Iterable[Observation]:
        self._room -= len(chunk)
        if self._room >= 0:
            self._parts.append(chunk)
        else:
            self._parts.clear()
        return ()

    def finish(self) -> Iterator[Observation]:
        if self._room < 0:
            yield Observation(problems=("batch: its results were too long to be read",))
            return
        try:
            batch = read_object(b"".join(self._parts), exact=False)
        except Unreadable:
            return
        for result in inlined_results(batch, self._route.resource):
            yield from self._observed(result)


def results_reader(route: Route) -> ResultsReader:
    """The reader for the answer to a request whose billing is ``results``."""
    return InlinedReader(route) if route.protocol == "gemini_batch" else LinesReader(route)
