"""Records survive whatever happens to the bytes around them, and damage makes no record."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_llm_cost.journal.frames import MAX_RECORD
from flask_llm_cost.journal.frames import frame
from flask_llm_cost.journal.frames import scan

#: What a record is made of: ASCII JSON.
RECORDS = st.lists(
    st.text(max_size=40).map(lambda text: json.dumps({"a": text}).encode("ascii")), max_size=12
)


def framed(records: list[bytes]) -> tuple[bytes, list[int]]:
    """The bytes, and where each record's frame ends."""
    data, ends = b"", []
    for record in records:
        data += frame(record)
        ends.append(len(data))
    return data, ends


def read(data: bytes) -> list[bytes]:
    return scan(data, most=1000, last=True).records


def test_a_frame_is_a_line_that_people_can_read() -> None:
    assert frame(b'{"a":1}') == b'\x1e00000007 561bacaf {"a":1}\n'


@given(RECORDS)
def test_what_was_written_is_read(records: list[bytes]) -> None:
    data, _ = framed(records)
    found = scan(data, most=1000, last=True)
    assert (found.records, found.damage, found.end) == (records, [], len(data))


@given(RECORDS, st.data())
def test_a_torn_tail_costs_only_the_record_it_tears(records: list[bytes], data: st.DataObject) -> None:
    written, ends = framed(records)
    cut = data.draw(st.integers(0, len(written)))
    found = scan(written[:cut], most=1000, last=True)
    assert found.records == records[: sum(end <= cut for end in ends)]
    assert found.end == cut
    assert (
        b"".join(piece for _, piece in found.damage)
        == written[max([0, *[e for e in ends if e <= cut]]) : cut]
    )


@given(RECORDS.filter(bool), st.data())
def test_a_changed_byte_costs_only_the_record_it_is_in(records: list[bytes], data: st.DataObject) -> None:
    written, ends = framed(records)
    at = data.draw(st.integers(0, len(written) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != written[at]))
    hit = sum(end <= at for end in ends)
    found = read(written[:at] + bytes([value]) + written[at + 1 :])
    assert found == records[:hit] + records[hit + 1 :]


@given(RECORDS, st.binary(max_size=200), st.data())
def test_foreign_bytes_between_records_cost_none(
    records: list[bytes], foreign: bytes, data: st.DataObject
) -> None:
    _, ends = framed(records)
    place = data.draw(st.integers(0, len(records)))
    at = ([0, *ends])[place]
    written, _ = framed(records)
    assert read(written[:at] + foreign + written[at:]) == records


@given(st.binary(max_size=400))
def test_noise_is_no_record(noise: bytes) -> None:
    found = scan(noise, most=1000, last=True)
    assert found.records == []
    assert found.end == len(noise)


def test_a_length_that_lies_does_not_swallow_what_follows() -> None:
    liar = b'\x1e000fffff 00000000 {"a":1}\n'
    assert read(liar + frame(b"{}")) == [b"{}"]


def test_a_record_that_goes_on_behind_what_was_read_is_read_next_time() -> None:
    data = frame(b'{"a":1}') + frame(b'{"b":2}')
    found = scan(data[:-3], most=1000, last=False)
    assert (found.records, found.damage) == ([b'{"a":1}'], [])
    assert scan(data[found.end :], most=1000, last=True).records == [b'{"b":2}']


def test_reading_stops_after_as_many_as_were_asked_for() -> None:
    data, ends = framed([b"1", b"2", b"3"])
    found = scan(data, most=2, last=True)
    assert (found.records, found.end) == ([b"1", b"2"], ends[1])


def test_a_record_too_long_to_be_sane_is_refused() -> None:
    assert read(frame(b"x" * MAX_RECORD)) == [b"x" * MAX_RECORD]
    with pytest.raises(ValueError, match="longer"):
        frame(b"x" * (MAX_RECORD + 1))


def test_much_damage_is_read_in_time_that_grows_with_it() -> None:
    rng = random.Random(1)
    noise = b"".join(b"\x1e" + rng.randbytes(3) for _ in range(100_000))
    assert read(noise + frame(b"{}")) == [b"{}"]
