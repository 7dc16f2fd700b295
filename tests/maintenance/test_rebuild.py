"""Rollups that went wrong are mended."""

from __future__ import annotations

import threading

from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import update

from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import Rollup
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.maintenance import rebuild_rollups
from tests.made_events import event


def _spoil(ledger: Ledger) -> None:
    ledger.write([event(model=f"m{number % 4}", cost="0.1") for number in range(20)])
    with ledger.engine.begin() as connection:
        connection.execute(update(Rollup).where(Rollup.model == "m0").values(calls=7, total_cost=3))
        connection.execute(delete(Rollup).where(Rollup.model == "m1"))


def test_wrong_rollups_are_corrected_and_told(ledger: Ledger) -> None:
    _spoil(ledger)
    assert [drift.model for drift in rebuild_rollups(ledger)] == ["m0", "m1"]
    assert list(rebuild_rollups(ledger)) == []
    with ledger.session() as session:
        assert session.scalar(select(func.sum(Rollup.calls))) == 20


def test_a_dry_run_only_tells(ledger: Ledger) -> None:
    _spoil(ledger)
    assert len(rebuild_rollups(ledger, dry_run=True)) == 2
    with ledger.session() as session:
        assert len(rollup_drift(session)) == 2


def test_calls_that_arrive_meanwhile_are_counted_once(ledger: Ledger) -> None:
    _spoil(ledger)
    stop = threading.Event()

    def keep_writing() -> None:
        while not stop.is_set():
            ledger.write([event(model=f"m{number % 4}") for number in range(8)])

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        rebuild_rollups(ledger)
    finally:
        stop.set()
        writer.join()
    with ledger.session() as session:
        assert rollup_drift(session) == []
