"""A process's journal: its segments in the folder of one database, and the orphans it finds there."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from uuid import uuid4

from .locks import lock
from .segment import SUFFIX
from .segment import Segment

Fsync = Literal["never", "interval", "always"]

#: A segment that has grown to so many bytes is followed by a new one, and deleted once it is written.
SEGMENT_BYTES = 1 << 20


class JournalFull(OSError):
    """The records of this process that wait take all the room they may take."""


class Journal:
    """Appends records to this process's segments, and hands them out again.

    :param folder: of one database; made with mode 0700 when it is needed.
    :param max_bytes: how much of this process may wait on disk.
    :param fsync: ``always``: each record survives a loss of power; ``interval``: what :meth:`sync` found.
    """

    def __init__(self, folder: Path, *, max_bytes: int, fsync: Fsync = "interval") -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._fsync = fsync
        self._lock = threading.Lock()
        self._segments: deque[Segment] = deque()
        self._newer: set[Path] = set()

    @property
    def pending(self) -> int:
        """How many records of this process are not stored."""
        return sum(segment.pending for segment in tuple(self._segments))

    def append(self, record: bytes) -> None:
        """Add a record to this process's segment.

        :raises JournalFull: too much waits already. :raises OSError: the disk does not take it.
        """
        with self._lock:
            segment = self._segments[-1] if self._segments else self._begin()
            if segment.end >= SEGMENT_BYTES:
                segment = self._begin()
            segment.append(record)
            if self._fsync == "always":
                segment.sync()

    def _begin(self) -> Segment:
        waiting = sum(segment.end - segment.checkpoint for segment in self._segments)
        if waiting + SEGMENT_BYTES > self._max_bytes:
            raise JournalFull(f"{waiting} bytes wait already")
        try:
            segment = Segment.create(self.folder, durable=self._fsync != "never")
        except FileNotFoundError:
            make_folder(self.folder)
            segment = Segment.create(self.folder, durable=self._fsync != "never")
        self._segments.append(segment)
        return segment

    def sync(self) -> None:
        """Have what waits survive a loss of power, where ``fsync`` is ``interval``.

        :raises OSError: the disk refuses.
        """
        if self._fsync == "interval":
            for segment in tuple(self._segments):
                if not segment.is_done:
                    segment.sync()

    def waiting(self) -> Iterator[Segment]:
        """This process's segments with something to store, oldest first; what is through is deleted."""
        for segment in tuple(self._segments):
            if not segment.is_done:
                yield segment
            with self._lock:
                through = segment.is_done and segment is not self._segments[-1]
                if through:
                    self._segments.remove(segment)
            if through:
                segment.remove()

    def orphans(self) -> Iterator[Segment]:
        """Segments whose process is gone, one after the other; each is ours until it is closed."""
        for path in sorted(self.folder.glob(f"*{SUFFIX}"), key=_age):
            if path not in self._newer and (segment := _adopted(path)) is not None:
                yield segment

    def leave(self, path: Path) -> None:
        """Look at this orphan no more: a later version has to read it."""
        self._newer.add(path)

    def retire(self) -> None:
        """Delete what is stored: a process that makes no calls keeps no file of those it made."""
        with self._lock:
            done = [segment for segment in self._segments if segment.is_done]
            for segment in done:
                self._segments.remove(segment)
        for segment in done:
            segment.remove()

    def close(self) -> None:
        """Delete what is stored and leave the rest to whoever adopts it."""
        self.retire()
        self.forget()

    def forget(self) -> None:
        """Close the segments without another look: to be called in a forked child, whose parent goes on."""
        segments, self._segments = self._segments, deque()
        for segment in segments:
            segment.close()


def make_folder(folder: Path) -> None:
    """Make a folder that only this user can look into.

    :raises OSError: it cannot be made.
    """
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def probe(folder: Path) -> None:
    """Do once what a journal does: make a file in the folder, append, sync, lock.

    :raises OSError: one of these does not work here.
    """
    make_folder(folder)
    path = folder / f"{uuid4().hex}.probe"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        lock(descriptor)
        os.write(descriptor, b"probe\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _adopted(path: Path) -> Segment | None:
    try:
        return Segment.adopt(path)
    except OSError:
        return None  # another user's, or the disk refuses: doctor shows that it is there


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
