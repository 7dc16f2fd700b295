"""How a record lies in a file: ``RS length checksum JSON LF``, so that a bad one spoils only itself.

As in JSON text sequences (RFC 7464) a record separator opens each record. ASCII JSON never holds one, so the
next sane record after any damage is found at the next separator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from zlib import crc32

SEPARATOR = b"\x1e"
#: A longer record is not written, and a length beyond it is damage.
MAX_RECORD = 1 << 20

_HEAD = re.compile(rb"\x1e([0-9a-f]{8}) ([0-9a-f]{8}) ")
_HEAD_LENGTH = 19
#: What a frame adds to its record: head and line feed.
OVERHEAD = _HEAD_LENGTH + 1


@dataclass(frozen=True, slots=True)
class Scan:
    """What lies in a stretch of bytes.

    :param records: the sane records, in order.
    :param damage: stretches in which no sane record begins, as (offset, bytes).
    :param end: offset behind what was read; the rest has to be read with what follows it.
    """

    records: list[bytes]
    damage: list[tuple[int, bytes]]
    end: int


def frame(record: bytes) -> bytes:
    """The record as it is written.

    :raises ValueError: it is longer than :data:`MAX_RECORD`.
    """
    if len(record) > MAX_RECORD:
        raise ValueError(f"a record of {len(record)} bytes is longer than {MAX_RECORD}")
    return b"\x1e%08x %08x %b\n" % (len(record), crc32(record), record)


def scan(data: bytes, *, most: int, last: bool) -> Scan:
    """Read at most ``most`` records from the beginning of ``data``.

    :param last: nothing follows ``data``: a record that is not complete never will be.
    """
    records: list[bytes] = []
    damage: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data) and len(records) < most:
        whole = _record(data, at)
        if whole is None and not last and len(data) - at < OVERHEAD + MAX_RECORD:
            break  # more has to be seen to tell a torn record from one that goes on
        if whole is None:
            beyond = data.find(SEPARATOR, at + 1)
            beyond = len(data) if beyond < 0 else beyond
            damage.append((at, data[at:beyond]))
            at = beyond
        else:
            records.append(whole)
            at += OVERHEAD + len(whole)
    return Scan(records, damage, at)


def _record(data: bytes, at: int) -> bytes | None:
    """The sane record whose frame begins here, or ``None``."""
    head = _HEAD.match(data, at)
    if head is None:
        return None
    length = int(head[1], 16)
    end = head.end() + length
    if length > MAX_RECORD or data[end : end + 1] != b"\n":
        return None
    record = data[head.end() : end]
    return record if crc32(record) == int(head[2], 16) else None
