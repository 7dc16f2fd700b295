"""The two entrances of an answer: a whole body, or the chunks of a stream."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..events import Observation
from ..events import UsageSource
from .amazon_frames import CONTENT_TYPE as AMAZON_FRAMES
from .amazon_frames import FrameDecoder
from .answer_reader import AnswerReader
from .excerpts import excerpt
from .excerpts import is_excerpt
from .fields import Document
from .jsontext import Unreadable
from .jsontext import read_object
from .jsontext import read_objects
from .other_answers import OtherReader
from .registry import reader_class
from .routes import Route
from .sse import EVENT_LIMIT
from .sse import EventDecoder

#: Who names an amount of money in the answer, where fractions must be read exactly.
_TELLS_COST = frozenset({"openrouter", "perplexity"})
#: Chunks that end where an event ends.
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def is_event_stream(content_type: str) -> bool:
    """Whether an answer of this content type comes in events, of one framing or the other."""
    return "text/event-stream" in content_type or AMAZON_FRAMES in content_type


class Answer(ABC):
    """All that matters of one answer. Its numbers are judged by :meth:`observation`, now or later."""

    __slots__ = ()

    source: UsageSource

    @abstractmethod
    def kept(self) -> tuple[str, dict[str, Any]] | None:
        """What :func:`recalled` makes this of again, by its name there; ``None`` where it has to be judged
        now.
        """

    @abstractmethod
    def observation(self) -> Observation:
        """What the answer says. It never raises: what cannot be read is in ``problems``."""


class ReadAnswer(Answer):
    """What a reader kept of an answer."""

    __slots__ = ("reader", "source")

    def __init__(self, reader: AnswerReader, source: UsageSource) -> None:
        self.reader = reader
        self.source = source

    def kept(self) -> tuple[str, dict[str, Any]] | None:
        kept = self.reader.kept()
        return None if kept is None else ("kept", kept)

    def observation(self) -> Observation:
        return _observation(self.reader, self.source)


class Excerpt(Answer):
    """The few fields of an ordinary whole answer that its reader will look at."""

    __slots__ = ("_fields", "_route")

    source = "response"

    def __init__(self, route: Route, fields: dict[str, Any]) -> None:
        self._route = route
        self._fields = fields

    def kept(self) -> tuple[str, dict[str, Any]]:
        return "excerpt", self._fields

    def observation(self) -> Observation:
        return read_document(self._route, self._fields, "response")


def recalled(route: Route, what: str, kept: dict[str, Any], source: UsageSource) -> Answer:
    """The answer of which this was kept.

    :param what: how :meth:`Answer.kept` calls it.
    :raises KeyError: a later version has kept it.
    """
    reader_of_route = reader_class(route.provider, route.protocol)
    if what == "excerpt":
        if not is_excerpt(reader_of_route, kept):
            raise KeyError(what)
        return Excerpt(route, kept)
    reader = reader_of_route(route.provider, route.operation)
    reader.recall(kept)
    return ReadAnswer(reader, source)


def read_body(route: Route, body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> Observation:
    """What a complete response body says. It never raises: what cannot be read is in ``problems``.

    :param headers: the response's, by their names in lower case or in any.
    """
    return take_body(route, body, headers).observation()


def take_body(route: Route, body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> Answer:
    """As :func:`read_body`, not judged yet."""
    reader_of_route = _reader_class(route)
    read = read_objects if reader_of_route.is_chunked else _read_one
    try:
        # Without ``alt=sse`` Google streams an array of chunks, and sends an error as an array too.
        *chunks, last = read(body, exact=route.provider in _TELLS_COST)
    except Unreadable as error:
        reader = _reader(route, headers)
        # Speech, subtitles and unknown downloads are no JSON by right.
        if route.protocol is not None:
            reader.note(f"body: {error}")
        return ReadAnswer(reader, "response")
    if route.model is None and (fields := excerpt(reader_of_route, last)) is not None:
        return Excerpt(route, fields)
    reader = _reader(route, headers)
    for chunk in chunks:
        _attempt(reader, reader.event, "", chunk)
    _attempt(reader, reader.whole, last)
    return ReadAnswer(reader, "response")


def _read_one(body: bytes, *, exact: bool) -> tuple[Document]:
    return (read_object(body, exact=exact),)


def read_document(route: Route, document: Document, source: UsageSource) -> Observation:
    """What a whole answer says that was read as JSON already, as a part of another. It never raises."""
    reader = _reader(route, _NO_HEADERS)
    _attempt(reader, reader.whole, document)
    return _observation(reader, source)


class StreamReader:
    """Reads a stream of events along, in any split, in bounded memory. It never raises.

    :param limit: the length in bytes from which a single event is skipped.
    :param headers: the response's; their content type tells how events are framed, as server-sent events
        unless it is Amazon's.
    """

    def __init__(
        self, route: Route, *, limit: int = EVENT_LIMIT, headers: Mapping[str, str] = _NO_HEADERS
    ) -> None:
        self._reader = _reader(route, headers)
        self._exact = route.provider in _TELLS_COST
        framed = AMAZON_FRAMES in headers.get("content-type", "").lower()
        self._decoder: FrameDecoder | EventDecoder = (FrameDecoder if framed else EventDecoder)(limit)
        self._limit = limit

    @property
    def must_say_so(self) -> bool:
        """Whether streams of this format always say so when they are over."""
        return self._reader.must_say_so

    @property
    def finished(self) -> bool:
        """Whether the terminal event was seen; no later event can change the usage."""
        return self._reader.finished

    @property
    def answered(self) -> bool:
        """Whether the answer is whole, although its format has no terminal event and more may follow."""
        return self._reader.finished or self._reader.answered

    @property
    def failed(self) -> bool:
        """Whether the provider said that the answer failed, by an error event or in the answer itself."""
        return self._reader.failed

    @property
    def saw_output(self) -> bool:
        """Whether the first piece of output was seen."""
        return self._reader.saw_output

    def skips(self, chunk: bytes) -> bool:
        """Whether the next bytes need not be fed, as of most chunks: one delta of text, whole events with
        nothing to keep. It is asked of each.
        """
        try:
            return (
                self._decoder.is_between_events
                and chunk.endswith(_EVENT_ENDS)
                and len(chunk) <= self._limit
                and self._reader.can_skip(chunk)
            )
        except Exception as error:
            _note_failure(self._reader, error)
            return False

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes of the response body."""
        if self.skips(chunk):
            return
        for event_name, data in self._decoder.feed(chunk):
            self._take(event_name, data)

    def observation(self) -> Observation:
        """What the stream has said by now."""
        return self.answer().observation()

    def answer(self) -> Answer:
        """As :meth:`observation`, not judged yet."""
        rest = self._decoder.unfinished()
        if rest is not None:
            self._take(*rest, is_whole=False)
        if self._decoder.oversized:
            self._reader.note("stream: an event was too long to be read")
        if self._decoder.corrupt:
            self._reader.note("stream: a frame is corrupt")
        return ReadAnswer(self._reader, "stream")

    def broke_off(self) -> None:
        """The stream ended without the word that ends it."""
        self._reader.fail("incomplete_stream")

    def _skips_event(self, data: bytes) -> bool:
        try:
            return self._reader.can_skip(data)
        except Exception as error:
            _note_failure(self._reader, error)
            return False

    def _take(self, event_name: bytes, data: bytes, *, is_whole: bool = True) -> None:
        if data.strip() == b"[DONE]":
            self._reader.finished = True
        elif event_name == b"error" or not self._skips_event(data):
            try:
                document = read_object(data, exact=self._exact)
            except Unreadable as error:
                if is_whole:
                    self._reader.note(f"stream: an event is {error}")
                return
            _attempt(self._reader, self._reader.event, event_name.decode("ascii", "replace"), document)


def _reader_class(route: Route) -> type[AnswerReader]:
    try:
        return reader_class(route.provider, route.protocol)
    except Exception:
        return OtherReader  # and :func:`_reader` says why


def _reader(route: Route, headers: Mapping[str, str]) -> AnswerReader:
    try:
        reader = reader_class(route.provider, route.protocol)(route.provider, route.operation)
    except Exception as error:
        reader = OtherReader(route.provider, route.operation)
        _note_failure(reader, error)
    if route.model is not None:
        reader.asked_model = route.model
    if headers and type(reader).headers is not AnswerReader.headers:
        _attempt(reader, reader.headers, headers)
    return reader


def _observation(reader: AnswerReader, source: UsageSource) -> Observation:
    try:
        return reader.observation(source)
    except Exception as error:
        _note_failure(reader, error)
        return Observation(status=reader.status, problems=tuple(reader.problems))


def _attempt(reader: AnswerReader, step: Callable[..., None], *shown: object) -> None:
    """Another package's reader may raise; the call is recorded for all that."""
    try:
        step(*shown)
    except Exception as error:
        _note_failure(reader, error)


def _note_failure(reader: AnswerReader, error: Exception) -> None:
    reader.note(f"{type(reader).__name__}: {type(error).__name__}")
