"""The two entrances of an answer: a whole body, or the chunks of a stream."""

from __future__ import annotations

from ..events import Observation
from .answer_reader import AnswerReader
from .anthropic_messages import MessagesReader
from .gemini import GeminiReader
from .jsontext import Unreadable
from .jsontext import read_object
from .jsontext import read_objects
from .openai_chat import ChatReader
from .openai_responses import ResponsesReader
from .other_answers import OtherReader
from .routes import Protocol
from .routes import Route
from .sse import EVENT_LIMIT
from .sse import EventDecoder

_READERS: dict[Protocol | None, type[AnswerReader]] = {
    "openai_chat": ChatReader,
    "openai_completions": ChatReader,
    "openai_embeddings": ChatReader,
    "openai_responses": ResponsesReader,
    "anthropic_messages": MessagesReader,
    "gemini_generate": GeminiReader,
    None: OtherReader,
}
#: Who names an amount of money in the answer, where fractions must be read exactly.
_TELLS_COST = frozenset({"openrouter", "perplexity"})
#: Chunks that end where an event ends.
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")


def read_body(route: Route, body: bytes) -> Observation:
    """What a complete response body says. It never raises: what cannot be read is in ``problems``."""
    reader = _reader(route)
    exact = route.provider in _TELLS_COST
    try:
        if route.protocol == "gemini_generate":
            _read_gemini(reader, body)
        else:
            reader.whole(read_object(body, exact=exact))
    except Unreadable as error:
        # Speech, subtitles and unknown downloads are no JSON by right.
        if route.protocol is not None:
            reader.note(f"body: {error}")
    return reader.observation("response")


def _read_gemini(reader: AnswerReader, body: bytes) -> None:
    """Without ``alt=sse`` Google streams an array of chunks, and sends an error as an array too."""
    *chunks, last = read_objects(body, exact=False)
    for chunk in chunks:
        reader.event("", chunk)
    reader.whole(last)


class StreamReader:
    """Reads a stream of server-sent events along, in any split, in bounded memory. It never raises.

    ``limit`` is the length in bytes from which a single event is skipped.
    """

    def __init__(self, route: Route, *, limit: int = EVENT_LIMIT) -> None:
        self._reader = _reader(route)
        self._exact = route.provider in _TELLS_COST
        self._decoder = EventDecoder(limit)
        self._limit = limit

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

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes of the response body."""
        # Most chunks are one delta of text: whole events with nothing to keep.
        if (
            chunk.endswith(_EVENT_ENDS)
            and self._decoder.is_between_events
            and len(chunk) <= self._limit
            and self._reader.can_skip(chunk)
        ):
            return
        for event_name, data in self._decoder.feed(chunk):
            self._take(event_name, data)

    def observation(self) -> Observation:
        """What the stream has said by now."""
        rest = self._decoder.unfinished()
        if rest is not None:
            self._take(*rest, is_whole=False)
        if self._decoder.oversized:
            self._reader.note("stream: an event was too long to be read")
        return self._reader.observation("stream")

    def _take(self, event_name: bytes, data: bytes, *, is_whole: bool = True) -> None:
        if data.strip() == b"[DONE]":
            self._reader.finished = True
        elif event_name == b"error" or not self._reader.can_skip(data):
            try:
                document = read_object(data, exact=self._exact)
            except Unreadable as error:
                if is_whole:
                    self._reader.note(f"stream: an event is {error}")
                return
            self._reader.event(event_name.decode("ascii", "replace"), document)


def _reader(route: Route) -> AnswerReader:
    reader = _READERS[route.protocol](route.provider, route.operation)
    reader.asked_model = route.model
    return reader
