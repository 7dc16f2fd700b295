"""``requests_adapter``: an adapter of requests around another, which reads along what passes it."""

from __future__ import annotations

import importlib
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
from .readers import Around
from .readers import Reader
from .tee import Tee
from .tee import tap_close
from .tee import tap_reading


def requests_adapter(resolve: Callable[[], Runtime | None], inner: Any, tags: Tags | None) -> Adapter:
    """See :meth:`flask_llm_cost.LLMCostTracker.requests_adapter`.

    :raises TypeError: ``inner`` is no adapter, or ``tags`` neither a mapping nor a callable.
    :raises ImportError: ``inner`` is not given and requests is not installed.
    """
    if inner is None:
        inner = importlib.import_module("requests.adapters").HTTPAdapter()
    if not callable(getattr(inner, "send", None)):
        raise TypeError(f"requests_adapter() wraps an adapter of requests, got {type(inner).__name__}")
    return Adapter(HttpTap(resolve, tags), inner)


class Adapter:
    """Sends through the inner adapter."""

    def __init__(self, tap: HttpTap, inner: Any) -> None:
        self._tap = tap
        self._inner = inner

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """:raises LLMCostError: the host opted into an exception."""
        call = self._tap.begin(request)
        if call is None:
            return self._inner.send(request, *args, **kwargs)
        if (admission := call.admission) is not None:
            admission.ask()
        with sending(call):
            response = self._inner.send(request, *args, **kwargs)
        _read_along(call, response)
        return response

    def close(self) -> None:
        """Close the inner adapter."""
        self._inner.close()


def _read_along(call: CapturedCall, response: Any) -> None:
    whole = response._content  # asking for ``content`` would read the body
    reader = answered(call, response, whole if isinstance(whole, bytes) else None)
    if reader is None:
        return
    with reading_along(call):
        Tee(call, response, reader, {"iter_content": _tap_content, "close": tap_close}).handed_over()


def _tap_content(tee: Tee, iter_content: Any) -> Any:
    """Decoded bytes, or text if the host asks for it; ``content``, ``text`` and the lines come from here."""

    def tapped(chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        chunks = iter_content(chunk_size, decode_unicode)  # raises at once what it refuses
        if decode_unicode:
            tee.reader = _Text(tee.reader, iter_content.__self__.encoding or "utf-8")
        read: Iterator[Any] = tap_reading(tee, lambda: chunks)()
        return read

    return tapped


class _Text(Around):
    """Reads chunks that requests has made text of: back to the bytes they were, by the same encoding."""

    def __init__(self, inner: Reader, encoding: str) -> None:
        super().__init__(inner)
        self._encoding = encoding

    def feed(self, chunk: bytes | str) -> bool:
        return self._inner.feed(
            chunk if isinstance(chunk, bytes) else chunk.encode(self._encoding, "replace")
        )

    def before_end(self, chunk: Any) -> Any:
        mark: Any = b"[DONE]" if isinstance(chunk, bytes) else "[DONE]"
        head, found, _ = chunk.rpartition(mark)
        return head if found else chunk
