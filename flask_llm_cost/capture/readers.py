"""How an answer is read along: as a stream of events, or as one JSON body."""

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


def reader_for(route: Route, response: Any, *, streamed: bool) -> Reader:
    """The reader for an answer, by its content type; a server may answer a stream request with plain JSON."""
    content_type = str(response.headers.get("content-type", "")).lower()
    if "event-stream" in content_type or (streamed and "json" not in content_type):
        return EventReader(route)
    return _Body(route, content_type)


def read_at_once(reader: Reader, body: bytes) -> Observation:
    """What a body that is there already says."""
    reader.feed(body)
    return reader.complete()


class EventReader:
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


class _Body:
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
