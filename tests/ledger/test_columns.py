"""Sums by user, endpoint, request type, operation and status: kept beside those of tags, and trusted only
where every call is in them, whichever version has stored it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete
from sqlalchemy import select

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.analytics.dimensions import dimension
from flask_llm_cost.analytics.planner import plan
from flask_llm_cost.events import Event
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import Rollup
from flask_llm_cost.ledger import RollupCoverage
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.ledger.coverage import COLUMN_MARK
from flask_llm_cost.ledger.rollups import SUMS
from flask_llm_cost.ledger.rollups import rollup_row
from flask_llm_cost.ledger.rows import ROLLUPS
from flask_llm_cost.ledger.statements import insert_adding
from flask_llm_cost.maintenance import rebuild_rollups
from tests.made_events import NOON
from tests.made_events import event

DAY = timedelta(days=1)
MIDNIGHT = NOON.replace(hour=0, minute=0, second=0, microsecond=0)


def _kept(ledger: Ledger, column: str) -> dict[tuple[str, str], int]:
    """Model and value to calls."""
    of_column = Rollup.tag_key == COLUMN_MARK + column
    with ledger.session() as session:
        rows = session.execute(select(Rollup.model, Rollup.tag_value, Rollup.calls).where(of_column))
        return {(row[0], row[1]): row[2] for row in rows}


def _asked(ledger: Ledger) -> CallQuery:
    return CallQuery(ledger, ZoneInfo("UTC"), lambda: None, lambda: NOON + 9 * DAY)


def _read_from(asked: CallQuery, column: str) -> list[str | None]:
    """The kinds of sums that the parts of the range are read from; ``None``: the calls."""
    with asked.ledger.session() as session:
        parts = plan(session, asked.filters, by=dimension(column)).parts(asked.filters)
    return [part.kind.tag_key if part.kind else None for part in parts]


def _users(ledger: Ledger) -> dict[str | None, int]:
    return {row.value: row.calls for row in _asked(ledger).cost_by("user_id").rows}


def test_users_are_summed_alone_and_the_others_by_model(ledger: Ledger) -> None:
    ledger.write(
        [
            event(model="a", user_id="ann", endpoint="desk.ask", request_type="chat"),
            event(model="b", user_id="ann", endpoint="desk.ask", status="error"),
            event(model="b", operation="embeddings"),
        ]
    )
    assert _kept(ledger, "user_id") == {("", "ann"): 2, ("", ""): 1}
    assert _kept(ledger, "endpoint") == {("a", "desk.ask"): 1, ("b", "desk.ask"): 1, ("b", ""): 1}
    assert _kept(ledger, "request_type") == {("a", "chat"): 1, ("b", ""): 2}
    assert _kept(ledger, "operation") == {("a", "chat"): 1, ("b", "chat"): 1, ("b", "embeddings"): 1}
    assert _kept(ledger, "status") == {("a", "ok"): 1, ("b", "error"): 1, ("b", "ok"): 1}


def test_an_empty_user_is_no_user(ledger: Ledger) -> None:
    ledger.write([event(user_id=" "), event(user_id=None)])
    assert _users(ledger) == {None: 2}
    assert _kept(ledger, "user_id") == {("", ""): 2}


def test_a_ledger_of_before_reads_earlier_days_from_the_calls_until_a_rebuild(ledger: Ledger) -> None:
    ledger.write([event(user_id="ann"), event(user_id="bob", occurred_at=NOON - DAY)])
    by_column = COLUMN_MARK + "%"
    with ledger.engine.begin() as connection:  # as a version that did not keep them has left it
        connection.execute(delete(Rollup).where(Rollup.tag_key.like(by_column)))
        connection.execute(delete(RollupCoverage).where(RollupCoverage.tag_key.like(by_column)))
    newer = Ledger(ledger.engine)
    newer.write([event(user_id="ann", occurred_at=NOON + DAY)])
    with ledger.session() as session:
        complete = select(RollupCoverage.complete_from).where(RollupCoverage.tag_key == "@user_id")
        assert session.scalar(complete) == MIDNIGHT + DAY
    assert _read_from(_asked(newer), "user_id") == [None, "@user_id", "@user_id"], "calls, days, weeks"
    assert not _asked(newer).is_summed("user_id")
    assert _users(newer) == {"ann": 2, "bob": 1}
    rebuild_rollups(newer)
    assert _asked(newer).is_summed("user_id")
    assert _users(newer) == {"ann": 2, "bob": 1}


def _counted_by_an_older_version(ledger: Ledger, stored: Event) -> None:
    """Add a call to the sums that stand in the coverage as a version does that knows tags only: those by
    column are of a tag to it that the call has not.
    """
    sums: dict[str, Any] = dict.fromkeys(SUMS, 0)
    sums |= {"calls": 1, "priced_calls": 1, "total_cost": Decimal("0.000125")}
    sums |= {"input_tokens": 100, "output_tokens": 50}
    with ledger.engine.begin() as connection:
        connection.execute(
            delete(Rollup).where(Rollup.tag_key.like(COLUMN_MARK + "%"), Rollup.bucket >= MIDNIGHT)
        )
        keys = connection.execute(select(RollupCoverage.tag_key)).scalars().all()
        rows = [
            rollup_row(("d", key, MIDNIGHT, stored.provider, stored.model, ""), list(sums.values()))
            for key in sorted(keys)
            if key.startswith(COLUMN_MARK)
        ]
        connection.execute(insert_adding(ROLLUPS, SUMS, connection.dialect.name), rows)


def test_days_on_which_an_older_version_stored_calls_are_read_from_the_calls_until_a_rebuild(
    ledger: Ledger,
) -> None:
    stored = event(user_id="ann", endpoint="desk.ask")
    ledger.write([event(user_id="bob", occurred_at=NOON - DAY), stored])
    _counted_by_an_older_version(ledger, stored)
    later = event(user_id="ann", occurred_at=NOON + DAY)
    ledger.write([later])

    today = _asked(ledger).between(MIDNIGHT, MIDNIGHT + DAY)
    assert _read_from(today, "user_id") == _read_from(today, "endpoint") == [None]
    assert _users(ledger) == {"ann": 2, "bob": 1}
    assert [row.value for row in today.cost_by("endpoint").rows] == ["desk.ask"]
    tomorrow = _asked(ledger).between(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY)
    assert _read_from(tomorrow, "user_id") == ["@user_id"]

    rebuild_rollups(ledger)
    assert _read_from(today, "user_id") == ["@user_id"]
    assert _users(ledger) == {"ann": 2, "bob": 1}
    with ledger.session() as session:
        assert rollup_drift(session) == []


def test_a_rebuild_does_not_forget_what_an_older_version_stores_meanwhile(ledger: Ledger) -> None:
    stored = event(user_id="ann")
    ledger.write([stored])
    _counted_by_an_older_version(ledger, stored)
    rebuild_rollups(ledger, on_progress=lambda done, of: _store_once_more(ledger, done))
    with ledger.session() as session:
        left = session.scalars(select(Rollup.calls).where(Rollup.tag_key == "@uncounted")).all()
    assert left == [2], "the day is not complete: the next rebuild looks at it again"


def _store_once_more(ledger: Ledger, done: int) -> None:
    if done == 1:
        with ledger.engine.begin() as connection:
            connection.execute(
                Rollup.__table__.update().where(Rollup.tag_key == "@uncounted").values(calls=2)  # type: ignore[attr-defined]
            )
