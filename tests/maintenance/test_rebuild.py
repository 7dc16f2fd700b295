"""Rollups that went wrong are mended, and new ones get their past."""

from __future__ import annotations

import threading
import time
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import update

from flask_llm_cost.errors import LLMCostError
from flask_llm_cost.events import Event
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import Rollup
from flask_llm_cost.ledger import RollupChoice
from flask_llm_cost.ledger import RollupCoverage
from flask_llm_cost.ledger import create_ledger_engine
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.ledger.coverage import SUMMED_COLUMNS
from flask_llm_cost.maintenance import prune
from flask_llm_cost.maintenance import rebuild_rollups
from tests.made_events import NOON
from tests.made_events import event

DAY = timedelta(days=1)


def _spoil(ledger: Ledger) -> None:
    ledger.write([event(model=f"m{number % 4}", cost="0.1") for number in range(20)])
    with ledger.engine.begin() as connection:
        of_all = Rollup.tag_key == ""
        connection.execute(update(Rollup).where(of_all, Rollup.model == "m0").values(calls=7, total_cost=3))
        connection.execute(delete(Rollup).where(of_all, Rollup.model == "m1"))


def test_wrong_rollups_are_corrected_and_told(ledger: Ledger) -> None:
    _spoil(ledger)
    result = rebuild_rollups(ledger)
    assert [(drift.grain, drift.model) for drift in result.drift] == [
        ("d", "m0"), ("d", "m1"), ("h", "m0"), ("h", "m1"),
    ]  # fmt: skip
    assert result.corrected == 4
    assert rebuild_rollups(ledger).corrected == 0
    with ledger.session() as session:
        assert session.scalar(select(func.sum(Rollup.calls)).where(Rollup.grain == "h")) == 20


def test_a_dry_run_only_tells(ledger: Ledger) -> None:
    _spoil(ledger)
    asked = Ledger(ledger.engine, rollups=RollupChoice(ZoneInfo("Asia/Kolkata"), ("tenant",)))
    promised = rebuild_rollups(asked, dry_run=True)
    assert promised.corrected == 4
    by_day = ["all calls", *SUMMED_COLUMNS, "the tag 'tenant'"]
    assert [kind.words for kind in promised.begun] == [
        *by_day,
        "user_id per week",
        "the tag 'tenant' per week",
    ]
    assert {kind.zone.key for kind in promised.dropped} == {"UTC"}
    with ledger.session() as session:
        assert len(rollup_drift(session)) == 4
        assert set(session.scalars(select(RollupCoverage.zone))) == {"UTC"}


def test_calls_that_arrive_meanwhile_are_counted_once(ledger: Ledger) -> None:
    _spoil(ledger)
    with _writing(ledger):
        rebuild_rollups(ledger)
    with ledger.session() as session:
        assert rollup_drift(session) == []


class _writing:
    """Somebody else writes calls in the meantime."""

    def __init__(self, ledger: Ledger) -> None:
        self._stop = threading.Event()
        self._engine = ledger.engine
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        ledger = Ledger(create_ledger_engine(self._engine))
        while not self._stop.is_set():
            ledger.write(_calls(8))
            time.sleep(0.01)  # or nobody else ever gets SQLite's one lock
        ledger.engine.dispose()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()


def _calls(count: int) -> list[Event]:
    return [
        event(
            model=f"m{number % 4}",
            occurred_at=NOON - timedelta(hours=13 * number),
            tags={"tenant": f"t{number % 3}"} if number % 4 else {},
        )
        for number in range(count)
    ]


def _complete(ledger: Ledger) -> dict[str, datetime | None]:
    with ledger.session() as session:
        by_day = (RollupCoverage.grain == "d", RollupCoverage.tag_key.not_like("@%"))
        kept = session.scalars(select(RollupCoverage).where(*by_day))
        return {row.tag_key: row.complete_from for row in kept}


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns"])
def test_a_new_tag_and_zone_get_their_past_while_calls_arrive(ledger: Ledger, zone: str) -> None:
    ledger.write(_calls(80))
    asked = Ledger(ledger.engine, rollups=RollupChoice(ZoneInfo(zone), ("tenant",)))
    told: list[tuple[int, int]] = []
    with _writing(ledger):
        result = rebuild_rollups(asked, on_progress=lambda done, all_: told.append((done, all_)))
    assert result.filled > 0
    assert _complete(ledger) == {"": None, "tenant": None}
    assert told[-1][0] == told[-1][1] == len(told)
    with ledger.session() as session:
        assert rollup_drift(session) == []
        for grain, tag_key in (("d", ""), ("d", "tenant"), ("w", "tenant"), ("w", "@user_id")):
            kept = select(func.sum(Rollup.calls)).where(Rollup.grain == grain, Rollup.tag_key == tag_key)
            hours = select(func.sum(Rollup.calls)).where(Rollup.grain == "h")
            assert session.scalar(kept) == session.scalar(hours)
    assert rebuild_rollups(asked).filled == 0


def test_what_nobody_asks_for_any_more_is_dropped(ledger: Ledger) -> None:
    before = Ledger(ledger.engine, rollups=RollupChoice(tags=("tenant",)))
    before.write(_calls(20))
    result = rebuild_rollups(ledger)
    assert [kind.key for kind in result.dropped] == [("d", "tenant"), ("w", "tenant")]
    assert _complete(ledger) == {"": None}
    with ledger.session() as session:
        assert session.scalar(select(func.count()).where(Rollup.tag_key == "tenant")) == 0


class _Killed(Exception):
    pass


def test_a_rebuild_that_was_interrupted_goes_on_where_it_was(ledger: Ledger) -> None:
    ledger.write(_calls(80))
    asked = Ledger(ledger.engine, rollups=RollupChoice(tags=("tenant",)))

    def kill(done: int, all_: int) -> None:
        if done == 3:
            raise _Killed

    with pytest.raises(_Killed):
        rebuild_rollups(asked, on_progress=kill)
    reached = _complete(ledger)["tenant"]
    assert reached is not None
    assert NOON - 40 * DAY < reached < NOON
    with ledger.session() as session:
        assert rollup_drift(session) == [], "the part that is complete is right"
    weeks: list[int] = []
    rebuild_rollups(asked, on_progress=lambda done, all_: weeks.append(all_))
    assert _complete(ledger) == {"": None, "tenant": None}
    with ledger.session() as session:
        assert rollup_drift(session) == []


def test_two_rebuilds_at_once_count_nothing_twice(ledger: Ledger) -> None:
    """One of them may have to give up, with a sentence; the sums are right in any case."""
    ledger.write(_calls(60))
    failed: list[BaseException] = []

    def rebuild() -> None:
        asked = Ledger(create_ledger_engine(ledger.engine), rollups=RollupChoice(tags=("tenant",)))
        try:
            rebuild_rollups(asked)
        except LLMCostError as error:
            failed.append(error)
        asked.engine.dispose()

    threads = [threading.Thread(target=rebuild) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failed) < 2
    assert all("Another rebuild is running" in str(error) for error in failed)
    assert _complete(ledger) == {"": None, "tenant": None}
    with ledger.session() as session:
        assert rollup_drift(session) == []


def test_days_from_before_a_prune_are_left_as_they_are(ledger: Ledger) -> None:
    ledger.write(_calls(60))
    horizon = (NOON - 10 * DAY).replace(hour=5)
    prune(ledger, horizon)
    asked = Ledger(ledger.engine, rollups=RollupChoice(tags=("tenant",)))
    result = rebuild_rollups(asked)
    assert (result.corrected, _complete(ledger)["tenant"]) == (0, None)
    with ledger.session() as session:
        assert rollup_drift(session) == []
        first = session.scalar(select(func.min(Rollup.bucket)).where(Rollup.tag_key == "tenant"))
    assert first is not None
    assert first.astimezone(UTC) >= horizon.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
