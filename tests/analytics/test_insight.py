"""What is told beyond sums: two dimensions, pace, new models, waste, forecast and what stands out."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.analytics import find_anomalies
from flask_llm_cost.analytics import month_forecast
from flask_llm_cost.analytics.forecast import foretold
from flask_llm_cost.errors import InvalidFilterError
from flask_llm_cost.events import Event
from flask_llm_cost.usage import INPUT_FIELDS
from tests.analytics.ledgers import NOW
from tests.analytics.ledgers import START
from tests.analytics.ledgers import call
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import ledgers
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query
from tests.analytics.ledgers import seeded_calls
from tests.analytics.test_sums import assert_costs_of
from tests.analytics.test_sums import expected_cost
from tests.analytics.test_sums import expected_totals
from tests.analytics.test_sums import value_of

PAIRS = (
    ("model", "provider"),
    ("user_id", "tag:feature"),
    ("tag:tenant", "tag:feature"),
    ("status", "model"),
)


def assert_cross_is_the_calls(
    asked: CallQuery, events: list[Event], pair: tuple[str, str], limit: int
) -> None:
    found = asked.cross(*pair, limit, limit)
    assert_costs_of(found.total, events)
    sides = (found.rows, found.columns)
    for side, name in zip(sides, pair, strict=True):
        assert side.others == len({value_of(event, name) for event in events}) - len(side.values)
        assert len(side.totals) == len(side.values) + bool(side.others)
    for (row, column), costs in found.cells.items():
        mine = [
            event
            for event in events
            if place(found.rows.values, value_of(event, pair[0])) == row
            and place(found.columns.values, value_of(event, pair[1])) == column
        ]
        assert mine
        assert_costs_of(costs, mine)
    assert sum(costs.calls for costs in found.cells.values()) == len(events)


def place(values: tuple[str | None, ...], value: str | None) -> int:
    return values.index(value) if value in values else len(values)


@settings(max_examples=30, deadline=None)
@given(events=ledgers(), pair=st.sampled_from(PAIRS), limit=st.sampled_from((1, 2, 50)))
def test_two_dimensions_hold_each_call_once(events: list[Event], pair: tuple[str, str], limit: int) -> None:
    with memory_ledger(events) as ledger:
        assert_cross_is_the_calls(query(ledger), events, pair, limit)
        failed = [event for event in events if event.status != "ok"]
        assert_cross_is_the_calls(query(ledger).where(failed=True), failed, pair, limit)


def nearest_rank(values: list[int], percent: int) -> int:
    return sorted(values)[-(-percent * len(values) // 100) - 1]


@settings(max_examples=30, deadline=None)
@given(events=ledgers(), by=st.sampled_from((None, "model", "user_id", "tag:feature")))
def test_pace_is_the_nearest_rank_of_each_value(events: list[Event], by: str | None) -> None:
    events = [
        replace(event, time_to_first_token_ms=event.latency_ms if event.stream else None) for event in events
    ]
    with memory_ledger(events) as ledger:
        found = {pace.value: pace for pace in query(ledger).pace(by, 1000)}
    groups: dict[str | None, list[Event]] = {}
    for event in events:
        groups.setdefault(None if by is None else value_of(event, by), []).append(event)
    for value, mine in groups.items():
        timed = [event.latency_ms for event in mine if event.latency_ms is not None]
        first = [event.time_to_first_token_ms for event in mine if event.time_to_first_token_ms is not None]
        if not timed:
            assert value not in found
            continue
        pace = found[value]
        assert (pace.timed, pace.p50_ms, pace.p95_ms) == (
            len(timed), nearest_rank(timed, 50), nearest_rank(timed, 95)
        )  # fmt: skip
        assert pace.streamed == len(first)
        assert pace.first_p95_ms == (nearest_rank(first, 95) if first else None)


@settings(max_examples=30, deadline=None)
@given(events=ledgers(), thresholds=st.sampled_from(((), (3,), (2, 10**8))))
def test_models_used_add_up_apart_by_size(events: list[Event], thresholds: tuple[int, ...]) -> None:
    def size(event: Event) -> int:
        tokens = sum(getattr(event, name) or 0 for name in INPUT_FIELDS)
        return sum(tokens >= threshold for threshold in thresholds)

    with memory_ledger(events) as ledger:
        found = query(ledger).models_used(thresholds)
    assert sum(use.totals.calls for use in found) == len(events)
    for use in found:
        mine = [e for e in events if (e.provider, e.model, size(e)) == (use.provider, use.model, use.size)]
        assert use.totals == expected_totals(mine)


def assert_coverage_is_the_calls(asked: CallQuery, events: list[Event]) -> None:
    found = asked.coverage()
    assert {each.provider for each in found} == {event.provider for event in events}
    for each in found:
        mine = [event for event in events if event.provider == each.provider]
        streams = [event for event in mine if event.stream]
        assert (each.calls, each.tagged) == (len(mine), sum(bool(event.tags) for event in mine))
        assert each.costed == sum(event.cost_status in ("complete", "free") for event in mine)
        assert each.with_user == sum(event.user_id is not None for event in mine)
        assert each.timed == sum(event.latency_ms is not None for event in mine)
        assert each.identified == sum(event.provider_response_id is not None for event in mine)
        told = sum(event.usage_source != "unknown" for event in streams)
        assert (each.streams, each.streams_told) == (len(streams), told)


@settings(max_examples=20, deadline=None)
@given(events=ledgers())
def test_coverage_counts_what_calls_tell(events: list[Event]) -> None:
    with memory_ledger(events) as ledger:
        assert_coverage_is_the_calls(query(ledger), events)


def test_every_question_is_answered_alike_on_every_database(database_url: str) -> None:
    engine = create_engine(database_url)
    events = seeded_calls(150)
    events = [replace(event, attempts=1 + number % 3) for number, event in enumerate(events)]
    try:
        asked = query(filled(engine, events)).between(START - timedelta(days=1), NOW + timedelta(days=1))
        for pair in PAIRS:
            assert_cross_is_the_calls(asked, events, pair, 2)
        for dimension in ("model", "tag:feature", None):
            assert asked.pace(dimension)
        for order in ("cost", "calls", "failed", "input", "output", "average", "latency", "name"):
            for direction in ("desc", "asc"):
                rows = asked.cost_by("user_id", 3, order, direction)  # type: ignore[arg-type]
                assert sum(row.calls for row in rows.rows) + (rows.other.calls if rows.other else 0) == 150
        assert sum(use.totals.calls for use in asked.models_used((5, 1000))) == 150
        assert len(asked.new_models()) == len({(event.provider, event.model) for event in events})
        assert asked.where(failed=True).count() == sum(event.status != "ok" for event in events)
        assert asked.where(retried=True).count() == sum(event.attempts > 1 for event in events)
        costs = asked.spend_of("tag:feature", ["50%", None])
        for value, found in costs.items():
            assert_costs_of(found, [event for event in events if event.tags.get("feature") == value])
        assert_coverage_is_the_calls(asked, events)
        assert asked.tag_names() == ("feature", "tenant")
        assert asked.tag_names(1) == ("feature",)
        narrowed = asked.tagged(feature=None, tenant="50%")
        assert narrowed.tag_names() == ("tenant",)
        wasted = [event for event in events if event.status != "ok" or event.attempts > 1]
        assert sum(each.calls for each in asked.waste()) == len(wasted)
        assert sum(each.extra_attempts for each in asked.waste()) == sum(e.attempts - 1 for e in wasted)
        assert sum(each.total_cost or 0 for each in asked.waste()) == (expected_cost(wasted) or 0)
        for name, values in (("model", ["gpt-5"]), ("user_id", [None]), ("tag:feature", ["50%", None])):
            others = [event for event in events if value_of(event, name) not in values]
            assert_costs_of(asked.besides(name, values).totals(), others)
        assert asked.untagged().count() == sum(not event.tags for event in events)
        find_anomalies(asked, ("feature",))
        month_forecast(asked)
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("cost", ["dear", "many", "failing", "unknown"]),
        ("calls", ["many", "dear", "failing", "unknown"]),
        ("failed", ["failing", "many", "dear", "unknown"]),
        ("average", ["dear", "failing", "many", "unknown"]),
        ("latency", ["failing", "dear", "many", "unknown"]),
        ("name", ["unknown", "many", "failing", "dear"]),
    ],
)
def test_values_come_in_the_order_that_was_asked_for_and_unknown_ones_last(
    order: str, expected: list[str]
) -> None:
    events = [
        call(model="dear", total_cost=Decimal(9), latency_ms=5),
        *(call(model="many", total_cost=Decimal(1), latency_ms=1) for _ in range(3)),
        call(model="failing", total_cost=Decimal(2), status="error", latency_ms=9),
        call(model="unknown"),
    ]
    with memory_ledger(events) as ledger:
        found = query(ledger).cost_by("model", order=order)
        assert [row.value for row in found.rows] == expected
        cut = query(ledger).cost_by("model", 2, order)
        assert [row.value for row in cut.rows] == expected[:2]
        with pytest.raises(InvalidFilterError, match="sort"):
            query(ledger).cost_by("model", order="beauty")


def test_a_model_is_new_where_it_was_not_used_for_a_season() -> None:
    used = {"known": (-2, 0), "back": (-95, 1), "fresh": (2,)}
    events = [
        call(NOW - timedelta(days=10) + timedelta(days=day), model=model, total_cost=Decimal(1))
        for model, days in used.items()
        for day in days
    ]
    with memory_ledger(events) as ledger:
        found = query(ledger).between(NOW - timedelta(days=10), NOW).new_models()
    assert [(each.model, each.totals.calls) for each in found] == [("fresh", 1), ("back", 1)]
    assert found[0].first_seen == NOW - timedelta(days=8)


def days_of(costs: Iterable[float], last: date) -> list[tuple[date, float]]:
    listed = list(costs)
    return [(last - timedelta(days=len(listed) - at), cost) for at, cost in enumerate(listed)]


def test_a_steady_month_is_foretold_exactly_and_without_doubt() -> None:
    today = date(2026, 11, 11)
    found = foretold(days_of([2.0] * 56, today), Decimal(20), Decimal(0), today)
    assert (found.expected, found.low, found.high) == (Decimal(60), Decimal(60), Decimal(60))
    assert (found.days_left, found.days_seen) == (19, 56)


def test_each_weekday_counts_as_it_usually_does() -> None:
    """Weekends are quiet: from a Friday on, two quiet days come before the next dear one."""
    today = date(2026, 11, 13)
    costs = [1.0 if day.weekday() >= 5 else 10.0 for day, _ in days_of([0.0] * 56, today)]
    found = foretold(days_of(costs, today), Decimal(0), Decimal(0), today)
    steps = [after[1] - before[1] for before, after in zip(found.path, found.path[1:], strict=False)]
    assert max(steps[:2]) < 3
    assert min(steps[2:7]) > 8
    # 13 to 30 November: twelve working days and six of weekends.
    assert abs(found.expected - Decimal(126)) < 8


def test_the_range_holds_four_of_five_outcomes() -> None:
    """Simulated: 300 months with a weekday's rhythm and noise, foretold in the middle of the month."""
    draw = random.Random(11)
    today, held = date(2026, 11, 12), 0
    for _ in range(300):
        level = draw.uniform(1, 50)

        def cost(day: date, level: float = level) -> float:
            return level * (0.3 if day.weekday() >= 5 else 1.0) * draw.uniform(0.5, 1.5)

        history = [(day, cost(day)) for day, _ in days_of([0.0] * 56, today)]
        outcome = sum(cost(today + timedelta(days=ahead)) for ahead in range(19))
        found = foretold(history, Decimal(0), Decimal(0), today)
        held += found.low <= Decimal(outcome) <= found.high
    assert 0.7 <= held / 300 <= 0.92


def test_nothing_is_foretold_from_less_than_a_week_and_never_less_than_was_spent() -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    few = [call(now - timedelta(days=day), total_cost=Decimal(1)) for day in range(7)]
    with memory_ledger(few) as ledger:
        assert month_forecast(query(ledger, now=now)) is None
    more = [call(now - timedelta(days=day), total_cost=Decimal(1)) for day in range(9)]
    with memory_ledger([*more, call(now, total_cost=Decimal(1000))]) as ledger:
        found = month_forecast(query(ledger, now=now))
    assert found is not None
    assert found.spent == 1009
    assert found.low >= found.spent
    assert Decimal(1015) < found.expected < Decimal(1025)


def test_a_dear_day_of_a_model_and_its_hour_stand_out_with_the_evidence() -> None:
    now = datetime(2026, 11, 20, 20, tzinfo=UTC)
    usual = [
        call(now.replace(hour=10) - timedelta(days=day), model=model, total_cost=Decimal(1))
        for day in range(40)
        for model in ("gpt-5", "other")
    ]
    dear = call(now.replace(hour=14) - timedelta(days=2), model="gpt-5", total_cost=Decimal(20))
    with memory_ledger([*usual, dear]) as ledger:
        asked = query(ledger, now=now).last_days(10)
        found = find_anomalies(asked)
        assert find_anomalies(query(ledger, now=now).days(date(2026, 10, 25), date(2026, 11, 17))) == ()
    day, hour = sorted(found, key=lambda each: each.bucket)
    assert (day.dimension, day.value, day.start.date()) == ("model", "gpt-5", date(2026, 11, 18))
    assert (day.amount, day.usual, day.ratio, day.compared, day.calls) == (21, 1, 21, 28, 2)
    assert (hour.dimension, hour.bucket, hour.amount, hour.usual, hour.ratio) == (None, "hour", 20, 0, None)


def test_an_ordinary_month_has_nothing_that_stands_out() -> None:
    draw = random.Random(5)
    now = datetime(2026, 11, 20, 20, tzinfo=UTC)
    events = [
        call(
            now - timedelta(days=day, hours=hour),
            model=draw.choice(("a", "b", "c")),
            total_cost=Decimal(draw.randint(50, 150)) / 100,
            tags={"feature": draw.choice(("x", "y"))},
        )
        for day in range(60)
        for hour in range(24)
    ]
    with memory_ledger(events) as ledger:
        assert find_anomalies(query(ledger, now=now).last_days(30), ("feature",)) == ()
