"""Server-sent events, from bytes in any split (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

from collections.abc import Iterator

#: A line or an event longer than this is skipped. Whole answers with several base64 images stay below it,
#: and the SDKs hold such a line in memory as well.
EVENT_LIMIT = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_LINE_ENDS = (b"\n", b"\r")


class EventDecoder:
    """Splits a byte stream into ``(event name, data)`` pairs, holding at most one unfinished event.

    Bytes are never decoded here, so that a chunk may end inside a character.
    """

    #: Lines have no checksum that they could break.
    corrupt = 0

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._line = bytearray()
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0
        self._at_start = True
        self._after_cr = False
        self._skipping_line = False
        self._spoiled = False
        #: The next byte begins a new event. Asked once per chunk, so kept instead of computed.
        self.is_between_events = False
        #: How many events were skipped because they were too long.
        self.oversized = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The events that ``chunk`` completes. Iterate to the end before feeding more."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk[1:] if chunk.startswith(b"\n") else chunk
        if not chunk:
            return
        lines = chunk.splitlines()
        rest = b"" if chunk.endswith(_LINE_ENDS) else lines.pop()
        self._after_cr = chunk.endswith(b"\r")
        for line in lines:
            event = self._complete(line)
            if event is not None:
                yield event
        if rest:
            self._keep(rest)
        self.is_between_events = not (rest or self._after_cr or self._data or self._name or self._spoiled)

    def unfinished(self) -> tuple[bytes, bytes] | None:
        """The event that would be complete if the stream ended here; nothing is consumed.

        Some providers end the last event without the empty line that the standard asks for.
        """
        if self._spoiled or self._skipping_line:
            return None
        data = list(self._data)
        value = _data_of(bytes(self._line).removeprefix(_BOM) if self._at_start else bytes(self._line))
        if value is not None:
            data.append(value)
        return (self._name, b"\n".join(data)) if data else None

    def _keep(self, rest: bytes) -> None:
        if self._skipping_line:
            return
        self._line += rest
        if len(self._line) > self._limit:
            self._line.clear()
            self._skipping_line = True

    def _complete(self, line: bytes) -> tuple[bytes, bytes] | None:
        if self._line or self._skipping_line or self._at_start or len(line) > self._limit:
            return self._complete_kept(line)
        return self._read(line)

    def _complete_kept(self, line: bytes) -> tuple[bytes, bytes] | None:
        self._keep(line)
        if self._skipping_line:
            self._skipping_line = False
            self._at_start = False
            self._spoil()
            return None
        line = bytes(self._line)
        self._line.clear()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        return self._read(line)

    def _read(self, line: bytes) -> tuple[bytes, bytes] | None:
        if not line:
            return self._dispatch()
        value = _data_of(line)
        if value is not None:
            self._size += len(value)
            if self._size > self._limit:
                self._spoil()
            elif not self._spoiled:
                self._data.append(value)
        elif line.startswith(b"event:"):
            self._name = line[6:].removeprefix(b" ")[:64]
        return None

    def _spoil(self) -> None:
        self._data.clear()
        if not self._spoiled:
            self._spoiled = True
            self.oversized += 1

    def _dispatch(self) -> tuple[bytes, bytes] | None:
        event = (self._name, b"\n".join(self._data)) if self._data else None
        self._name = b""
        self._data = []
        self._size = 0
        self._spoiled = False
        return event


def _data_of(line: bytes) -> bytes | None:
    if line.startswith(b"data:"):
        return line[6:] if line[5:6] == b" " else line[5:]
    return b"" if line == b"data" else None
