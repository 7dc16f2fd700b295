"""What lies in a journal's folder, for people who look after it. Nothing is changed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..events import Event
from .frames import scan
from .locks import lock
from .records import BadRecord
from .records import NewerRecord
from .records import decode
from .segment import DAMAGED_SUFFIX
from .segment import HEADER_LENGTH
from .segment import SUFFIX
from .segment import read_header


@dataclass(frozen=True, slots=True)
class Survey:
    """The segments of one database.

    :param segments: of living processes and orphans.
    :param orphans: those whose process is gone.
    :param pending: records that are not stored.
    :param oldest: when the oldest of them was made.
    :param damaged: bytes that could not be read or stored and were put aside.
    :param unreadable: files that this user may not open.
    """

    segments: int = 0
    orphans: int = 0
    pending: int = 0
    oldest: datetime | None = None
    damaged: int = 0
    unreadable: int = 0


def survey(folder: Path) -> Survey:
    """Look at every segment of the folder; it need not exist."""
    looked = [_look(path) for path in folder.glob(f"*{SUFFIX}")]
    seen = [one for one in looked if one is not None]
    moments = [one.oldest for one in seen if one.oldest is not None]
    return Survey(
        segments=len(looked),
        orphans=sum(one.orphans for one in seen),
        pending=sum(one.pending for one in seen),
        oldest=min(moments, default=None),
        damaged=sum(path.stat().st_size for path in folder.glob(f"*{DAMAGED_SUFFIX}")),
        unreadable=len(looked) - len(seen),
    )


def _look(path: Path) -> Survey | None:
    try:
        with path.open("rb") as file:
            orphan = _is_free(file.fileno())
            _, checkpoint = read_header(file.read(HEADER_LENGTH))
            file.seek(checkpoint)
            found = scan(file.read(), most=1_000_000, last=True)
    except FileNotFoundError:
        return Survey()
    except OSError:
        return None
    oldest = _moment(found.records[0]) if found.records else None
    return Survey(orphans=int(orphan), pending=len(found.records), oldest=oldest)


def _is_free(descriptor: int) -> bool:
    try:
        lock(descriptor, shared=True)
    except BlockingIOError:
        return False
    return True


def _moment(record: bytes) -> datetime | None:
    try:
        told = decode(record)
    except (BadRecord, NewerRecord):
        return None
    return told.occurred_at if isinstance(told, Event) else told.call.occurred_at


def workable(folder: Path) -> bool:
    """Whether this user may work in the folder, or could make it."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    return os.access(existing, os.R_OK | os.W_OK | os.X_OK)
