"""Server-sent events from bytes in any split."""

from __future__ import annotations

import pytest

from flask_llm_cost.providers.sse import EventDecoder


def decode(*chunks: bytes, limit: int = 1000) -> list[tuple[bytes, bytes]]:
    decoder = EventDecoder(limit)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_lines_end_in_three_ways(end: bytes) -> None:
    text = end.join([b"event: tide", b"data: high", b"", b"data: low", b"", b""])

    assert decode(text) == [(b"tide", b"high"), (b"", b"low")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_split_may_be_anywhere(end: bytes) -> None:
    text = end.join([b"event: tide", "data: höchste Flut ≈ 4 m".encode(), b"", b"data: low", b"", b""])
    whole = decode(text)

    assert decode(*(bytes([byte]) for byte in text)) == whole
    for at in range(len(text)):
        assert decode(text[:at], text[at:]) == whole


def test_several_data_lines_are_one_text() -> None:
    assert decode(b"data: one\ndata:two\ndata\ndata:  three\n\n") == [(b"", b"one\ntwo\n\n three")]


def test_comments_ids_retries_and_unknown_fields_are_passed_over() -> None:
    assert decode(b": still here\n\nid: 7\nretry: 10\ncolour: red\ndata: x\n\n") == [(b"", b"x")]


def test_an_event_without_data_is_none_and_leaves_no_name_behind() -> None:
    assert decode(b"event: ping\n\ndata: x\n\n") == [(b"", b"x")]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert decode(b"\xef\xbb\xbfdata: x\n\n") == [(b"", b"x")]
    assert decode(b"\xef", b"\xbb", b"\xbfdata: x\n\n") == [(b"", b"x")]
    assert decode(b"data: x\n\n\xef\xbb\xbfdata: y\n\n") == [(b"", b"x")]


def test_an_event_that_is_too_long_is_skipped_and_the_next_one_read() -> None:
    long = b"data: " + b"x" * 60
    for chunks in ([long + b"\n\ndata: y\n\n"], [long[:30], long[30:], b"\n\ndata: y\n\n"]):
        decoder = EventDecoder(limit=50)
        found = [event for chunk in chunks for event in decoder.feed(chunk)]

        assert found == [(b"", b"y")]
        assert decoder.oversized == 1


def test_many_lines_of_one_event_are_bounded_too() -> None:
    decoder = EventDecoder(limit=50)

    assert list(decoder.feed(b"data: 0123456789\n" * 100 + b"\n" + b"data: y\n\n")) == [(b"", b"y")]
    assert decoder.oversized == 1


def test_an_endless_line_takes_no_memory() -> None:
    decoder = EventDecoder(limit=1000)
    for _ in range(1000):
        assert list(decoder.feed(b"x" * 500)) == []

    assert len(decoder._line) <= 1000


def test_the_last_event_may_lack_its_empty_line() -> None:
    decoder = EventDecoder()
    assert list(decoder.feed(b"event: end\ndata: one\ndata: tw")) == []

    assert decoder.unfinished() == (b"end", b"one\ntw")
    assert list(decoder.feed(b"o\n\n")) == [(b"end", b"one\ntwo")]
    assert decoder.unfinished() is None


def test_it_knows_when_it_stands_between_two_events() -> None:
    decoder = EventDecoder()
    assert not decoder.is_between_events  # a byte order mark may come

    for chunk, expected in [
        (b"data: x\n\n", True),
        (b"data: x\n", False),
        (b"\n", True),
        (b"dat", False),
        (b"a: x\n\n", True),
        (b"data: x\r\n\r", False),
        (b"\n", False),
        (b": comment\n", True),
        (b"event: x\n", False),
        (b"\n", True),
    ]:
        list(decoder.feed(chunk))
        assert decoder.is_between_events is expected, chunk
