"""How an answer is read along: as a stream of events or as one JSON body, compressed or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from typing import Protocol

from ..events import Observation
from ..providers import Route
from ..providers import StreamReader
from ..providers import read_body

#: A JSON answer that is read piece by piece is kept for parsing up to this size (a batch of embeddings).
BODY_LIMIT = 64 * 1024 * 1024


class Reader(Protocol):
    """Takes the decoded bytes of one answer."""

    @property
    def saw_output(self) -> bool:
        """Whether the first content of a stream went by."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, although the answer has not said that it is over."""

    def feed(self, chunk: bytes) -> bool:
        """Read the next piece; whether the answer is over by its own word, a terminal or an error event."""

    def complete(self) -> Observation:
        """What the whole answer said."""

    def partial(self) -> Observation:
        """What can be said of an answer that nobody read to its end."""

    def before_end(self, chunk: bytes) -> bytes:
        """``chunk`` without OpenAI's closing ``[DONE]``, at which a client would stop and not meet the
        exception that the host asked for.
        """


def reader_for(route: Route, response: Any, *, streamed: bool) -> Reader:
    """The reader for an answer, by its content type; a server may answer a stream request with plain JSON."""
    content_type = _content_type(response)
    if is_event_stream(response) or (streamed and "json" not in content_type):
        return EventReader(route)
    return _Body(route, content_type)


def is_event_stream(response: Any) -> bool:
    """Whether the answer says that it is a stream."""
    return "event-stream" in _content_type(response)


def _content_type(response: Any) -> str:
    return str(response.headers.get("content-type", "")).lower()


def content(response: Any) -> bytes | None:
    """The body, if it has been read; httpx answers an unread one with an exception of its own."""
    try:
        body: bytes = response.content
    except Exception:
        return None
    return body


def read_at_once(reader: Reader, body: bytes) -> Observation:
    """What a body that is there already says."""
    reader.feed(body)
    return reader.complete()


class _Plain:
    """Bytes that can be read as they are."""

    def before_end(self, chunk: bytes) -> bytes:
        head, mark, _ = chunk.rpartition(b"[DONE]")
        return head if mark else chunk


class EventReader(_Plain):
    """Reads a stream of server-sent events."""

    def __init__(self, route: Route) -> None:
        self._must_say_so = route.protocol in _TERMINATED
        self._stream = StreamReader(route)

    @property
    def saw_output(self) -> bool:
        return self._stream.saw_output

    @property
    def is_whole(self) -> bool:
        return self._stream.answered

    def feed(self, chunk: bytes) -> bool:
        self._stream.feed(chunk)
        return self._stream.finished or self._stream.failed

    def complete(self) -> Observation:
        found = self._stream.observation()
        if self._must_say_so and not (self._stream.answered or self._stream.failed):
            return replace(found, status="error", error_type="incomplete_stream")
        return found

    def partial(self) -> Observation:
        return self._stream.observation()


#: Streams that always say so when they are over; without it the server, or a proxy, broke off. Many
#: imitators of OpenAI's chat format just stop.
_TERMINATED = ("openai_responses", "anthropic_messages", "gemini_generate")


class _Body(_Plain):
    """A whole JSON body, put together. Anything else (speech, images) is not kept."""

    saw_output = False
    is_whole = False

    def __init__(self, route: Route, content_type: str) -> None:
        self._route = route
        self._parts: list[bytes] = []
        self._room = BODY_LIMIT if "json" in content_type else 0

    def feed(self, chunk: bytes) -> bool:
        self._room -= len(chunk)
        if self._room >= 0:
            self._parts.append(chunk)
        else:
            self._parts.clear()
        return False

    def complete(self) -> Observation:
        return read_body(self._route, b"".join(self._parts))

    def partial(self) -> Observation:
        return Observation()
