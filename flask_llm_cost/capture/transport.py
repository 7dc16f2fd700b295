"""``http_transport``: a transport of httpx or httpx2 around another, which reads along what passes it."""

from __future__ import annotations

import functools
import importlib
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from ..runtime import Runtime
from .call import CapturedCall
from .http_tap import HttpTap
from .http_tap import Tags
from .http_tap import answered
from .http_tap import reading_along
from .http_tap import sending
from .off_loop import off_loop
from .readers import Reader
from .readers import content
from .tee import Tee
from .tee import tap_async_close
from .tee import tap_async_reading
from .tee import tap_close
from .tee import tap_reading
from .unpacking import unpacking

_SENDING = ("handle_request", "handle_async_request")


def http_transport(resolve: Callable[[], Runtime | None], inner: Any, tags: Tags | None) -> Transport:
    """See :meth:`flask_llm_cost.LLMCostTracker.http_transport`.

    :raises TypeError: ``inner`` is no transport, or ``tags`` neither a mapping nor a callable.
    """
    if inner is not None and not any(callable(getattr(inner, name, None)) for name in _SENDING):
        raise TypeError(f"http_transport() wraps a transport of httpx or httpx2, got {type(inner).__name__}")
    return Transport(HttpTap(resolve, tags), _Default() if inner is None else inner)


def send(tap: HttpTap, handle: Callable[[Any], Any], request: Any) -> Any:
    """Have ``handle``, a transport's ``handle_request``, send a request, and read its answer along.

    :raises LLMCostError: the host opted into an exception.
    """
    call = tap.begin(request)
    if call is None:
        return handle(request)
    if (admission := call.admission) is not None:
        admission.ask()
    with sending(call):
        response = handle(request)
    _read_along(call, response, "SyncByteStream")
    return response


async def send_async(tap: HttpTap, handle: Callable[[Any], Awaitable[Any]], request: Any) -> Any:
    """As :func:`send`, for ``handle_async_request``."""
    call = tap.begin(request)
    if call is None:
        return await handle(request)
    if (admission := call.admission) is not None:
        await admission.ask_off_loop()
    with sending(call):
        response = await handle(request)
    read_along = functools.partial(_read_along, call, response, "AsyncByteStream")
    if call.is_bulk:
        await off_loop(read_along)  # an answer from a cache may be there whole
    else:
        read_along()
    return response


class Transport:
    """Sends through the inner transport, sync or async, as that one does it."""

    def __init__(self, tap: HttpTap, inner: Any) -> None:
        self._tap = tap
        self._inner = inner

    def handle_request(self, request: Any) -> Any:
        """:raises LLMCostError: the host opted into an exception."""
        return send(self._tap, self._inner.handle_request, request)

    async def handle_async_request(self, request: Any) -> Any:
        """:raises LLMCostError: the host opted into an exception."""
        return await send_async(self._tap, self._inner.handle_async_request, request)

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()

    def __enter__(self) -> Transport:
        self._inner.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._inner.__exit__(*error)

    async def __aenter__(self) -> Transport:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._inner.__aexit__(*error)


class _Default:
    """The plain transport of the package that a request is of, made when the first one comes."""

    def __init__(self) -> None:
        self._sync: dict[str, Any] = {}
        self._async: dict[str, Any] = {}

    def handle_request(self, request: Any) -> Any:
        return self._of(request, self._sync, "HTTPTransport").handle_request(request)

    async def handle_async_request(self, request: Any) -> Any:
        return await self._of(request, self._async, "AsyncHTTPTransport").handle_async_request(request)

    def close(self) -> None:
        for transport in self._sync.values():
            transport.close()

    async def aclose(self) -> None:
        for transport in self._async.values():
            await transport.aclose()

    def __enter__(self) -> _Default:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    async def __aenter__(self) -> _Default:
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.aclose()

    def _of(self, request: Any, made: dict[str, Any], name: str) -> Any:
        base = next(base for base in reversed(type(request).__mro__) if base.__name__ == "Request")
        package = base.__module__.partition(".")[0]
        if package not in made:
            made.setdefault(package, getattr(importlib.import_module(package), name)())
        return made[package]


def _read_along(call: CapturedCall, response: Any, kind: str) -> None:
    """Put a stream of ours around the response's. Its bytes are on their way to whatever stands above: the
    client, a cache, a proxy that passes them on as they are.
    """
    reader = answered(call, response, content(response))
    if reader is None:
        return
    with reading_along(call):
        response.stream = _teed(call, response.stream, unpacking(reader, response), kind)


def _teed(call: CapturedCall, stream: Any, reader: Reader, kind: str) -> Any:
    base = next(base for base in type(stream).__mro__ if base.__name__ == kind)
    return _stream_class(base, _SyncTap if kind == "SyncByteStream" else _AsyncTap)(call, stream, reader)


@functools.cache
def _stream_class(base: type, tap: type) -> Any:
    """The clients insist on streams of their own package."""
    return type(f"Tracked{base.__name__}", (tap, base), {})


class _SyncTap:
    # The generator holds this object, whose end is the call's: somebody may keep the iterator alone.
    def __init__(self, call: CapturedCall, stream: Any, reader: Reader) -> None:
        tee = Tee(call, self, reader, {})
        tee.handed_over()
        self._read = tap_reading(tee, stream.__iter__)
        self._close = tap_close(tee, stream.close)

    def __iter__(self) -> Iterator[bytes]:
        yield from self._read()

    def close(self) -> None:
        self._close()


class _AsyncTap:
    def __init__(self, call: CapturedCall, stream: Any, reader: Reader) -> None:
        tee = Tee(call, self, reader, {})
        tee.handed_over()
        self._read = tap_async_reading(tee, stream.__aiter__)
        self._close = tap_async_close(tee, stream.aclose)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        steps = self._read()
        try:
            async for chunk in steps:
                yield chunk
        finally:
            await steps.aclose()

    async def aclose(self) -> None:
        await self._close()
