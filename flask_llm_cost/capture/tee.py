"""Reads along while the host reads a response: on the very object the SDK made, which stays what it is."""

from __future__ import annotations

import functools
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
from ..providers import Answer
from ..runtime import Runtime
from .call import CapturedCall
from .mute import ours
from .off_loop import off_loop
from .readers import Reader
from .unpacking import Unpacking
from .unpacking import unpacking

#: Smaller pieces of a batch's results are read in the event loop: to change the thread would take longer.
LARGE = 16 * 1024

_open: set[OpenAnswer] = set()


class OpenAnswer:
    """An answer that the host has not read to its end, and what was read along of it.

    Which comes first ends the call: the terminal event, an error, the end of the answer, an early close, or
    the garbage collector.
    """

    def __init__(self, call: CapturedCall, reader: Reader) -> None:
        self.call = call
        self._ended = False
        #: The first content has not gone by: until then each chunk is looked at.
        self.waits_for_output = True
        self.reader = reader
        _open.add(self)

    @property
    def runtime(self) -> Runtime:
        return self.call.runtime

    def detach(self) -> None:
        """Forget the answer."""
        self._ended = True
        _open.discard(self)

    def feed(self, chunk: bytes) -> LLMCostError | None:
        """Read along. At the terminal event the call is complete, whether or not the host reads on."""
        if self._ended:
            return None
        # Once per chunk, so without the context manager that stands around everything else of ours.
        try:
            over = self.reader.feed(chunk)
            if self.waits_for_output and self.reader.saw_output:
                self.waits_for_output = False
                self.call.saw_output()
        except Exception as error:
            log_failure(self.runtime.counters, "capture_errors", "A stream could not be read along", error)
            return None
        return self.end() if over else None

    async def feed_async(self, chunk: bytes) -> LLMCostError | None:
        """As :meth:`feed`, without holding up the event loop where much is told at once, or has to be stored
        before more can be told.
        """
        is_long = self.call.is_bulk and (len(chunk) >= LARGE or self.runtime.ingest.is_crowded)
        if is_long and not self._ended:
            return await off_loop(functools.partial(self.feed, chunk))
        return self.feed(chunk)

    async def end_async(self) -> LLMCostError | None:
        """As :meth:`end`, likewise."""
        return await off_loop(self.end) if self.call.is_bulk and not self._ended else self.end()

    def end(self) -> LLMCostError | None:
        """The answer came to its end. Returns an exception that the host opted into."""
        try:
            self._end(self.reader.complete)
        except LLMCostError as error:
            return error
        return None

    def fail(self, error: BaseException) -> None:
        """The body ended in an exception, which is on its way to the host."""

        def observed() -> Observation:
            status: Status = "error" if isinstance(error, Exception) else "aborted"
            return replace(self.reader.partial(), status=status, error_type=type(error).__name__)

        self._end(observed, silent=True, from_finalizer=isinstance(error, GeneratorExit))

    def abandon(self, *, from_finalizer: bool) -> None:
        """Nobody will read on."""

        def observed() -> Observation:
            found = self.reader.partial()
            return found if self.reader.is_whole else replace(found, status="aborted")

        self._end(observed, silent=True, from_finalizer=from_finalizer)

    def _end(
        self,
        observe: Callable[[], Answer | Observation],
        *,
        silent: bool = False,
        from_finalizer: bool = False,
    ) -> None:
        if self._ended:
            return
        silent = silent or from_finalizer
        with ours(self.runtime.counters, "A stream's end could not be recorded", silent=silent):
            self.detach()
            self.call.finish(observe(), silent=silent, from_finalizer=from_finalizer)


class Tee(OpenAnswer):
    """One unread response on its way to the host.

    An SDK's response gets its own ``iter_bytes``, ``aiter_bytes`` (decoded bytes: ``read``, ``iter_lines``,
    the SDK's stream and its helpers all go through them), ``iter_raw``, ``aiter_raw``, ``close`` and
    ``aclose``, until the call is finished.

    Before :meth:`handed_over` it is in the hands of the SDK, whose middleware may drop one response, so that
    the garbage collector takes it, and ask for another one.

    :param taps: what is replaced on the response instead, by name; empty where its maker calls the taps.
    """

    def __init__(
        self,
        call: CapturedCall,
        response: Any,
        reader: Reader,
        taps: Mapping[str, Callable[[Tee, Any], Any]] | None = None,
    ) -> None:
        super().__init__(call, reader)
        self._taps = TAPPED if taps is None else taps
        # While the response reads itself to the end it also closes itself: that is no early close.
        self._reading = False
        self._is_the_hosts = False
        self._was_dropped = False
        # No strong reference, direct or through a tap, may lead from here to the response: the finalizer's
        # registry holds this object.
        self._response = weakref.ref(response)
        self._finalizer = weakref.finalize(response, self._abandon)
        self._finalizer.atexit = False  # abandon_open_calls() comes before the last flush
        self._attach(response)

    @property
    def is_reading(self) -> bool:
        """Whether a tap of ours is asking the response for its next bytes."""
        return self._reading

    def reads_raw(self) -> None:
        """The host reads the body as it comes over the wire."""
        response = self._response()
        if response is not None and not isinstance(self.reader, Unpacking):
            self.reader = unpacking(self.reader, response)

    def handed_over(self) -> None:
        """The host has the response now, and leaving it ends the call."""
        self._is_the_hosts = True
        if self._was_dropped:
            self._abandon()

    def detach(self) -> None:
        """Take everything off the response and forget it."""
        super().detach()
        self._finalizer.detach()
        response = self._response()
        if response is not None:
            for name in self._taps:
                if getattr(vars(response).get(name), "llm_cost_tee", None) is self:
                    delattr(response, name)

    def _attach(self, response: Any) -> None:
        for name, tap in self._taps.items():
            replacement = tap(self, getattr(response, name))
            if name not in vars(response):  # what another tool put there stays under ours for good
                replacement.llm_cost_tee = self
            setattr(response, name, replacement)

    def _close(self) -> None:
        # An SDK's generator may be closed by the garbage collector, in any thread and inside any lock, and
        # calls this: an early close is treated like a finalizer.
        if not self._reading:
            self._abandon()

    def _abandon(self) -> None:
        if self._is_the_hosts:
            self.abandon(from_finalizer=True)
        else:
            self._was_dropped = True


def abandon_open_calls(runtime: Runtime) -> None:
    """Record the streams of an app that nobody has read to their end: its work is over."""
    for answer in list(_open):
        if answer.runtime is runtime:
            answer.abandon(from_finalizer=False)


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
            if not tee.waits_for_output and tee.reader.skips(chunk):
                yield chunk
                continue
            problem = tee.feed(chunk)
            yield chunk if problem is None else tee.reader.before_end(chunk)
            if problem is not None:
                raise problem
        if (problem := tee.end()) is not None:
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
                if not tee.waits_for_output and tee.reader.skips(chunk):
                    yield chunk
                    continue
                problem = await tee.feed_async(chunk)
                yield chunk if problem is None else tee.reader.before_end(chunk)
                if problem is not None:
                    raise problem
        finally:
            if hasattr(source, "aclose"):
                await source.aclose()
        if (problem := await tee.end_async()) is not None:
            raise problem

    return tapped


def _raw(tap: Callable[[Tee, Any], Any]) -> Callable[[Tee, Any], Any]:
    """``iter_raw`` or ``aiter_raw``, read along where the host calls it, and not the decoding one."""

    def tap_raw(tee: Tee, iterate: Any) -> Any:
        read = tap(tee, iterate)

        def tapped(*args: Any, **kwargs: Any) -> Any:
            if tee.is_reading:
                return iterate(*args, **kwargs)
            tee.reads_raw()
            return read(*args, **kwargs)

        return tapped

    return tap_raw


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
    "iter_raw": _raw(tap_reading),
    "aiter_raw": _raw(tap_async_reading),
    "close": tap_close,
    "aclose": tap_async_close,
}
