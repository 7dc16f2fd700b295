"""How an answer is read along: as a stream of events or as one JSON body, compressed or not."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from typing import Protocol

from ..events import Observation
from ..providers import Answer
from ..providers import Route
from ..providers import StreamReader
from ..providers import is_event_stream
from ..providers import take_body
from .batch_results import BatchResults

#: A JSON answer that is read piece by piece is kept for parsing up to this size (a batch of embeddings).
BODY_LIMIT = 64 * 1024 * 1024
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Reader(Protocol):
    """Takes the decoded bytes of one answer."""

    @property
    def saw_output(self) -> bool:
        """Whether the first content of a stream went by."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, although the answer has not said that it is over."""

    def skips(self, chunk: bytes) -> bool:
        """Whether the next piece holds nothing and need not be fed."""

    def feed(self, chunk: bytes) -> bool:
        """Read the next piece; whether the answer is over by its own word, a terminal or an error event."""

    def complete(self) -> Answer | Observation:
        """The whole answer."""

    def partial(self) -> Observation:
        """What can be said of an answer that nobody read to its end."""

    def before_end(self, chunk: bytes) -> bytes:
        """``chunk`` without OpenAI's closing ``[DONE]``, at which a client would stop and not meet the
        exception that the host asked for.
        """


class Around:
    """A reader around another, for bytes that have to be made what that one takes."""

    def __init__(self, inner: Reader) -> None:
        self._inner = inner

    @property
    def saw_output(self) -> bool:
        return self._inner.saw_output

    @property
    def is_whole(self) -> bool:
        return self._inner.is_whole

    def skips(self, chunk: bytes) -> bool:
        return False

    def complete(self) -> Answer | Observation:
        return self._inner.complete()

    def partial(self) -> Observation:
        return self._inner.partial()


def reader_for(
    route: Route,
    headers: Mapping[str, str],
    content_type: str,
    *,
    streamed: bool,
    record: Callable[[Observation], None],
) -> Reader:
    """The reader for an answer, by its content type; a server may answer a stream request with plain JSON.

    :param content_type: in lower case.
    :param record: takes each result of a batch.
    """
    if route.billing == "results":
        return BatchResults(route, record)
    if is_event_stream(content_type) or (streamed and "json" not in content_type):
        return EventReader(route, headers)
    return _Body(route, content_type, headers)


def content(response: Any) -> bytes | None:
    """The body, if it has been read; httpx answers an unread one with an exception of its own."""
    try:
        body: bytes = response.content
    except Exception:
        return None
    return body


def take_at_once(
    route: Route,
    headers: Mapping[str, str],
    content_type: str,
    body: bytes,
    *,
    streamed: bool,
    record: Callable[[Observation], None],
) -> Answer | Observation:
    """The answer in a body that is there already; the parameters are those of :func:`reader_for`."""
    if route.billing == "usage" and content_type == "application/json" and len(body) <= BODY_LIMIT:
        return take_body(route, body, headers)  # as nearly all are
    return read_at_once(reader_for(route, headers, content_type, streamed=streamed, record=record), body)


def read_at_once(reader: Reader, body: bytes) -> Answer | Observation:
    """The answer in a body that is there already."""
    reader.feed(body)
    return reader.complete()


class _Plain:
    """Bytes that can be read as they are."""

    def skips(self, chunk: bytes) -> bool:
        return False

    def before_end(self, chunk: bytes) -> bytes:
        head, mark, _ = chunk.rpartition(b"[DONE]")
        return head if mark else chunk


class EventReader(_Plain):
    """Reads a stream of events.

    Where its format always says so when a stream is over, one that does not was broken off by the server, or
    a proxy. Many imitators of OpenAI's chat format just stop.
    """

    def __init__(self, route: Route, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        self._stream = StreamReader(route, headers=headers)
        self.skips = self._stream.skips  # type: ignore[method-assign]  # once per chunk

    @property
    def saw_output(self) -> bool:
        return self._stream.saw_output

    @property
    def is_whole(self) -> bool:
        return self._stream.answered

    def feed(self, chunk: bytes) -> bool:
        self._stream.feed(chunk)
        return self._stream.finished or self._stream.failed

    def complete(self) -> Answer | Observation:
        answer = self._stream.answer()
        if self._stream.must_say_so and not (self._stream.answered or self._stream.failed):
            self._stream.broke_off()
        return answer

    def partial(self) -> Observation:
        return self._stream.observation()


class _Body(_Plain):
    """A whole JSON body, put together. Anything else (speech, images) is not kept."""

    saw_output = False
    is_whole = False

    def __init__(self, route: Route, content_type: str, headers: Mapping[str, str]) -> None:
        self._route = route
        self._headers = headers
        self._parts: list[bytes] = []
        self._room = BODY_LIMIT if "json" in content_type else 0

    def feed(self, chunk: bytes) -> bool:
        self._room -= len(chunk)
        if self._room >= 0:
            self._parts.append(chunk)
        else:
            self._parts.clear()
        return False

    def complete(self) -> Answer | Observation:
        return take_body(self._route, b"".join(self._parts), self._headers)

    def partial(self) -> Observation:
        return Observation()
