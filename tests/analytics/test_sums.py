"""Sums are exact, nothing unknown becomes zero, and every split adds up to the total of its filter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from dataclasses import fields
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from flask_llm_cost.analytics import BUCKETS
from flask_llm_cost.analytics import DIMENSIONS
from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.analytics import Costs
from flask_llm_cost.analytics import Totals
from flask_llm_cost.analytics.measures import COSTS
from flask_llm_cost.analytics.values import TOKENS
from flask_llm_cost.errors import InvalidFilterError
from flask_llm_cost.events import Event
from tests.analytics.ledgers import BERLIN
from tests.analytics.ledgers import NOW
from tests.analytics.ledgers import ODD
from tests.analytics.ledgers import START
from tests.analytics.ledgers import ZONES
from tests.analytics.ledgers import call
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import ledgers
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import moments
from tests.analytics.ledgers import query
from tests.analytics.ledgers import seeded_calls

SUMS = tuple(item.name for item in fields(Totals))
SPLITS = (*DIMENSIONS, "tag:feature", "tag:tenant", "tag:never-used")


def expected_cost(events: Iterable[Event]) -> Decimal | None:
    found = list(events)
    known = [event.total_cost for event in found if event.total_cost is not None]
    return sum(known, Decimal(0)) if known or not found else None


def expected_totals(events: Iterable[Event]) -> Totals:
    found = list(events)
    times = [event.latency_ms for event in found if event.latency_ms is not None]
    return Totals(
        calls=len(found),
        failed_calls=sum(event.status != "ok" for event in found),
        unknown_cost_calls=sum(event.cost_status == "unknown" for event in found),
        partial_cost_calls=sum(event.cost_status == "partial" for event in found),
        priced_calls=sum(event.total_cost is not None for event in found),
        total_cost=expected_cost(found),
        tokens={name: sum(getattr(event, name) or 0 for event in found) for name in TOKENS},
        timed_calls=len(times),
        latency_ms=sum(times),
    )


def value_of(event: Event, dimension: str) -> str | None:
    if dimension.startswith("tag:"):
        return event.tags.get(dimension.removeprefix("tag:"))
    value: str | None = getattr(event, dimension)
    return value


def assert_split_adds_up(asked: CallQuery, events: list[Event], dimension: str, limit: int | None) -> None:
    """A split of ``asked`` against plain Python over the events it should hold."""
    total = asked.totals()
    assert total == expected_totals(events)
    found = asked.cost_by(dimension, limit)
    assert found.total == total
    rows = [*found.rows, found.other] if found.other else list(found.rows)
    assert expected_cost_of(row.total_cost for row in rows) == (total.total_cost or 0)
    assert sum(row.calls for row in rows) == total.calls
    for row in found.rows:
        mine = [event for event in events if value_of(event, dimension) == row.value]
        assert {name: getattr(row, name) for name in SUMS} == asdict(expected_totals(mine))
    assert_spend_adds_up(asked, events, dimension, limit)


def assert_costs_of(costs: Costs, events: list[Event]) -> None:
    expected = expected_totals(events)
    assert [getattr(costs, name) for name in COSTS] == [getattr(expected, name) for name in COSTS]


def assert_spend_adds_up(asked: CallQuery, events: list[Event], dimension: str, limit: int | None) -> None:
    found = asked.spend_by(dimension, limit)
    rows = [*found.rows, found.other] if found.other else list(found.rows)
    assert_costs_of(found.total, events)
    for row in found.rows:
        assert_costs_of(row, [event for event in events if value_of(event, dimension) == row.value])
    for name in COSTS[:-1]:
        assert sum(getattr(row, name) for row in rows) == getattr(found.total, name)
    assert expected_cost_of(row.total_cost for row in rows) == (found.total.total_cost or 0)
    costs = [row.total_cost for row in found.rows]
    assert costs == sorted(costs, key=lambda cost: (cost is None, -(cost or 0)))
    values = {value_of(event, dimension) for event in events}
    assert len(found.rows) == min(len(values), limit or len(values))
    assert found.other_values == len(values) - len(found.rows)


def expected_cost_of(costs: Iterable[Decimal | None]) -> Decimal:
    return sum((cost for cost in costs if cost is not None), Decimal(0))


@settings(max_examples=35, deadline=None)
@given(
    events=ledgers(),
    start=moments(),
    length=st.timedeltas(timedelta(minutes=1), timedelta(days=4)),
    dimension=st.sampled_from(SPLITS),
    limit=st.sampled_from((None, 1, 2)),
)
def test_every_split_adds_up_to_the_total_of_its_filter(
    events: list[Event], start: datetime, length: timedelta, dimension: str, limit: int | None
) -> None:
    end = start + length
    with memory_ledger(events) as ledger:
        everything = query(ledger)
        assert_split_adds_up(everything, events, dimension, limit)
        ranged = everything.between(start, end)
        inside = [event for event in events if start <= event.occurred_at < end]
        assert_split_adds_up(ranged, inside, dimension, limit)
        mine = [event for event in inside if event.tags.get("feature") == "50%"]
        assert_split_adds_up(ranged.tagged(feature="50%"), mine, dimension, limit)
        nobody = [event for event in inside if "tenant" not in event.tags and event.user_id is None]
        assert_split_adds_up(ranged.tagged(tenant=None).where(user_id=None), nobody, dimension, limit)


@settings(max_examples=40, deadline=None)
@given(
    events=ledgers(),
    zone=st.sampled_from(ZONES),
    bucket=st.sampled_from(BUCKETS),
    by=st.sampled_from((None, "model", "user_id", "tag:feature")),
    span=st.one_of(st.none(), st.tuples(moments(), st.timedeltas(timedelta(minutes=1), timedelta(days=4)))),
)
def test_every_series_adds_up_to_the_total_of_its_filter(
    events: list[Event],
    zone: ZoneInfo,
    bucket: str,
    by: str | None,
    span: tuple[datetime, timedelta] | None,
) -> None:
    with memory_ledger(events) as ledger:
        asked = query(ledger, zone=zone)
        if span is not None:
            asked = asked.between(span[0], span[0] + span[1])
            events = [event for event in events if span[0] <= event.occurred_at < span[0] + span[1]]
        found = asked.series(bucket, by=by, limit=2)  # type: ignore[arg-type]
        assert sum(b.calls for b in found.buckets) == asked.totals().calls == len(events)
        for number, b in enumerate(found.buckets):
            inside = [event for event in events if b.start <= event.occurred_at < b.end]
            assert (b.calls, b.total_cost) == (len(inside), expected_cost(inside))
            assert b.unknown_cost_calls == sum(event.cost_status == "unknown" for event in inside)
            if by is None:
                continue
            parts = [*found.parts, found.other] if found.other else list(found.parts)
            assert sum(part.buckets[number].calls for part in parts) == b.calls
            costs = [part.buckets[number].total_cost for part in parts]
            assert expected_cost_of(costs) == (b.total_cost or 0)
            for part in found.parts:
                mine = [event for event in inside if value_of(event, by) == part.value]
                assert part.buckets[number].total_cost == expected_cost(mine)


def test_splits_and_series_add_up_on_every_database(database_url: str) -> None:
    engine = create_engine(database_url)
    events = seeded_calls(150)
    try:
        asked = query(filled(engine, events))
        start, end = START + timedelta(hours=7, minutes=3), NOW - timedelta(minutes=1)
        inside = [event for event in events if start <= event.occurred_at < end]
        for dimension in SPLITS:
            assert_split_adds_up(asked, events, dimension, None)
            assert_split_adds_up(asked.between(start, end), inside, dimension, 2)
        for zone in ZONES:
            for bucket in BUCKETS:
                for by in (None, "provider", "tag:tenant"):
                    found = asked.between(start, end).series(bucket, tz=zone, by=by, limit=3)  # type: ignore[arg-type]
                    for b in found.buckets:
                        now_inside = [event for event in inside if b.start <= event.occurred_at < b.end]
                        assert (b.calls, b.total_cost) == (len(now_inside), expected_cost(now_inside))
                    assert sum(b.calls for b in found.buckets) == len(inside)
    finally:
        engine.dispose()


def test_no_calls_cost_zero_and_unpriced_calls_cost_an_unknown_amount() -> None:
    with memory_ledger([]) as ledger:
        totals = query(ledger).totals()
        assert (totals.calls, totals.total_cost, totals.average_cost) == (0, Decimal(0), None)
        assert (totals.tokens_in, totals.average_latency_ms) == (0, None)
        assert query(ledger).cost_by("model").rows == ()
        assert query(ledger).series().buckets == ()
    with memory_ledger([call(), call(status="error", cost_status="free", http_status=401)]) as ledger:
        asked = query(ledger)
        totals = asked.totals()
        assert (totals.calls, totals.failed_calls, totals.unknown_cost_calls) == (2, 1, 1)
        assert (totals.total_cost, totals.average_cost, totals.tokens_in) == (None, None, None)
        (row,) = asked.cost_by("model").rows
        assert (row.total_cost, row.share) == (None, None)
        assert asked.between(START, NOW).series("month").buckets[0].total_cost is None


def test_a_known_zero_stays_zero_beside_unknown_costs() -> None:
    events = [call(total_cost=Decimal(0)), call(model="other")]
    with memory_ledger(events) as ledger:
        totals = query(ledger).totals()
        assert (totals.total_cost, totals.priced_calls, totals.unknown_cost_calls) == (Decimal(0), 1, 1)
        costs = {row.value: (row.total_cost, row.share) for row in query(ledger).cost_by("model").rows}
        assert costs == {"gpt-5-mini": (Decimal(0), None), "other": (None, None)}


def test_averages_are_over_the_calls_that_have_a_number() -> None:
    events = [
        call(total_cost=Decimal("0.1"), latency_ms=10),
        call(total_cost=Decimal("0.2"), latency_ms=15),
        call(),
        call(total_cost=Decimal(0)),
    ]
    with memory_ledger(events) as ledger:
        totals = query(ledger).totals()
        assert totals.total_cost == Decimal("0.3")
        assert totals.average_cost == Decimal("0.1")
        assert totals.average_latency_ms == 12.5


def test_the_dearest_values_come_first_and_unknown_ones_last() -> None:
    events = [
        call(model="cheap", total_cost=Decimal("1E-12")),
        call(model="unknown"),
        call(model="dear", total_cost=Decimal(3)),
        call(model="middle", total_cost=Decimal(1)),
    ]
    with memory_ledger(events) as ledger:
        found = query(ledger).cost_by("model")
        assert [row.value for row in found.rows] == ["dear", "middle", "cheap", "unknown"]
        assert found.rows[0].share == Decimal("0.750000")
        assert found.rows[3].share is None
        cut = query(ledger).cost_by("model", limit=2)
        assert [row.value for row in cut.rows] == ["dear", "middle"]
        assert cut.other is not None
        assert (cut.other.calls, cut.other.total_cost, cut.other_values) == (2, Decimal("1E-12"), 2)


def test_calls_without_the_tag_are_a_row_of_their_own() -> None:
    events = [
        call(tags={"feature": "chat"}, total_cost=Decimal(1)),
        call(tags={"tenant": "acme"}, total_cost=Decimal(2)),
    ]
    with memory_ledger(events) as ledger:
        rows = {row.value: row.calls for row in query(ledger).cost_by("tag:feature").rows}
        assert rows == {None: 1, "chat": 1}


def test_values_are_told_apart_byte_for_byte(database_url: str) -> None:
    values = ("Acme", "acme", "ácme", "a_me", "a%", "O'Brien", '"', "\\", "100%", "_")
    engine = create_engine(database_url)
    try:
        events = [call(tags={"tenant": value}, user_id=value, total_cost=Decimal(1)) for value in values]
        asked = query(filled(engine, events))
        assert {row.value for row in asked.cost_by("tag:tenant").rows} == set(values)
        for value in values:
            assert asked.tagged(tenant=value).count() == 1
            assert asked.where(user_id=value).count() == 1
            assert asked.where(user_id=value).cost_by("user_id").rows[0].value == value
        assert asked.distinct("user_id") == tuple(sorted(values))
    finally:
        engine.dispose()


def test_the_bucket_that_is_running_is_incomplete() -> None:
    with memory_ledger([call(START)]) as ledger:
        now = datetime(2026, 10, 25, 12, tzinfo=BERLIN)
        found = query(ledger, now=now).last_days(3).series("day")
        assert [(b.label.day, b.complete) for b in found.buckets] == [(23, True), (24, True), (25, False)]
        cut = query(ledger, now=now).between(START, now).series("week").buckets
        assert [(b.start, b.end, b.complete) for b in cut] == [(START, now, False)]
        assert cut[0].label.isoformat() == "2026-10-19"


def test_a_series_of_all_time_goes_from_the_first_call_to_now() -> None:
    with memory_ledger([call(START, total_cost=Decimal(2)), call(START + timedelta(days=2))]) as ledger:
        found = query(ledger).series("day")
        assert found.buckets[0].start <= START
        assert found.buckets[-1].end > NOW
        assert [b.total_cost for b in found.buckets] == [2, 0, None, 0, 0, 0]


def test_a_long_series_is_exact_across_the_pieces_it_is_asked_in() -> None:
    events = [call(START + timedelta(hours=n), total_cost=Decimal(n)) for n in range(0, 120, 7)]
    with memory_ledger(events) as ledger:
        found = query(ledger).where(user_id=None).between(START, NOW).series("hour")
        assert len(found.buckets) == 121
        assert sum(b.calls for b in found.buckets) == len(events)
        for b in found.buckets:
            assert b.total_cost == expected_cost(e for e in events if b.start <= e.occurred_at < b.end)


@pytest.mark.parametrize("dimension", ["modle", "id", "tags", "tag:", "tag:a b", "tag:" + "k" * 65, "stream"])
def test_an_unknown_dimension_is_refused(dimension: str) -> None:
    with memory_ledger([]) as ledger:
        with pytest.raises(InvalidFilterError):
            query(ledger).cost_by(dimension)
        with pytest.raises(InvalidFilterError):
            query(ledger).series(by=dimension)


def test_an_unknown_dimension_or_bucket_names_the_nearest() -> None:
    with memory_ledger([]) as ledger:
        with pytest.raises(InvalidFilterError, match="Did you mean 'model'"):
            query(ledger).cost_by("modle")
        with pytest.raises(InvalidFilterError, match="Did you mean 'month'"):
            query(ledger).series("mnth")  # type: ignore[arg-type]
        with pytest.raises(InvalidFilterError, match="limit"):
            query(ledger).cost_by("model", limit=0)


def test_odd_values_are_filters_as_well_as_rows() -> None:
    events = [call(user_id=value) for value in ODD if value == value.strip()]
    with memory_ledger(events) as ledger:
        for event in events:
            assert query(ledger).where(user_id=event.user_id).count() == 1
