"""Reads along while the host reads a response: on the very object the SDK made, which stays what it is."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..counters import log_failure
from ..errors import LLMCostError
from ..events import Observation
from ..events import Status
from ..runtime import Runtime
from .call import CapturedCall
from .mute import ours
from .readers import Reader

_open: set[Tee] = set()


class Tee:
    """One unread response on its way to the host.

    An SDK's response gets its own ``iter_bytes``, ``aiter_bytes`` (decoded bytes: ``read``, ``iter_lines``,
    the SDK's stream and its helpers all go through them), ``close`` and ``aclose``, until the call is
    finished. Which of these comes first ends the call: the stream's terminal event, an error, the end of the
    body, a close before that, or the garbage collector.

    :param taps: what is replaced on the response instead, by name; empty where its maker calls the taps.
    """

    def __init__(
        self,
        call: CapturedCall,
        response: Any,
        reader: Reader,
        taps: Mapping[str, Callable[[Tee, Any], Any]] | None = None,
    ) -> None:
        self.call = call
        self.reader = reader
        self._taps = TAPPED if taps is None else taps
        self._ended = False
        # While the response reads itself to the end it also closes itself: that is no early close.
        self._reading = False
        self._waits_for_output = True
        # No strong reference, direct or through a tap, may lead from here to the response: the finalizer's
        # registry holds this object.
        self._response = weakref.ref(response)
        self._finalizer = weakref.finalize(response, self._abandon)
        self._finalizer.atexit = False  # abandon_open_calls() comes before the last flush
        self._attach(response)
        _open.add(self)

    @property
    def runtime(self) -> Runtime:
        return self.call.runtime

    def detach(self) -> None:
        """Take everything off the response and forget it."""
        self._ended = True
        _open.discard(self)
        self._finalizer.detach()
        response = self._response()
        if response is not None:
            for name in self._taps:
                if getattr(vars(response).get(name), "llm_cost_tee", None) is self:
                    delattr(response, name)

    def fail(self, error: BaseException) -> None:
        """The body ended in an exception, which is on its way to the host."""

        def observed() -> Observation:
            status: Status = "error" if isinstance(error, Exception) else "aborted"
            return replace(self.reader.partial(), status=status, error_type=type(error).__name__)

        self._end(observed, silent=True, from_finalizer=isinstance(error, GeneratorExit))

    def _attach(self, response: Any) -> None:
        for name, tap in self._taps.items():
            replacement = tap(self, getattr(response, name))
            if name not in vars(response):  # what another tool put there stays under ours for good
                replacement.llm_cost_tee = self
            setattr(response, name, replacement)

    def _feed(self, chunk: bytes) -> LLMCostError | None:
        """Read along. At the terminal event the call is complete, whether or not the host reads on."""
        if self._ended:
            return None
        # Once per chunk, so without the context manager that stands around everything else of ours.
        try:
            over = self.reader.feed(chunk)
            if self._waits_for_output and self.reader.saw_output:
                self._waits_for_output = False
                self.call.saw_output()
        except Exception as error:
            log_failure(self.runtime.counters, "capture_errors", "A stream could not be read along", error)
            return None
        return self._end_naturally() if over else None

    def _end_of_body(self) -> LLMCostError | None:
        return None if self._ended else self._end_naturally()

    def _end_naturally(self) -> LLMCostError | None:
        try:
            self._end(self.reader.complete)
        except LLMCostError as error:
            return error
        return None

    def _close(self) -> None:
        # An SDK's generator may be closed by the garbage collector, in any thread and inside any lock, and
        # calls this: an early close is treated like a finalizer.
        if not self._reading:
            self._abandon()

    def _abandon(self) -> None:
        self.abandon(from_finalizer=True)

    def abandon(self, *, from_finalizer: bool) -> None:
        """Nobody will read on."""
        self._end(
            lambda: replace(self.reader.partial(), status="aborted"),
            silent=True,
            from_finalizer=from_finalizer,
        )

    def _end(
        self, observe: Callable[[], Observation], *, silent: bool = False, from_finalizer: bool = False
    ) -> None:
        if self._ended:
            return
        silent = silent or from_finalizer
        with ours(self.runtime.counters, "A stream's end could not be recorded", silent=silent):
            self.detach()
            self.call.finish(observe(), silent=silent, from_finalizer=from_finalizer)


def abandon_open_calls(runtime: Runtime) -> None:
    """Record the streams of an app that nobody has read to their end: its work is over."""
    for tee in list(_open):
        if tee.runtime is runtime:
            tee.abandon(from_finalizer=False)


def tap_reading(tee: Tee, iter_bytes: Any) -> Any:
    """``iter_bytes``, read along."""

    def tapped(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        source = iter(iter_bytes(*args, **kwargs))
        while True:
            tee._reading = True
            try:
                chunk = next(source)
            except StopIteration:
                break
            except BaseException as error:
                tee.fail(error)
                raise
            finally:
                tee._reading = False
            problem = tee._feed(chunk)
            yield chunk if problem is None else tee.reader.before_end(chunk)
            if problem is not None:
                raise problem
        if (problem := tee._end_of_body()) is not None:
            raise problem

    return tapped


def tap_async_reading(tee: Tee, aiter_bytes: Any) -> Any:
    """``aiter_bytes``, read along."""

    async def tapped(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        source = aiter_bytes(*args, **kwargs)
        try:
            while True:
                tee._reading = True
                try:
                    chunk = await anext(source)
                except StopAsyncIteration:
                    break
                except BaseException as error:
                    tee.fail(error)
                    raise
                finally:
                    tee._reading = False
                problem = tee._feed(chunk)
                yield chunk if problem is None else tee.reader.before_end(chunk)
                if problem is not None:
                    raise problem
        finally:
            if hasattr(source, "aclose"):
                await source.aclose()
        if (problem := tee._end_of_body()) is not None:
            raise problem

    return tapped


def tap_close(tee: Tee, close: Any) -> Any:
    """``close``, which ends the call too."""

    def tapped() -> None:
        try:
            close()
        finally:
            tee._close()

    return tapped


def tap_async_close(tee: Tee, aclose: Any) -> Any:
    """``aclose``, which ends the call too."""

    async def tapped() -> None:
        try:
            await aclose()
        finally:
            tee._close()

    return tapped


#: What is replaced on the response, and by what.
TAPPED: Mapping[str, Callable[[Tee, Any], Any]] = {
    "iter_bytes": tap_reading,
    "aiter_bytes": tap_async_reading,
    "close": tap_close,
    "aclose": tap_async_close,
}
