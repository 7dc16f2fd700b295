"""Frames of Amazon's event streams, as Bedrock sends them. Values only."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from zlib import crc32

STREAM_HEADERS = {"content-type": "application/vnd.amazon.eventstream"}


def frame(payload: bytes, headers: Mapping[str, str]) -> bytes:
    """One frame; every header is text."""
    written = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(written) + len(payload), len(written))
    body = prelude + struct.pack(">I", crc32(prelude)) + written + payload
    return body + struct.pack(">I", crc32(body))


def event(kind: str, payload: Mapping[str, Any]) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(json.dumps(payload).encode(), headers)


def chunk(payload: Mapping[str, Any]) -> bytes:
    """A model's own event."""
    inner = base64.b64encode(json.dumps(payload).encode()).decode()
    return event("chunk", {"bytes": inner, "p": "abcdefgh"})


def chunks(events: Iterable[Mapping[str, Any]]) -> list[bytes]:
    return [chunk(item) for item in events]


def exception(kind: str, message: str = "no such pier") -> bytes:
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(json.dumps({"message": message}).encode(), headers)
