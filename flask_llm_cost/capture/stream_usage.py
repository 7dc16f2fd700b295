"""``LLM_COST_REQUEST_STREAM_USAGE``: ask for the usage of a stream, and keep what comes of it from the app.

OpenAI and Azure tell the usage of a streamed completion only where ``stream_options.include_usage`` asks for
it: each chunk then says ``"usage": null``, and one more chunk, without choices, says what was used.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from ..providers import find_route
from .asked import asked_of_stainless
from .call import CapturedCall
from .tee import TAPPED
from .tee import Tee
from .unpacking import is_packed

_PROTOCOLS = ("openai_chat", "openai_completions")
#: Azure's dated versions of its API before this one refuse the option.
_AZURE_SINCE = "2024-09-01"
#: Azure's own extension of the chat, which refuses it as well.
_AZURE_DATA = "data_sources"

_NULL = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])|(?<=\{)\s*"usage"\s*:\s*null\s*,')
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
#: A longer event is handed on as it is: a chunk of usage is short.
_EVENT_LIMIT = 1024 * 1024


def asking(call: CapturedCall, client: Any, options: Any) -> Any | None:
    """A copy of a request's options that asks for the usage of its stream, or ``None``: the caller decides
    it, or the server may not know of it.
    """
    body = options.json_data
    if not isinstance(body, Mapping) or body.get("stream") is not True:
        return None
    given = {*body, *(getattr(options, "extra_json", None) or {})}
    if given & {"stream_options", _AZURE_DATA}:
        return None
    if call.route.protocol not in _PROTOCOLS or not _understands(call, client, options):
        return None
    asked = copy.copy(options)
    asked.json_data = {**body, "stream_options": {"include_usage": True}}
    return asked


def _understands(call: CapturedCall, client: Any, options: Any) -> bool:
    """Whether the server is one that knows the option. Others may answer with status 400."""
    if call.route.provider == "azure":
        query = {**client.default_query, **(options.params or {})}
        version = query.get("api-version")
        return not isinstance(version, str) or not version[:1].isdigit() or version >= _AZURE_SINCE
    asked = asked_of_stainless(client, options, True)
    hosts = call.runtime.config.provider_hosts
    # Without an SDK's name, so that a host which is nobody's is not taken for OpenAI's.
    return find_route(asked.method, asked.host, asked.path, provider_hosts=hosts).provider == "openai"


class Stripped:
    """A stream of events as it had been without the question: without the chunk of usage, and without
    ``"usage": null``.
    """

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What of the stream may be handed on; the beginning of an event waits for its end."""
        *events, self._held = self._split(self._held + chunk)
        return b"".join(map(_without_usage, events))

    def rest(self) -> bytes:
        """What follows the last event."""
        held, self._held = self._held, b""
        return _without_usage(held)

    def _split(self, raw: bytes) -> list[bytes]:
        found, at = [], 0
        for end in _EVENT_END.finditer(raw):
            found.append(raw[at : end.end()])
            at = end.end()
        rest = raw[at:]
        return [*found, rest, b""] if len(rest) > _EVENT_LIMIT else [*found, rest]


def _without_usage(event: bytes) -> bytes:
    if b'"usage"' not in event:
        return event
    return b"" if _is_usage(event) else _NULL.sub(b"", event)


def _is_usage(event: bytes) -> bool:
    lines = (line.removeprefix(b"data:") for line in event.splitlines() if line.startswith(b"data:"))
    try:
        chunk = json.loads(b"\n".join(lines))
    except (ValueError, RecursionError):
        return False
    return isinstance(chunk, dict) and chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict)


def _stripping(tap: Callable[[Tee, Any], Any], *, raw: bool) -> Callable[[Tee, Any], Any]:
    """A tap of :mod:`.tee` that hands on less than it reads along."""

    def stripped(tee: Tee, iterate: Any) -> Any:
        read = tap(tee, iterate)

        def tapped(chunk_size: int | None = None) -> Iterator[bytes]:
            if tee.is_reading or (raw and is_packed(iterate.__self__)):
                whole: Iterator[bytes] = read(chunk_size)
                return whole
            return _in_sizes(_strip(read()), chunk_size)

        return tapped

    return stripped


def _stripping_async(tap: Callable[[Tee, Any], Any], *, raw: bool) -> Callable[[Tee, Any], Any]:
    def stripped(tee: Tee, iterate: Any) -> Any:
        read = tap(tee, iterate)

        def tapped(chunk_size: int | None = None) -> AsyncIterator[bytes]:
            if tee.is_reading or (raw and is_packed(iterate.__self__)):
                whole: AsyncIterator[bytes] = read(chunk_size)
                return whole
            return _strip_async(read(), chunk_size)

        return tapped

    return stripped


def _strip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    stripped = Stripped()
    for chunk in chunks:
        if shown := stripped.feed(chunk):
            yield shown
    if rest := stripped.rest():
        yield rest


async def _strip_async(chunks: AsyncIterator[bytes], chunk_size: int | None) -> AsyncIterator[bytes]:
    stripped, sizes = Stripped(), _Sizes(chunk_size)
    try:
        async for chunk in chunks:
            for piece in sizes.feed(stripped.feed(chunk)):
                yield piece
        for piece in (*sizes.feed(stripped.rest()), *sizes.rest()):
            yield piece
    finally:
        await chunks.aclose()  # type: ignore[attr-defined]


def _in_sizes(chunks: Iterator[bytes], chunk_size: int | None) -> Iterator[bytes]:
    sizes = _Sizes(chunk_size)
    for chunk in chunks:
        yield from sizes.feed(chunk)
    yield from sizes.rest()


class _Sizes:
    """Cuts what it is fed into pieces of the size that the host asked for."""

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._held = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        if self._size is None:
            return [chunk] if chunk else []
        held = self._held + chunk
        whole = len(held) - len(held) % self._size
        self._held = held[whole:]
        return [held[at : at + self._size] for at in range(0, whole, self._size)]

    def rest(self) -> list[bytes]:
        return [self._held] if self._held else []


#: As :data:`~.tee.TAPPED`, for a stream whose usage the app did not ask for.
TAPPED_WITHOUT_USAGE: Mapping[str, Callable[[Tee, Any], Any]] = {
    **TAPPED,
    "iter_bytes": _stripping(TAPPED["iter_bytes"], raw=False),
    "iter_raw": _stripping(TAPPED["iter_raw"], raw=True),
    "aiter_bytes": _stripping_async(TAPPED["aiter_bytes"], raw=False),
    "aiter_raw": _stripping_async(TAPPED["aiter_raw"], raw=True),
}
