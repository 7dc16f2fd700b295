"""Rollups equal the calls they sum, to the last digit."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import update

from flask_llm_cost.events import Event
from flask_llm_cost.ledger import CallTag
from flask_llm_cost.ledger import Drift
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LineItem
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import Rollup
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.ledger.rollups import TOKEN_SUMS
from flask_llm_cost.ledger.rollups import hour_of
from flask_llm_cost.ledger.rollups import rollup_dim
from tests.made_events import NOON
from tests.made_events import event

EPOCH = datetime(2024, 2, 28, 23, 0, tzinfo=UTC)
counts = st.none() | st.integers(0, 10**12)
costs = st.none() | st.decimals(0, 999_999, places=12, allow_nan=False)
names = st.sampled_from(["gpt", "GPT", "gpt-5", "é", "e", "😀", "a" * 191])


@st.composite
def made(draw: st.DrawFn) -> Event:
    cost = draw(costs)
    status = "unknown" if cost is None else draw(st.sampled_from(["complete", "partial", "free"]))
    return event(
        cost=None,
        total_cost=cost,
        cost_status=status,
        provider=draw(names)[:64],
        model=draw(names),
        status=draw(st.sampled_from(["ok", "error", "aborted", "blocked"])),
        occurred_at=EPOCH + draw(st.timedeltas(timedelta(0), timedelta(hours=5))),
        latency_ms=draw(counts),
        **{name: draw(counts) for name in TOKEN_SUMS},
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(made(), max_size=12), max_size=4), deletions=st.sets(st.integers(0, 40)))
def test_rollups_equal_the_ledger_to_the_last_digit(
    ledger: Ledger, batches: list[list[Event]], deletions: set[int]
) -> None:
    for batch in batches:
        ledger.write(batch)
        ledger.write(batch[:3])
    written = [each for batch in batches for each in batch]
    doomed = [each.event_id for number, each in enumerate(written) if number in deletions]
    ledger.delete_calls(doomed, keep_rollups=False)
    expected = sum((each.total_cost or 0 for each in written if each.event_id not in doomed), Decimal(0))
    with ledger.session() as session:
        assert rollup_drift(session) == []
        assert (
            session.scalar(select(func.sum(Rollup.total_cost)).where(Rollup.grain == "h")) or 0
        ) == expected
    _clear(ledger)


def _clear(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        for model in (LineItem, CallTag, LlmCall, Rollup):
            connection.execute(delete(model))


def test_drift_names_the_hour_the_model_and_both_sums(ledger: Ledger) -> None:
    ledger.write([event(cost="0.5"), event(cost="0.25"), event(provider="anthropic", model="claude")])
    with ledger.engine.begin() as connection:
        wrong = {"total_cost": Rollup.total_cost + Decimal("0.000000000001"), "calls": 3}
        connection.execute(update(Rollup).where(Rollup.provider == "openai").values(wrong))
        connection.execute(delete(Rollup).where(Rollup.provider == "anthropic"))
    with ledger.session() as session:
        lost, changed = (drift for drift in rollup_drift(session) if drift.grain == "h")
    assert (lost.provider, lost.differences["calls"]) == ("anthropic", (1, 0))
    assert changed == Drift(
        bucket=hour_of(NOON),
        provider="openai",
        model="gpt-5-mini",
        differences={"calls": (2, 3), "total_cost": (Decimal("0.75"), Decimal("0.750000000001"))},
    )


def test_a_rollup_of_calls_that_are_not_there_is_drift(ledger: Ledger, app: Flask, db: SQLAlchemy) -> None:
    ledger.write([event()])
    with ledger.engine.begin() as connection:
        connection.execute(delete(LineItem))
        connection.execute(delete(LlmCall))
    with ledger.session() as session:
        found = [drift.differences["calls"] for drift in rollup_drift(session)]
    assert found == [(0, 1)] * 8, "an hour, a day, that day by each of five columns, and a user's week"


def test_drift_is_found_far_from_the_other_calls(ledger: Ledger) -> None:
    """Years are gone through window by window."""
    far = NOON + timedelta(days=800)
    ledger.write([event(), event(occurred_at=far)])
    with ledger.engine.begin() as connection:
        connection.execute(delete(Rollup).where(Rollup.bucket == hour_of(far)))
    with ledger.session() as session:
        assert [drift.bucket for drift in rollup_drift(session)] == [hour_of(far)]


def test_an_empty_ledger_has_no_drift(ledger: Ledger) -> None:
    with ledger.session() as session:
        assert rollup_drift(session) == []


def test_hours_are_utc_hours() -> None:
    in_india = datetime.fromisoformat("2026-03-14T18:15:00+05:30")
    assert hour_of(in_india) == datetime(2026, 3, 14, 12, tzinfo=UTC)


@given(*[st.text(max_size=5)] * 6)
def test_different_names_have_different_dimensions(a: str, b: str, c: str, d: str, e: str, f: str) -> None:
    assert len(rollup_dim(a, b, c)) == 16
    assert (rollup_dim(a, b, c) == rollup_dim(d, e, f)) == ((a, b, c) == (d, e, f))


def test_neighbouring_names_cannot_flow_into_each_other() -> None:
    alike = [("ab", "c"), ("a", "bc"), ("a", "b", "c"), ("abc", "")]
    assert len({rollup_dim(*names) for names in alike}) == 4
