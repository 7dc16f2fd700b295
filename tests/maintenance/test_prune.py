"""Old calls go in small steps; the sums, and the knowledge that they are gone, stay."""

from __future__ import annotations

import threading
import time
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.errors import LLMCostError
from flask_llm_cost.ledger import AlertDelivery
from flask_llm_cost.ledger import BudgetAlert
from flask_llm_cost.ledger import BudgetWindow
from flask_llm_cost.ledger import CallTag
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LineItem
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import Quarantine
from flask_llm_cost.ledger import Reservation
from flask_llm_cost.ledger import Rollup
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.maintenance import PruneResult
from flask_llm_cost.maintenance import prune
from tests.made_events import event

BEFORE = datetime(2026, 3, 14, 12, 45, tzinfo=UTC)
HOUR = BEFORE.replace(minute=0)


def _write_history(ledger: Ledger) -> list[Any]:
    """Twelve old calls, two of the hour of ``BEFORE``, three newer ones; ids do not follow the time."""
    times = [HOUR + timedelta(days=3, hours=n) for n in range(3)]
    times += [HOUR - timedelta(minutes=1 + 50 * n) for n in range(12)]
    times += [HOUR, BEFORE - timedelta(minutes=1)]
    events = [event(occurred_at=moment, tags={"a": "1", "b": "2"}, cost="0.1") for moment in times]
    for each in events:
        ledger.write([each])
    return events


def _counts(ledger: Ledger) -> list[int]:
    with ledger.session() as session:
        return [
            session.scalar(select(func.count()).select_from(model)) or 0
            for model in (LlmCall, LineItem, CallTag, Quarantine)
        ]


def test_calls_and_their_children_go_batch_by_batch(ledger: Ledger) -> None:
    _write_history(ledger)
    told: list[tuple[int, int]] = []
    result = prune(ledger, BEFORE, batch_size=5, on_progress=lambda done, all_: told.append((done, all_)))
    assert result == PruneResult(
        before=HOUR, calls=12, line_items=12, tags=24, rollups=0, quarantined=0, dry_run=False
    )
    assert told == [(5, 12), (10, 12), (12, 12)]
    assert _counts(ledger) == [5, 5, 10, 0]
    with ledger.session() as session:
        assert session.scalar(select(func.min(LlmCall.occurred_at))) == HOUR


def test_the_sums_of_pruned_calls_stay_and_are_no_drift(ledger: Ledger) -> None:
    _write_history(ledger)
    prune(ledger, BEFORE)
    with ledger.session() as session:
        assert session.scalar(select(func.sum(Rollup.total_cost)).where(Rollup.grain == "h")) == Decimal(
            "1.7"
        )
        assert rollup_drift(session) == []


def test_without_their_sums_only_the_kept_calls_are_counted(ledger: Ledger) -> None:
    _write_history(ledger)
    result = prune(ledger, BEFORE, keep_rollups=False)
    assert result.rollups == 17, "ten hours, the day they are of, that day by five columns, and a user's week"
    with ledger.session() as session:
        assert session.scalar(select(func.sum(Rollup.calls)).where(Rollup.grain == "h")) == 5
        assert rollup_drift(session) == []


@pytest.mark.parametrize("keep_rollups", [True, False])
def test_a_dry_run_tells_the_same_numbers_and_deletes_nothing(ledger: Ledger, keep_rollups: bool) -> None:
    _write_history(ledger)
    before = _counts(ledger)
    promised = prune(ledger, BEFORE, keep_rollups=keep_rollups, dry_run=True)
    assert _counts(ledger) == before
    done = prune(ledger, BEFORE, keep_rollups=keep_rollups)
    assert (promised.dry_run, done.dry_run) == (True, False)
    assert (promised.calls, promised.line_items, promised.tags) == (done.calls, done.line_items, done.tags)
    if not keep_rollups:
        assert promised.rollups == done.rollups


def test_an_interrupted_prune_goes_on_where_it_was(ledger: Ledger) -> None:
    _write_history(ledger)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune(ledger, BEFORE, batch_size=4, on_progress=interrupt)
    assert _counts(ledger)[0] == 13
    with ledger.session() as session:
        assert rollup_drift(session) == []
    assert prune(ledger, BEFORE).calls == 8
    assert prune(ledger, BEFORE).calls == 0


def test_a_replay_of_pruned_calls_goes_to_quarantine(ledger: Ledger) -> None:
    events = _write_history(ledger)
    prune(ledger, BEFORE)
    assert ledger.write([*events, event(occurred_at=BEFORE)]) == 1
    assert _counts(ledger) == [6, 6, 10, 12]
    with ledger.session() as session:
        assert set(session.scalars(select(Quarantine.reason))) == {"older than the last prune"}
        assert session.scalar(select(func.sum(Rollup.calls)).where(Rollup.grain == "h")) == 18
        assert rollup_drift(session) == []


def test_an_earlier_prune_does_not_move_the_horizon_back(ledger: Ledger) -> None:
    events = _write_history(ledger)
    prune(ledger, BEFORE)
    prune(ledger, BEFORE - timedelta(days=10))
    assert ledger.write(events) == 0


def test_writers_go_on_while_old_calls_are_deleted(ledger: Ledger) -> None:
    """Whatever a writer hands over meanwhile, old or new, is in the ledger, pruned or in the quarantine."""
    for _ in range(10):
        ledger.write([event(occurred_at=HOUR - timedelta(minutes=n), tags={"a": "1"}) for n in range(1, 51)])
    stop = threading.Event()
    handed: list[list[int]] = [[0, 0], [0, 0]]

    def write(counts: list[int]) -> None:
        while not stop.is_set():
            old = event(occurred_at=HOUR - timedelta(minutes=5), tags={"a": "1"})
            new = event(occurred_at=HOUR + timedelta(minutes=5), tags={"a": "1"})
            ledger.write([old, new], lock_wait=30)
            time.sleep(0.005)
            counts[0] += 1
            counts[1] += 1

    writers = [threading.Thread(target=write, args=(counts,)) for counts in handed]
    for writer in writers:
        writer.start()
    try:
        result = prune(ledger, BEFORE, batch_size=20)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    result_after = prune(ledger, BEFORE)

    old, new = (sum(counts[kind] for counts in handed) for kind in (0, 1))
    calls, items, tags, quarantined = _counts(ledger)
    assert new
    assert calls == items == tags == new
    assert result.calls + result_after.calls + quarantined == 500 + old
    with ledger.session() as session:
        assert rollup_drift(session) == []


def test_old_quarantined_events_go_too(ledger: Ledger) -> None:
    ledger.write_or_quarantine([event(input_tokens=-1) for _ in range(3)])
    assert prune(ledger, datetime.now(UTC) - timedelta(days=1)).quarantined == 0
    with ledger.engine.begin() as connection:
        long_ago = datetime.now(UTC) - timedelta(days=9)
        connection.execute(Quarantine.__table__.update().values(created_at=long_ago))  # type: ignore[attr-defined]
    assert prune(ledger, datetime.now(UTC) - timedelta(days=1), batch_size=2).quarantined == 3


def test_a_table_of_the_host_that_holds_on_to_calls_is_named_as_the_reason(
    app: Flask, db: SQLAlchemy, ledger: Ledger
) -> None:
    if ledger.engine.dialect.name == "sqlite":
        pytest.skip("SQLite checks foreign keys only where the host asks for it")

    class Answer(db.Model):  # type: ignore[name-defined, misc]
        id: Mapped[int] = mapped_column(primary_key=True)
        call_id: Mapped[int] = mapped_column(ForeignKey("llm_cost_calls.id"))

    _write_history(ledger)
    with app.app_context():
        db.create_all()
        db.session.add(Answer(call_id=db.session.scalars(select(func.max(LlmCall.id) - 3)).one()))
        db.session.commit()
        db.session.remove()
    with pytest.raises(LLMCostError, match="ON DELETE CASCADE"):
        prune(ledger, BEFORE)


@pytest.mark.parametrize(
    ("before", "batch_size", "problem"),
    [
        (datetime(2026, 1, 1), 1, "time zone"),  # noqa: DTZ001
        (datetime(9999, 1, 1, tzinfo=UTC), 1, "in the past"),
        (BEFORE, 0, "batch_size"),
    ],
    ids=["naive", "future", "no batch"],
)
def test_a_wrong_request_is_refused(empty: Ledger, before: datetime, batch_size: int, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        prune(empty, before, batch_size=batch_size)


@pytest.fixture
def empty() -> Ledger:
    from sqlalchemy import create_engine

    return Ledger(create_engine("sqlite://"))


def _window(ledger: Ledger, name: str, end: datetime | None, **amounts: Any) -> int:
    values = {"spent": 1, "reserved": 0, "unpriced": 0, "excess": 0, "estimated": 0, "settled": 0, **amounts}
    row = BudgetWindow(
        budget=name, definition="d", scope="", window_start=HOUR - timedelta(days=9), window_end=end,
        calls=1, blocked_calls=0, is_counted=True, **{key: Decimal(value) for key, value in values.items()},
    )  # fmt: skip
    with ledger.session() as session:
        session.add(row)
        session.commit()
        return row.id


def _alert(ledger: Ledger, name: str, end: datetime | None, reached_at: datetime) -> None:
    alert = BudgetAlert(
        budget=name, definition="d", scope="", window_key=name, threshold=Decimal(1), found_by="me",
        limit_amount=Decimal(1), spent=Decimal(1), window_start=HOUR - timedelta(days=9), window_end=end,
        reached_at=reached_at,
    )  # fmt: skip
    with ledger.session() as session:
        session.add(alert)
        session.flush()
        session.add(
            AlertDelivery(
                alert_id=alert.id, channel="log", owner="me", attempts=1, claimed_until=0, is_given_up=False
            )
        )
        session.commit()


def test_windows_that_are_over_go_with_their_alerts_and_all_others_stay(ledger: Ledger) -> None:
    """What ends at the horizon holds no call that is newer than it."""
    for_ever, live = 2**52, Decimal("0.5")
    _window(ledger, "over", HOUR)
    left = _window(ledger, "left", HOUR, reserved="0.5")
    held = _window(ledger, "held", HOUR, reserved="0.5")
    _window(ledger, "open", HOUR + timedelta(days=1))
    _window(ledger, "total", None)
    with ledger.session() as session:
        session.add(Reservation(event_id="dead", budget_id=left, amount=live, expires_at=1))
        session.add(Reservation(event_id="alive", budget_id=held, amount=live, expires_at=for_ever))
        session.commit()
    _alert(ledger, "over", HOUR, HOUR - timedelta(days=1))
    _alert(ledger, "open", HOUR + timedelta(days=1), HOUR - timedelta(days=1))
    _alert(ledger, "total", None, HOUR - timedelta(days=1))

    told = prune(ledger, BEFORE, dry_run=True)
    done = prune(ledger, BEFORE, batch_size=1)

    assert [(each.budget_windows, each.alerts) for each in (told, done)] == [(2, 1), (2, 1)]
    with ledger.session() as session:
        windows = session.scalars(select(BudgetWindow.budget).order_by(BudgetWindow.budget)).all()
        alerts = session.scalars(select(BudgetAlert.budget).order_by(BudgetAlert.budget)).all()
        assert (list(windows), list(alerts)) == (["held", "open", "total"], ["open", "total"])
        assert session.scalars(select(Reservation.event_id)).all() == ["alive"]
        assert session.scalar(select(func.count()).select_from(AlertDelivery)) == 2
