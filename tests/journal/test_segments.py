"""Segments keep what was acknowledged for whoever comes next, and belong to one process at a time."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_llm_cost.journal import Journal
from flask_llm_cost.journal import JournalFull
from flask_llm_cost.journal import Segment
from flask_llm_cost.journal import survey
from flask_llm_cost.journal.directory import SEGMENT_BYTES
from flask_llm_cost.journal.directory import make_folder
from flask_llm_cost.journal.directory import probe
from flask_llm_cost.journal.segment import HEADER_LENGTH


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "llm_cost" / "0123456789abcdef"
    make_folder(folder)
    return folder


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    journal = Journal(folder, max_bytes=8 * SEGMENT_BYTES)
    yield journal
    journal.forget()


def record(number: int) -> bytes:
    return b'{"n":%d}' % number


def drain(segment: Segment, most: int = 100) -> list[bytes]:
    found: list[bytes] = []
    while not segment.is_done:
        part = segment.read(most)
        found += part.records
        segment.advance(part)
    return found


def left_behind(folder: Path, records: list[bytes]) -> Path:
    """A segment whose process is gone."""
    segment = Segment.create(folder)
    for one in records:
        segment.append(one)
    segment.close()
    return segment.path


def test_only_the_user_can_look_into_a_journal(journal: Journal) -> None:
    journal.append(b"{}")
    (file,) = journal.folder.iterdir()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (journal.folder.parent, journal.folder, file)]
    assert modes == [0o700, 0o700, 0o600]


def test_records_come_back_in_order_from_where_the_checkpoint_is(folder: Path) -> None:
    segment = Segment.create(folder)
    for number in range(5):
        segment.append(record(number))
    first = segment.read(2)
    segment.advance(first)
    assert (first.records, segment.pending) == ([record(0), record(1)], 3)
    segment.close()
    other = Segment.adopt(segment.path)
    assert other is not None
    assert drain(other) == [record(2), record(3), record(4)]
    other.close()


def test_a_segment_in_use_is_nobodys_orphan(journal: Journal, folder: Path) -> None:
    journal.append(b"{}")
    other = Journal(folder, max_bytes=SEGMENT_BYTES)
    assert list(other.orphans()) == []
    journal.forget()
    (orphan,) = other.orphans()
    assert drain(orphan) == [b"{}"]
    assert list(other.orphans()) == []  # the lock is held
    orphan.remove()


def test_an_orphan_that_somebody_stored_meanwhile_is_gone(folder: Path) -> None:
    path = left_behind(folder, [b"{}"])
    first = Segment.adopt(path)
    assert first is not None
    os.link(path, folder / "again.seg")  # still open elsewhere, as in a process that is about to lock it
    first.remove()
    (folder / "again.seg").unlink()
    assert Segment.adopt(path) is None


def test_a_segment_of_a_later_format_is_left_alone(folder: Path) -> None:
    path = left_behind(folder, [b"{}"])
    data = path.read_bytes()
    from zlib import crc32

    told = data[:38].replace(b" 001 ", b" 002 ")
    path.write_bytes(told + b"%08x\n" % crc32(told) + data[HEADER_LENGTH:])
    assert Segment.adopt(path) is None
    assert path.exists()


def test_a_full_segment_is_followed_by_another_and_deleted_when_it_is_stored(journal: Journal) -> None:
    long = b'"' + b"x" * 300_000 + b'"'
    for _ in range(8):
        journal.append(long)
    assert len(list(journal.folder.iterdir())) == 2
    assert journal.pending == 8
    found = [one for segment in journal.waiting() for one in drain(segment, most=3)]
    assert found == [long] * 8
    assert len(list(journal.folder.iterdir())) == 1
    journal.retire()
    assert list(journal.folder.iterdir()) == []
    journal.append(b"{}")
    assert journal.pending == 1


def test_a_journal_takes_no_more_room_than_it_may(folder: Path) -> None:
    journal = Journal(folder, max_bytes=2 * SEGMENT_BYTES)
    long = b'"' + b"x" * 500_000 + b'"'
    for _ in range(3):
        journal.append(long)
    with pytest.raises(JournalFull):
        journal.append(long)
    taken = journal.pending
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2 * SEGMENT_BYTES + 1_100_000
    assert sum(len(drain(segment)) for segment in journal.waiting()) == taken
    journal.append(long)
    journal.forget()


@pytest.mark.parametrize("fsync", ["never", "interval", "always"])
def test_whatever_is_synced_is_read(folder: Path, fsync: str) -> None:
    journal = Journal(folder, max_bytes=SEGMENT_BYTES, fsync=fsync)  # type: ignore[arg-type]
    journal.append(b"{}")
    journal.sync()
    assert [drain(segment) for segment in journal.waiting()] == [[b"{}"]]
    journal.close()
    assert list(folder.iterdir()) == []


def test_closing_leaves_what_waits(journal: Journal) -> None:
    journal.append(b"{}")
    journal.close()
    assert survey(journal.folder).orphans == 1


def test_a_folder_that_somebody_deleted_is_made_again(journal: Journal) -> None:
    journal.folder.rmdir()
    journal.append(b"{}")
    assert journal.pending == 1


def test_a_probe_leaves_nothing_and_says_what_is_wrong(tmp_path: Path) -> None:
    probe(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        probe(tmp_path / "file" / "a" / "b")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(data=st.data(), count=st.integers(0, 8))
def test_after_any_truncation_the_whole_records_are_recovered(
    folder: Path, data: st.DataObject, count: int
) -> None:
    path = left_behind(folder, [record(number) for number in range(count)])
    size = path.stat().st_size
    kept = data.draw(st.integers(0, size))
    os.truncate(path, kept)
    whole = max(0, kept - HEADER_LENGTH) // ((size - HEADER_LENGTH) // count) if count else 0
    segment = Segment.adopt(path)
    assert segment is not None
    assert drain(segment) == [record(number) for number in range(whole)]
    segment.remove()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(data=st.data(), count=st.integers(1, 8))
def test_after_any_corruption_the_other_records_are_recovered(
    folder: Path, data: st.DataObject, count: int
) -> None:
    records = [record(number) for number in range(count)]
    path = left_behind(folder, records)
    content = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1))
    garbage = data.draw(st.binary(min_size=1, max_size=60))[: len(content) - start]
    content[start : start + len(garbage)] = garbage
    path.write_bytes(content)
    each = (len(content) - HEADER_LENGTH) // count
    hit = {(at - HEADER_LENGTH) // each for at in range(start, start + len(garbage)) if at >= HEADER_LENGTH}
    segment = Segment.adopt(path)
    assert segment is not None
    found = drain(segment)
    assert set(found) <= set(records)
    assert [one for number, one in enumerate(records) if number not in hit] == [
        one for one in found if records.index(one) not in hit
    ]
    segment.remove()


def test_a_survey_counts_what_waits_and_changes_nothing(folder: Path, journal: Journal) -> None:
    assert survey(folder / "nowhere").segments == 0
    left_behind(folder, [b"{}", b"{}"])
    journal.append(b"{}")
    found = survey(folder)
    assert (found.segments, found.orphans, found.pending, found.oldest) == (2, 1, 3, None)
    assert survey(folder) == found
