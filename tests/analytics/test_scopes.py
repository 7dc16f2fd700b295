"""Every scope narrows to exactly its calls, on every database, and sums stay sums of the database."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy import create_engine
from sqlalchemy import event

from flask_llm_cost.analytics import DIMENSIONS
from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.errors import InvalidFilterError
from flask_llm_cost.events import Event
from tests.analytics.ledgers import BERLIN
from tests.analytics.ledgers import ZONES
from tests.analytics.ledgers import call
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import ledgers
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query
from tests.analytics.ledgers import seeded_calls
from tests.analytics.test_sums import SUMS
from tests.analytics.test_sums import expected_totals
from tests.analytics.test_sums import value_of

Scope = tuple[Callable[[CallQuery], CallQuery], Callable[[Event], bool]]
SCOPES: dict[str, Scope] = {
    "with_cost": (lambda q: q.with_cost(), lambda e: e.total_cost is not None),
    "without_cost": (lambda q: q.without_cost(), lambda e: e.total_cost is None),
    "unknown_pricing": (lambda q: q.unknown_pricing(), lambda e: e.cost_status == "unknown"),
    "with_latency": (lambda q: q.with_latency(), lambda e: e.latency_ms is not None),
    "streaming": (lambda q: q.streaming(), lambda e: e.stream),
    "non_streaming": (lambda q: q.non_streaming(), lambda e: not e.stream),
    "streaming_missing_usage": (
        lambda q: q.streaming_missing_usage(),
        lambda e: e.stream and e.usage_source == "unknown",
    ),
    "with_provider_response_id": (
        lambda q: q.with_provider_response_id(),
        lambda e: e.provider_response_id is not None,
    ),
    "missing_provider_response_id": (
        lambda q: q.missing_provider_response_id(),
        lambda e: e.provider_response_id is None,
    ),
    "for_model": (lambda q: q.for_model("gpt-5"), lambda e: e.model == "gpt-5"),
    "for_provider": (lambda q: q.for_provider("anthropic"), lambda e: e.provider == "anthropic"),
    "for_request_type": (lambda q: q.for_request_type("grading"), lambda e: e.request_type == "grading"),
    "for_user": (lambda q: q.for_user(7), lambda e: e.user_id == "7"),
    "for_trackable": (
        lambda q: q.for_trackable(("Essay", 3)),
        lambda e: (e.trackable_type, e.trackable_id) == ("Essay", "3"),
    ),
    "by_usage_source": (lambda q: q.where(usage_source="unknown"), lambda e: e.usage_source == "unknown"),
    "by_error": (lambda q: q.where(error_type="Timeout"), lambda e: e.error_type == "Timeout"),
}


def every_kind() -> list[Event]:
    """One call of each combination of what the scopes look at."""
    combinations = product((None, Decimal("0.25")), (None, 40), (False, True), (None, "resp_1"), range(3))
    return [
        call(
            total_cost=cost,
            latency_ms=latency,
            stream=stream,
            provider_response_id=response_id,
            usage_source="unknown" if cost is None and stream else "response",
            model=("gpt-5", "gpt-5-mini", "claude")[kind],
            provider=("openai", "openai", "anthropic")[kind],
            request_type=(None, "grading", "summary")[kind],
            user_id=("7", "77", None)[kind],
            trackable_type=("Essay", "Essay", "Ticket")[kind],
            trackable_id=("3", "33", "3")[kind],
            error_type=("Timeout", None, None)[kind],
        )
        for cost, latency, stream, response_id, kind in combinations
    ]


@pytest.fixture
def stored(database_url: str) -> Iterator[tuple[CallQuery, list[Event], Engine]]:
    engine = create_engine(database_url)
    events = every_kind()
    yield query(filled(engine, events)), events, engine
    engine.dispose()


def test_each_scope_is_exactly_its_calls(stored: tuple[CallQuery, list[Event], Engine]) -> None:
    asked, events, _ = stored
    for name, (narrow, belongs) in SCOPES.items():
        mine = [each for each in events if belongs(each)]
        assert 0 < len(mine) < len(events), name
        assert narrow(asked).totals() == expected_totals(mine), name
        assert {row.event_id for row in narrow(asked).rows()} == {each.event_id for each in mine}, name


def test_scopes_add_up_and_leave_the_query_they_narrow_alone(
    stored: tuple[CallQuery, list[Event], Engine],
) -> None:
    asked, events, _ = stored
    both = asked.streaming().with_cost().for_model("gpt-5")
    mine = [each for each in events if each.stream and each.total_cost is not None and each.model == "gpt-5"]
    assert both.totals() == expected_totals(mine)
    assert asked.count() == len(events)
    assert asked.streaming().non_streaming().count() == 0, "a second filter never widens the first"


def test_a_scope_is_a_select_like_any_other(stored: tuple[CallQuery, list[Event], Engine]) -> None:
    asked, events, _ = stored
    with asked.ledger.session() as session:
        found = session.scalars(asked.with_latency().without_cost().statement).all()
    assert len(found) == sum(each.latency_ms is not None and each.total_cost is None for each in events)


def test_sums_are_made_by_the_database(stored: tuple[CallQuery, list[Event], Engine]) -> None:
    """No answer that is a sum reads as many rows as there are calls."""
    asked, events, engine = stored
    fetched: list[int] = []

    def count(connection: object, cursor: object, *rest: object) -> None:
        rows = getattr(cursor, "rowcount", -1)
        fetched.append(rows if isinstance(rows, int) else -1)

    event.listen(engine, "after_cursor_execute", count)
    asked.totals(), asked.with_cost().totals(), asked.daily(), asked.latency(), asked.cost_by("model")
    asked.cost_by_both("model", "user_id"), asked.series("day"), asked.costs_of("model", ["gpt-5"])
    event.remove(engine, "after_cursor_execute", count)
    assert fetched
    if engine.dialect.name != "sqlite":  # which does not tell how many rows a SELECT has
        assert max(fetched) < len(events) / 2


PAIRS = (
    ("provider", "model"),
    ("user_id", "tag:feature"),
    ("tag:tenant", "tag:feature"),
    ("status", "endpoint"),
)


def assert_pairs_add_up(
    asked: CallQuery, events: list[Event], pair: tuple[str, str], limit: int | None
) -> None:
    found = asked.cost_by_both(*pair, limit)
    values = {(value_of(each, pair[0]), value_of(each, pair[1])) for each in events}
    assert found.total == expected_totals(events) == asked.totals()
    assert len(found.rows) == min(len(values), limit or len(values))
    assert found.other_values == len(values) - len(found.rows)
    for row in found.rows:
        mine = [each for each in events if tuple(value_of(each, name) for name in pair) == row.values]
        expected = expected_totals(mine)
        assert {name: getattr(row, name) for name in SUMS} == {name: getattr(expected, name) for name in SUMS}
    rows = [*found.rows, *([found.other] if found.other else [])]
    assert sum(row.calls for row in rows) == len(events)
    assert sum((row.total_cost or 0 for row in rows), Decimal(0)) == (found.total.total_cost or 0)
    costs = [row.total_cost for row in found.rows]
    assert costs == sorted(costs, key=lambda cost: (cost is None, -(cost or 0)))


@settings(max_examples=40, deadline=None)
@given(events=ledgers(), pair=st.sampled_from(PAIRS), limit=st.sampled_from((None, 1, 3)))
def test_two_dimensions_add_up_to_the_total(
    events: list[Event], pair: tuple[str, str], limit: int | None
) -> None:
    with memory_ledger(events) as ledger:
        assert_pairs_add_up(query(ledger), events, pair, limit)


def test_two_dimensions_add_up_on_every_database(database_url: str) -> None:
    engine = create_engine(database_url)
    events = seeded_calls(300)
    asked = query(filled(engine, events))
    for pair in PAIRS:
        for limit in (None, 4):
            assert_pairs_add_up(asked, events, pair, limit)
    for name in DIMENSIONS:
        other = "provider" if name != "provider" else "model"
        assert asked.cost_by_both(name, other).total == asked.totals()
    engine.dispose()


@pytest.mark.parametrize("pair", [("model", "model"), ("model", "colour"), ("tag:", "model")])
def test_a_pair_that_cannot_be_asked_for_is_refused(pair: tuple[str, str]) -> None:
    with memory_ledger([]) as ledger, pytest.raises(InvalidFilterError):
        query(ledger).cost_by_both(*pair)


@settings(max_examples=30, deadline=None)
@given(events=ledgers(), zone=st.sampled_from(ZONES))
def test_days_carry_all_sums_in_any_zone(events: list[Event], zone: object) -> None:
    with memory_ledger(events) as ledger:
        days = query(ledger).daily(tz=zone)  # type: ignore[arg-type]
        for day in days:
            mine = [each for each in events if each.occurred_at.astimezone(zone).date() == day.day]  # type: ignore[arg-type]
            expected = expected_totals(mine)
            assert {name: getattr(day, name) for name in SUMS} == {
                name: getattr(expected, name) for name in SUMS
            }
        assert sum(day.calls for day in days) == len(events)
        assert [day.day for day in days] == sorted({day.day for day in days})


def test_days_of_nothing_are_none_and_days_of_a_range_have_no_gaps() -> None:
    with memory_ledger([]) as ledger:
        assert query(ledger).daily() == ()
        days = query(ledger).days(date(2026, 10, 24), date(2026, 10, 26)).daily()
        assert [(day.day.day, day.calls, day.total_cost) for day in days] == [
            (24, 0, Decimal(0)),
            (25, 0, Decimal(0)),
            (26, 0, Decimal(0)),
        ]


def test_chosen_values_cost_what_their_calls_cost() -> None:
    events = seeded_calls(200)
    with memory_ledger(events) as ledger:
        asked = query(ledger, BERLIN)
        for name, values in {
            "user_id": [None, "plain", "50%"],
            "model": ["plain", "no such"],
            "tag:feature": ["Plain", None],
        }.items():
            found = asked.costs_of(name, values)
            for value in values:
                mine = [each for each in events if value_of(each, name) == value]
                if mine:
                    assert found[value].calls == len(mine)
                    assert found[value].total_cost == expected_totals(mine).total_cost
                else:
                    assert value not in found


def test_the_dearest_calls_come_first_and_those_without_a_cost_not_at_all() -> None:
    events = seeded_calls(60)
    with memory_ledger(events) as ledger:
        top = query(ledger).top_calls(10)
    known = sorted((each.total_cost for each in events if each.total_cost is not None), reverse=True)
    assert [each.total_cost for each in top] == known[:10]
