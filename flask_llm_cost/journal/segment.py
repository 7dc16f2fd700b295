"""One file of the journal: a header with the checkpoint, then framed records.

Whoever holds the file's lock (``flock``, which dies with the process) may append, read on and remove it. A
segment is made under another name and gets its own once it is locked: nobody finds one that has no owner but
the process that is about to write to it.
"""

from __future__ import annotations

import os
import re
import weakref
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4
from zlib import crc32

from .frames import MAX_RECORD
from .frames import OVERHEAD
from .frames import frame
from .frames import scan
from .locks import lock
from .records import FORMAT

SUFFIX = ".seg"
#: What could not be read of a segment is kept beside it under this suffix.
DAMAGED_SUFFIX = ".damaged"

_HEADER = re.compile(rb"llm-cost-journal (\d{3}) (\d{16}) ([0-9a-f]{8})\n")
HEADER_LENGTH = 47
#: Bytes looked at in one read: enough for the longest record, wherever it begins.
_READ = 2 * (MAX_RECORD + OVERHEAD)


@dataclass(frozen=True, slots=True)
class Slice:
    """Some records of a segment.

    :param damage: stretches that are no records, as (offset, bytes).
    :param end: what to give :meth:`Segment.advance` once the records are stored.
    """

    records: list[bytes]
    damage: list[tuple[int, bytes]]
    end: int


class Segment:
    """An open segment, and its lock. Appending and reading may happen in two threads, each in one at a time.

    :param end: offset behind the last whole record.
    :param checkpoint: offset before which everything is stored.
    """

    def __init__(self, path: Path, reading: int, appending: int, checkpoint: int, end: int) -> None:
        self.path = path
        self.end = end
        self.checkpoint = checkpoint
        self.appended = 0
        self._read = 0
        self._synced = end
        self._reading = reading
        self._appending = appending
        self._closing = weakref.finalize(self, _close, reading, appending)
        self._closing.atexit = False  # the lock lives as long as the process

    @classmethod
    def create(cls, folder: Path, *, durable: bool = False) -> Segment:
        """A new segment of this process.

        :param durable: have its name survive a loss of power, too.
        :raises OSError: the folder cannot be written to.
        """
        path = folder / f"{boot_id()}-{os.getpid()}-{uuid4().hex}{SUFFIX}"
        new = path.with_suffix(".new")
        reading = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        appending = -1
        try:
            lock(reading)
            appending = os.open(new, os.O_WRONLY | os.O_APPEND)
            os.pwrite(reading, _header(HEADER_LENGTH), 0)
            os.rename(new, path)
            if durable:
                _sync_folder(folder)
        except BaseException:
            _close(reading, appending)
            new.unlink(missing_ok=True)
            raise
        return cls(path, reading, appending, HEADER_LENGTH, HEADER_LENGTH)

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """A segment whose process is gone; ``None`` where it lives, somebody else was first, or a later
        version has written it.

        :raises OSError: it cannot be opened.
        """
        try:
            reading = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            lock(reading)
            stat = os.fstat(reading)
            version, checkpoint = read_header(os.pread(reading, HEADER_LENGTH, 0))
            if stat.st_nlink and version <= FORMAT:
                return cls(path, reading, -1, checkpoint, max(stat.st_size, checkpoint))
        except BlockingIOError:
            pass
        except BaseException:
            os.close(reading)
            raise
        os.close(reading)
        return None

    @property
    def pending(self) -> int:
        """How many of the records that were appended here are not stored."""
        return 0 if self.is_done else max(0, self.appended - self._read)

    @property
    def is_done(self) -> bool:
        """Whether everything is stored."""
        return self.checkpoint >= self.end

    def append(self, record: bytes) -> None:
        """Write a record behind the others. When this returns the operating system has it.

        :raises OSError: it is not there, or not whole. :raises ValueError: it is too long.
        """
        framed = frame(record)
        written = 0
        try:
            written = os.write(self._appending, framed)
            if written != len(framed):
                raise OSError(f"{written} of {len(framed)} bytes were written")
        except BaseException:
            # A part of it would be skipped as damage; it is better gone.
            if written:
                os.ftruncate(self._reading, self.end)
            raise
        self.end += written
        self.appended += 1

    def sync(self) -> None:
        """Have what was appended survive a loss of power."""
        end = self.end
        if end > self._synced:
            _fdatasync(self._reading)
            self._synced = end

    def read(self, most: int) -> Slice:
        """At most ``most`` records behind the checkpoint.

        :raises OSError: the disk does not give them.
        """
        end = self.end
        length = min(_READ, end - self.checkpoint)
        found = scan(
            os.pread(self._reading, length, self.checkpoint),
            most=most,
            last=self.checkpoint + length >= end,
        )
        damage = [(self.checkpoint + at, data) for at, data in found.damage]
        return Slice(found.records, damage, self.checkpoint + found.end)

    def advance(self, stored: Slice) -> None:
        """What was read is committed: do not read it again. A checkpoint that is lost costs a second reading.

        :raises OSError: the checkpoint is not on disk; it counts for this object all the same.
        """
        self.checkpoint = stored.end
        self._read += len(stored.records)
        os.pwrite(self._reading, _header(stored.end), 0)

    def keep_aside(self, data: bytes) -> None:
        """Keep what cannot be read or stored beside the segment, for inspection.

        :raises OSError: it cannot be written.
        """
        aside = self.path.with_suffix(DAMAGED_SUFFIX)
        descriptor = os.open(aside, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Delete the file and give up the lock."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Give up the lock; what is pending is for whoever takes it. Doing so twice is fine."""
        self._closing()


def read_header(header: bytes) -> tuple[int, int]:
    """Format and checkpoint. Where they cannot be read, every record is read again."""
    told = _HEADER.fullmatch(header)
    if told is None or crc32(header[:38]) != int(told[3], 16):
        return FORMAT, HEADER_LENGTH
    return int(told[1]), int(told[2])


def boot_id() -> str:
    """Which start of the machine this is, as far as it tells; for people who look at the files."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8]
    except OSError:
        return "00000000"


def _header(checkpoint: int) -> bytes:
    told = b"llm-cost-journal %03d %016d " % (FORMAT, checkpoint)
    return told + b"%08x\n" % crc32(told)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)


def _fdatasync(descriptor: int) -> None:
    getattr(os, "fdatasync", os.fsync)(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
