"""One request of google-genai and its answer, whole or in chunks, whichever tapped method sent it."""

from __future__ import annotations

import contextvars
import functools
from types import TracebackType
from typing import Any

from ..errors import LLMCostError
from ..events import Observation
from ..providers import Answer
from ..providers import take_body
from .admission import Admission
from .batch_results import BatchResults
from .call import CapturedCall
from .mute import covered
from .mute import ours
from .off_loop import off_loop
from .readers import EventReader
from .readers import read_at_once
from .tee import OpenAnswer

#: Who raises exceptions about a request that was sent, or about its answer.
_WIRE = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "requests", "urllib3"})
_SDK_ERRORS = frozenset({"APIError", "UnknownApiResponseError", "TransportError"})


class Exchange:
    """One request and its answer, whole or in chunks."""

    def __init__(self, call: CapturedCall) -> None:
        self._call = call
        self._answer: OpenAnswer | None = None
        self._had_chunk = False
        self.attempts = 0

    @property
    def admission(self) -> Admission | None:
        """What is to be asked before it is sent."""
        return self._call.admission

    def returned(self, answer: Any) -> None:
        """The host gets this whole answer now: the SDK's response, or the bytes of a file.

        :raises LLMCostError: the host opted into an exception.
        """
        with ours(self._call.runtime.counters, "An answer could not be read"):
            self._call.answered_after(max(1, self.attempts))
            body = answer if isinstance(answer, bytes) else (answer.body or "").encode()
            self._call.finish_read(self._read(body), silent=False)

    async def returned_async(self, answer: Any) -> None:
        """As :meth:`returned`, without holding up the event loop."""
        if self._call.is_bulk:
            await off_loop(functools.partial(self.returned, answer))
        else:
            self.returned(answer)

    def _read(self, body: bytes) -> Answer | Observation:
        if self._call.is_bulk:
            return read_at_once(BatchResults(self._call.route, self._call.tell), body)
        return take_body(self._call.route, body)

    def opened(self) -> None:
        """A stream was answered; its chunks follow."""
        with ours(self._call.runtime.counters, "An answer could not be observed", silent=True):
            self._call.answered_after(max(1, self.attempts))
            self._answer = OpenAnswer(self._call, EventReader(self._call.route))

    def feed(self, chunk: Any) -> LLMCostError | None:
        """The host gets this chunk next. Returns an exception that it opted into."""
        if self._answer is None:
            self.opened()
        self._had_chunk = True
        with ours(self._call.runtime.counters, "A chunk could not be read along", silent=True):
            if self._answer is not None:
                # The SDK has parsed the chunk and written it again, on one line.
                return self._answer.feed(b"data: " + (chunk.body or "").encode() + b"\n\n")
        return None

    def ended(self) -> LLMCostError | None:
        """No chunk follows. Returns an exception that the host opted into."""
        if self._answer is None:
            self.opened()
        return self._answer.end() if self._answer is not None else None

    def left(self) -> None:
        """Nobody reads the stream any more; nothing happens if it had come to its end.

        It may be the garbage collector that says so, in any thread and inside any lock.
        """
        if self._answer is not None:
            self._answer.abandon(from_finalizer=True)

    def raised(self, error: BaseException) -> None:
        """The host gets this exception."""
        with ours(self._call.runtime.counters, "A failed call could not be recorded", silent=True):
            if self._answer is not None and self._had_chunk:
                self._answer.fail(error)
                return
            if self._answer is not None:
                self._answer.detach()
            elif isinstance(error, Exception) and not _came_from_the_wire(error):
                return  # the SDK itself refused to send it
            self._call.finish_refused(error, _http_status(error), max(1, self.attempts))


_exchange: contextvars.ContextVar[Exchange | None] = contextvars.ContextVar(
    "llm_cost_google_exchange", default=None
)


class under_way:
    """Make an exchange the one whose attempts are counted, and whose HTTP requests no transport of ours
    counts again; it is told how it fails. Put back by value, not by token: a coroutine may be closed in
    another context than it was begun in.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._covered = covered()

    def __enter__(self) -> None:
        self._before = _exchange.get()
        _exchange.set(self._exchange)
        self._covered.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._covered.__exit__()
        if _exchange.get() is self._exchange:
            _exchange.set(self._before)
        if error is not None and not isinstance(error, StopIteration):
            self._exchange.raised(error)


def count_attempt() -> None:
    if (exchange := _exchange.get()) is not None:
        exchange.attempts += 1


def _http_status(error: BaseException) -> int | None:
    code = error.code if _is_sdk_error(error) and hasattr(error, "code") else None
    return code if isinstance(code, int) and 100 <= code < 600 else None


def _came_from_the_wire(error: Exception) -> bool:
    """Whether this is about an answer, or about the connection."""
    if isinstance(error, OSError) or _is_sdk_error(error):  # TimeoutError is an OSError
        return True
    return any(base.__module__.partition(".")[0] in _WIRE for base in type(error).__mro__)


def _is_sdk_error(error: BaseException) -> bool:
    return any(
        base.__name__ in _SDK_ERRORS and base.__module__.startswith("google.") for base in type(error).__mro__
    )
