"""Amazon's event streams, ``application/vnd.amazon.eventstream``, from bytes in any split.

A frame is a prelude (its length, that of its headers, a CRC32 of both), headers, a payload and a CRC32 of all
before it (https://smithy.io/2.0/aws/amazon-eventstream.html).
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from zlib import crc32

from .jsontext import Unreadable
from .jsontext import read_object

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
#: The lengths of header values by their type's number; ``None`` where a length stands before the value.
_VALUE_LENGTHS: dict[int, int | None] = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: None, 7: None, 8: 8, 9: 16}
_TEXT = 7


class Malformed(ValueError):
    """A frame that is not what the standard says."""


class FrameDecoder:
    """Splits a byte stream into ``(event name, data)`` pairs, holding at most one unfinished frame.

    Bedrock's ``chunk`` events hold a model's own event, in base64: that one is given, without a name.
    Exceptions are given as an event ``error`` with their class alone.

    :param limit: the length in bytes from which a frame is skipped.
    """

    #: Whole chunks are never skipped unseen: base64 hides the words that would be looked for.
    is_between_events = False

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = bytearray()
        self._to_skip = 0
        self._is_lost = False
        #: How many frames were skipped because they were too long.
        self.oversized = 0
        #: How many frames were not what their checksums or the standard say.
        self.corrupt = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The events that ``chunk`` completes. Iterate to the end before feeding more."""
        if self._is_lost:
            return
        self._held += chunk
        while (frame := self._next_frame()) is not None:
            try:
                event = _event(*frame)
            except (Malformed, Unreadable):
                self.corrupt += 1
                continue
            if event is not None:
                yield event

    def unfinished(self) -> tuple[bytes, bytes] | None:
        """Half a frame tells nothing."""
        return None

    def _next_frame(self) -> tuple[bytes, int] | None:
        while True:
            self._skip()
            if self._to_skip or len(self._held) < _PRELUDE.size:
                return None
            length, headers, checksum = _PRELUDE.unpack_from(self._held)
            if crc32(self._held[:8]) != checksum or length < headers + _PRELUDE.size + _CHECKSUM.size:
                # Where the next frame begins, nobody knows.
                self.corrupt += 1
                self._is_lost = True
                self._held.clear()
                return None
            if length <= self._limit:
                break
            self.oversized += 1
            self._to_skip = length
        if len(self._held) < length:
            return None
        frame = bytes(self._held[:length])
        del self._held[:length]
        return frame, headers

    def _skip(self) -> None:
        skipped = min(self._to_skip, len(self._held))
        del self._held[:skipped]
        self._to_skip -= skipped


def _event(frame: bytes, headers_length: int) -> tuple[bytes, bytes] | None:
    """
    :raises Malformed: the frame does not fit its checksum, or a header its length.
    :raises Unreadable: a chunk's payload is no JSON object.
    """
    if crc32(frame[: -_CHECKSUM.size]) != _CHECKSUM.unpack(frame[-_CHECKSUM.size :])[0]:
        raise Malformed
    begin = _PRELUDE.size + headers_length
    headers = _headers(frame[_PRELUDE.size : begin])
    payload = frame[begin : -_CHECKSUM.size]
    if headers.get(b":message-type", b"event") != b"event":
        kind = headers.get(b":exception-type") or headers.get(b":error-code") or b"error"
        error = {"type": kind.decode("utf-8", "replace")}
        return b"error", json.dumps({"type": "error", "error": error}).encode()
    name = headers.get(b":event-type", b"")
    return (b"", _inner(payload)) if name == b"chunk" else (name, payload)


def _headers(data: bytes) -> dict[bytes, bytes]:
    """The headers that are text."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        name = _slice(data, at + 1, data[at])
        at += 1 + len(name)
        kind = _slice(data, at, 1)[0]
        at += 1
        length = _VALUE_LENGTHS.get(kind, -1)
        if length is None:
            length = int.from_bytes(_slice(data, at, 2), "big")
            at += 2
        value = _slice(data, at, length)
        at += length
        if kind == _TEXT:
            found[name] = value
    return found


def _slice(data: bytes, at: int, length: int) -> bytes:
    found = data[at : at + length] if length >= 0 else b""
    if len(found) != length:
        raise Malformed
    return found


def _inner(payload: bytes) -> bytes:
    """The model's own event in a chunk's payload, ``{"bytes": "<base64>"}``."""
    inner = read_object(payload, exact=False).get("bytes")
    if not isinstance(inner, str):
        raise Malformed
    try:
        return base64.b64decode(inner, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed from None
