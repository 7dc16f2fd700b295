"""The rollups are asked only where they hold the very same answer as the calls, and then they do."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.analytics.measures import labelled
from flask_llm_cost.analytics.measures import totals_of
from flask_llm_cost.analytics.planner import Read
from flask_llm_cost.analytics.planner import plan
from flask_llm_cost.analytics.planner import read_calls
from flask_llm_cost.analytics.planner import read_rollups
from flask_llm_cost.analytics.values import Totals
from flask_llm_cost.events import Event
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger.meta import PRUNED_BEFORE_KEY
from flask_llm_cost.ledger.meta import write_meta
from tests.analytics.ledgers import ODD
from tests.analytics.ledgers import START
from tests.analytics.ledgers import UTC_ZONE
from tests.analytics.ledgers import call
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import ledgers
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query
from tests.analytics.ledgers import seeded_calls

FIRST_HOUR = START.replace(minute=0)
HOUR = timedelta(hours=1)


def read_totals(session: Session, asked: CallQuery, read: Read) -> Totals:
    source = read(asked.filters)
    return totals_of(session.execute(source.select(*labelled(source.sums))).mappings())


def source_of(ledger: Ledger, asked: CallQuery, by: str | None = None, *edges: datetime) -> str:
    with ledger.session() as session:
        return plan(session, asked.filters, edges, by)(asked.filters).name


@settings(max_examples=40, deadline=None)
@given(
    events=ledgers(),
    hours=st.one_of(st.none(), st.tuples(st.integers(0, 60), st.integers(1, 60))),
    provider=st.sampled_from((None, "openai", "nobody")),
    model=st.sampled_from((None, *ODD[:3])),
    deleted=st.integers(0, 3),
)
def test_rollups_and_calls_give_the_same_totals(
    events: list[Event],
    hours: tuple[int, int] | None,
    provider: str | None,
    model: str | None,
    deleted: int,
) -> None:
    with memory_ledger(events) as ledger:
        ledger.delete_calls([event.event_id for event in events[:deleted]], keep_rollups=False)
        asked = query(ledger)
        if hours is not None:
            asked = asked.between(FIRST_HOUR + hours[0] * HOUR, FIRST_HOUR + sum(hours) * HOUR)
        for name, value in (("provider", provider), ("model", model)):
            asked = asked if value is None else asked.where(**{name: value})
        assert source_of(ledger, asked) == "rollups"
        with ledger.session() as session:
            assert read_totals(session, asked, read_rollups) == read_totals(session, asked, read_calls)
        # The same split is read from the rollups here and, with a condition that all calls meet, from calls.
        for by in ("provider", "model"):
            assert asked.cost_by(by, 1) == asked.where(service="shop").cost_by(by, 1)
            aligned = asked.series("hour", tz=UTC_ZONE, by=by)
            assert aligned == asked.where(service="shop").series("hour", tz=UTC_ZONE, by=by)


def test_rollups_and_calls_give_the_same_totals_on_every_database(database_url: str) -> None:
    engine = create_engine(database_url)
    try:
        ledger = filled(engine, seeded_calls(200))
        everything = query(ledger)
        for asked in (everything, everything.where(model="50%"), everything.days(START.date(), START.date())):
            assert source_of(ledger, asked) == "rollups"
            with ledger.session() as session:
                assert read_totals(session, asked, read_rollups) == read_totals(session, asked, read_calls)
            assert asked.cost_by("model", 2) == asked.where(service="shop").cost_by("model", 2)
            assert asked.series("day", by="model") == asked.where(service="shop").series("day", by="model")
    finally:
        engine.dispose()


def test_a_cost_of_zero_comes_before_unknown_costs_from_the_rollups_too() -> None:
    events = [call(model="free of charge", total_cost=Decimal(0)), *(call(model="unknown") for _ in range(3))]
    with memory_ledger(events) as ledger:
        everything = query(ledger)
        assert source_of(ledger, everything, "model") == "rollups"
        for asked in (everything, everything.where(service="shop")):
            found = asked.cost_by("model").rows
            assert [(row.value, row.total_cost) for row in found] == [
                ("free of charge", Decimal(0)),
                ("unknown", None),
            ]


def test_any_filter_split_or_edge_that_a_rollup_does_not_know_needs_the_calls() -> None:
    with memory_ledger([call()]) as ledger:
        everything = query(ledger)
        for asked in (
            everything.where(status="ok"),
            everything.where(provider="openai", user_id=None),
            everything.tagged(feature="chat"),
            everything.tagged(feature=None),
            everything.between(FIRST_HOUR, FIRST_HOUR + timedelta(minutes=30)),
            everything.between(FIRST_HOUR + timedelta(microseconds=1), FIRST_HOUR + HOUR),
            everything.in_zone("Asia/Kolkata").today(),
        ):
            assert source_of(ledger, asked) == "calls"
        assert source_of(ledger, everything.today()) == "rollups"
        assert source_of(ledger, everything, "model") == "rollups"
        assert source_of(ledger, everything, "user_id") == "calls"
        assert source_of(ledger, everything, "tag:feature") == "calls"
        assert source_of(ledger, everything, None, FIRST_HOUR) == "rollups"
        assert source_of(ledger, everything, None, FIRST_HOUR, START) == "calls"


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns"])
def test_days_that_begin_at_half_past_a_utc_hour_are_still_exact(zone: str) -> None:
    local = ZoneInfo(zone)
    midnight = datetime(2026, 10, 25, tzinfo=local)
    events = [call(midnight - timedelta(microseconds=1)), call(midnight), call(midnight + 12 * HOUR)]
    with memory_ledger(events) as ledger:
        asked = query(ledger, zone=local)
        assert asked.days(midnight.date(), midnight.date()).count() == 2
        assert (
            asked.days(midnight.date() - timedelta(days=1), midnight.date() - timedelta(days=1)).count() == 1
        )


def test_rollups_are_not_asked_about_times_before_a_prune() -> None:
    old, new = call(START), call(START + 30 * HOUR)
    with memory_ledger([old, new]) as ledger:
        horizon = FIRST_HOUR + 24 * HOUR
        ledger.delete_calls([old.event_id], keep_rollups=True)
        ledger.transaction(lambda c: write_meta(c, PRUNED_BEFORE_KEY, horizon.isoformat()))
        everything = query(ledger)
        assert source_of(ledger, everything) == "calls"
        assert everything.totals().calls == everything.cost_by("tag:feature").total.calls == 1
        since = everything.between(horizon, horizon + 24 * HOUR)
        assert source_of(ledger, since) == "rollups"
        assert since.count() == 1
        assert source_of(ledger, everything.between(horizon - HOUR, horizon + HOUR)) == "calls"
        assert horizon.tzinfo is UTC
