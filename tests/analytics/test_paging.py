"""Pages visit every call exactly once and in order, and take no cursor that is not theirs."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.errors import InvalidFilterError
from flask_llm_cost.events import Event
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import create_ledger_engine
from flask_llm_cost.usage import INPUT_FIELDS
from tests.analytics.ledgers import START
from tests.analytics.ledgers import call
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import ledgers
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query
from tests.analytics.ledgers import seeded_calls

SORTS = ("recent", "cost", "input", "output", "latency")
ORDERS = tuple(product(SORTS, ("desc", "asc")))


def key_of(row: LlmCall, sort: str) -> Any:
    if sort == "input":
        told = [getattr(row, name) for name in INPUT_FIELDS if getattr(row, name) is not None]
        return sum(told) if told else None
    columns = {"recent": "occurred_at", "cost": "total_cost", "output": "output_tokens"}
    return getattr(row, columns.get(sort, "latency_ms"))


def expected_order(rows: list[LlmCall], sort: str, direction: str) -> list[int]:
    reverse = direction == "desc"
    known = [row for row in rows if key_of(row, sort) is not None]
    unknown = [row for row in rows if key_of(row, sort) is None]
    known.sort(key=lambda row: (key_of(row, sort), row.id), reverse=reverse)
    unknown.sort(key=lambda row: row.id, reverse=reverse)
    return [row.id for row in (*known, *unknown)]


def walk(asked: CallQuery, sort: Any, direction: Any, size: int) -> list[int]:
    """The ids of all pages forward, having checked that the way back shows the very same pages."""
    pages = [asked.page(sort, direction, size)]
    while (cursor := pages[-1].next) is not None:
        pages.append(asked.page(sort, direction, size, cursor))
    assert pages[0].previous is None
    back = pages[-1]
    for page in reversed(pages[:-1]):
        assert back.previous is not None
        back = asked.page(sort, direction, size, back.previous)
        assert [row.id for row in back.calls] == [row.id for row in page.calls]
    assert back.previous is None
    assert all(len(page.calls) == size for page in pages[:-1])
    return [row.id for page in pages for row in page.calls]


@settings(max_examples=40, deadline=None)
@given(events=ledgers(), order=st.sampled_from(ORDERS), size=st.integers(1, 7))
def test_pages_visit_every_call_once_and_in_order_both_ways(
    events: list[Event], order: tuple[str, str], size: int
) -> None:
    with memory_ledger(events) as ledger:
        asked = query(ledger)
        assert walk(asked, *order, size) == expected_order(list(asked.rows()), *order)


def test_pages_visit_every_call_once_on_every_database(database_url: str) -> None:
    engine = create_engine(database_url)
    try:
        asked = query(filled(engine, seeded_calls(60)))
        rows = list(asked.rows())
        for order in ORDERS:
            for size in (9, 60):
                assert walk(asked, *order, size) == expected_order(rows, *order)
    finally:
        engine.dispose()


@pytest.mark.parametrize("direction", ["desc", "asc"])
def test_pages_of_a_tags_calls_are_all_of_them_in_order_on_every_database(
    database_url: str, direction: str
) -> None:
    """Many are of one moment, and other filters, of time, columns and further tags, stay in force."""
    engine = create_engine(database_url)
    value = "50%"
    events = [
        replace(
            each,
            occurred_at=START + timedelta(minutes=n // 7),
            tags={"feature": value if n % 3 else "another"} | ({"tenant": value} if n % 2 else {}),
        )
        for n, each in enumerate(seeded_calls(90))
    ]
    try:
        everything = query(filled(engine, events))
        rows = list(everything.rows())
        mine = everything.tagged(feature=value)
        asked = {
            "all": (mine, lambda row: True),
            "time": (
                mine.between(START + timedelta(minutes=2), START + timedelta(minutes=9)),
                lambda row: START + timedelta(minutes=2) <= row.occurred_at < START + timedelta(minutes=9),
            ),
            "column": (mine.where(status="ok"), lambda row: row.status == "ok"),
            "without another": (mine.tagged(tenant=None), lambda row: "tenant" not in (row.tags or {})),
            "with another": (
                everything.tagged(tenant=value).tagged(feature=value),
                lambda row: (row.tags or {}).get("tenant") == value,
            ),
        }
        for name, (narrowed, wanted) in asked.items():
            found = [row for row in rows if (row.tags or {}).get("feature") == value and wanted(row)]
            assert walk(narrowed, "recent", direction, 3) == expected_order(found, "recent", direction), name
        assert everything.tagged(tenant=value).tagged(tenant="nobody's").page().calls == ()
    finally:
        engine.dispose()


def test_a_page_keeps_its_place_while_calls_arrive_and_go() -> None:
    events = [call(START + timedelta(minutes=n)) for n in range(6)]
    with memory_ledger(events) as ledger:
        asked = query(ledger)
        first = asked.page(size=2)
        ledger.write([call(START + timedelta(hours=1))])
        ledger.delete_calls([first.calls[-1].event_id], keep_rollups=False)
        second = asked.page(size=2, cursor=first.next)
        assert [row.event_id for row in second.calls] == [events[3].event_id, events[2].event_id]


def test_pages_stay_within_the_filter() -> None:
    events = [call(user_id=user, total_cost=Decimal(n)) for n, user in enumerate("aabab")]
    with memory_ledger(events) as ledger:
        asked = query(ledger).for_user("a")
        first = asked.page("cost", size=2)
        second = asked.page("cost", size=2, cursor=first.next)
        assert [row.total_cost for row in (*first.calls, *second.calls)] == [3, 1, 0]
        assert second.next is None


def test_cursors_can_stand_in_a_url() -> None:
    events = [call(START, total_cost=Decimal("0.000000000001"), latency_ms=n) for n in range(40)]
    with memory_ledger(events) as ledger:
        cursor = query(ledger).page("cost", size=1).next
        assert cursor is not None
        assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def _forged(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "æ",
        "a b+/",
        "A" * 1000,
        "W1tbW1tbW1tb",
        _forged(),
        _forged("cost", "desc", "next", "1", 1, 1),
        _forged("cost", "desc", "up", "1", 1),
        _forged("cost", "desc", "next", 1.5, 1),
        _forged("cost", "desc", "next", "NaN", 1),
        _forged("cost", "desc", "next", "1e400", 1),
        _forged("cost", "desc", "next", "-Infinity", 1),
        _forged("cost", "desc", "next", "one", 1),
        _forged("cost", "desc", "next", "1", "1"),
        _forged("cost", "desc", "next", "1", True),
        _forged("cost", "desc", "next", "1", 2**64),
        _forged("cost", "asc", "next", "1", 1),
        _forged("recent", "desc", "next", 1, 1),
    ],
)
def test_a_cursor_that_is_not_of_this_page_is_refused(cursor: str) -> None:
    with memory_ledger([call()]) as ledger, pytest.raises(InvalidFilterError, match="cursor"):
        query(ledger).page("cost", "desc", cursor=cursor)


@pytest.mark.parametrize("key", [None, "1", 2**63, 2**62, True, [1]])
def test_a_cursor_with_an_impossible_moment_is_refused(key: object) -> None:
    with memory_ledger([call()]) as ledger, pytest.raises(InvalidFilterError, match="cursor"):
        query(ledger).page(cursor=_forged("recent", "desc", "next", key, 1))


@given(st.text(max_size=60))
@settings(max_examples=30, deadline=None)
def test_any_other_text_is_no_cursor(text: str) -> None:
    with memory_ledger([call()]) as ledger, pytest.raises(InvalidFilterError):
        query(ledger).page(cursor=text)


def test_an_unknown_sort_direction_or_size_is_refused() -> None:
    with memory_ledger([]) as ledger:
        asked: Any = query(ledger)
        with pytest.raises(InvalidFilterError, match="Did you mean 'recent'"):
            asked.page("recnt")
        with pytest.raises(InvalidFilterError, match="direction"):
            asked.page(direction="down")
        for size in (0, -1, 1001, "10", True):
            with pytest.raises(InvalidFilterError, match="size"):
                asked.page(size=size)
        assert asked.page().calls == ()


def test_rows_stream_all_calls_in_the_order_of_time_without_holding_a_connection(tmp_path: Path) -> None:
    events = [call(START + timedelta(seconds=n // 3)) for n in range(1203)]
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    try:
        ledger = filled(create_ledger_engine(engine), events)
        rows = query(ledger).rows("asc")
        seen = [next(rows)]
        # In the middle of a read: it would wait in vain for its lock if the read were still under way.
        ledger.write([call(START - timedelta(days=1))], lock_wait=0)
        seen += rows
        keys = [(row.occurred_at, row.id) for row in seen]
        assert keys == sorted(keys)
        assert {row.event_id for row in seen} == {event.event_id for event in events}
        assert len(list(query(ledger).rows())) == 1204
        ledger.engine.dispose()
    finally:
        engine.dispose()
