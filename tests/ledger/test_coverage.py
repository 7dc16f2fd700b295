"""Which daily sums are kept is told by the database, and they are exact from the day it names."""

from __future__ import annotations

import threading
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy import select

from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LedgerUnavailable
from flask_llm_cost.ledger import Rollup
from flask_llm_cost.ledger import RollupChoice
from flask_llm_cost.ledger import RollupCoverage
from flask_llm_cost.ledger import create_ledger_engine
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.ledger.coverage import WEEK
from flask_llm_cost.ledger.coverage import read_kinds
from flask_llm_cost.ledger.days import day_around
from flask_llm_cost.ledger.days import day_start
from flask_llm_cost.ledger.days import week_around
from flask_llm_cost.ledger.drift import windows
from tests.made_events import NOON
from tests.made_events import event

KOLKATA = ZoneInfo("Asia/Kolkata")
DAY = timedelta(days=1)


def _another(ledger: Ledger, zone: str, *tags: str) -> Ledger:
    """Another process on the same database, with a configuration of its own."""
    return Ledger(ledger.engine, rollups=RollupChoice(ZoneInfo(zone), tags))


def _coverage(ledger: Ledger) -> dict[str, tuple[str, datetime | None]]:
    """The days of all calls and of tags; those by column and the weeks are beside them always."""
    by_day = (RollupCoverage.grain == "d", RollupCoverage.tag_key.not_like("@%"))
    kept = select(RollupCoverage).where(*by_day)
    with ledger.session() as session:
        return {row.tag_key: (row.zone, row.complete_from) for row in session.scalars(kept)}


def _days(ledger: Ledger, tag_key: str) -> dict[tuple[datetime, str], int]:
    of_kind = (Rollup.grain == "d", Rollup.tag_key == tag_key)
    with ledger.session() as session:
        rows = session.execute(select(Rollup.bucket, Rollup.tag_value, Rollup.calls).where(*of_kind)).all()
        return {(row[0], row[1]): row[2] for row in rows}


def test_a_new_ledger_keeps_its_days_since_ever(ledger: Ledger) -> None:
    india = _another(ledger, "Asia/Kolkata", "tenant")
    # 18:30 UTC is midnight in India.
    evening = datetime(2026, 3, 14, 18, 30, tzinfo=UTC)
    india.write(
        [
            event(occurred_at=evening - timedelta(microseconds=1), tags={"tenant": "acme"}),
            event(occurred_at=evening, tags={"tenant": "acme", "feature": "chat"}),
            event(occurred_at=evening + DAY / 2),
        ]
    )
    assert _coverage(india) == {"": ("Asia/Kolkata", None), "tenant": ("Asia/Kolkata", None)}
    assert _days(india, "") == {(evening - DAY, ""): 1, (evening, ""): 2}
    assert _days(india, "tenant") == {(evening - DAY, "acme"): 1, (evening, "acme"): 1, (evening, ""): 1}
    assert _days(india, "feature") == {}


def test_a_tag_named_later_is_complete_from_the_day_after_the_latest_call(ledger: Ledger) -> None:
    ledger.write([event(tags={"tenant": "acme"}), event(occurred_at=NOON + 3 * DAY)])
    later = _another(ledger, "UTC", "tenant")
    later.write([event(occurred_at=NOON + 9 * DAY, tags={"tenant": "acme"}), event(occurred_at=NOON)])
    midnight = NOON.replace(hour=0, minute=0, second=0, microsecond=0)
    assert _coverage(later)["tenant"] == ("UTC", midnight + 4 * DAY)
    with later.session() as session:
        assert rollup_drift(session) == []


def test_weeks_that_the_clocks_make_longer_or_shorter_are_compared_one_by_one(ledger: Ledger) -> None:
    new_york = ZoneInfo("America/New_York")
    asked = _another(ledger, new_york.key)
    asked.write(
        [event(occurred_at=datetime(2026, 1, 1, tzinfo=UTC) + number * 7 * DAY) for number in range(52)]
    )
    with ledger.session() as session:
        connection = session.connection()
        (kind,) = (kind for kind in read_kinds(connection) if kind.grain == WEEK)
        found = windows(connection, kind)
        assert [len(window.edges()) for window in found] == [2] * 52
        assert all(one.end == other.start for one, other in pairwise(found))
        assert rollup_drift(session) == []


def test_a_worker_with_an_older_configuration_keeps_what_the_others_keep(ledger: Ledger) -> None:
    _another(ledger, "UTC", "tenant").write([event(tags={"tenant": "acme"})])
    ledger.write([event(tags={"tenant": "acme"})])
    assert list(_days(ledger, "tenant").values()) == [2]
    with ledger.session() as session:
        assert rollup_drift(session) == []


def test_days_stay_in_their_zone_whatever_one_worker_is_configured_to(ledger: Ledger) -> None:
    ledger.write([event()])
    _another(ledger, "Asia/Kolkata").write([event()])
    assert _coverage(ledger) == {"": ("UTC", None)}
    assert list(_days(ledger, "").values()) == [2]


def test_rows_of_an_earlier_time_are_never_taken_for_complete(ledger: Ledger) -> None:
    """A rebuild that was killed between dropping a tag and deleting its rows leaves such."""
    tenants = _another(ledger, "UTC", "tenant")
    tenants.write([event(tags={"tenant": "acme"})])
    with ledger.engine.begin() as connection:
        connection.execute(delete(RollupCoverage).where(RollupCoverage.tag_key == "tenant"))
    _another(ledger, "UTC", "tenant").write([event(tags={"tenant": "acme"})])
    assert set(_coverage(ledger)) == {""}
    assert list(_days(ledger, "tenant").values()) == [1], "nobody counts in what is not kept"


def test_whoever_begins_to_keep_a_tag_waits_for_those_who_do_not_know_of_it(ledger: Ledger) -> None:
    """Calls are in the sums although their transaction began before the tag was named."""
    ledger.write([event()])
    stop = threading.Event()

    def keep_writing() -> None:
        busy = Ledger(create_ledger_engine(ledger.engine))
        while not stop.is_set():
            busy.write([event(occurred_at=NOON + 5 * DAY, tags={"tenant": "acme"}) for _ in range(20)])
        busy.engine.dispose()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for number in range(10):
            tag = "tenant" if number == 9 else f"t{number}"
            _another(ledger, "UTC", tag).write([event(occurred_at=NOON, tags={"tenant": "acme"})])
    finally:
        stop.set()
        writer.join()
    assert len(_coverage(ledger)) == 11
    ledger.write([event(occurred_at=NOON + 6 * DAY, tags={"tenant": "acme"})])
    with ledger.session() as session:
        assert rollup_drift(session) == []


def test_a_zone_that_this_machine_does_not_know_keeps_calls_waiting(ledger: Ledger) -> None:
    ledger.write([event()])
    with ledger.engine.begin() as connection:
        connection.execute(RollupCoverage.__table__.update().values(zone="Mars/Olympus_Mons"))  # type: ignore[attr-defined]
    with pytest.raises(LedgerUnavailable, match=r"Mars/Olympus_Mons.*pip install tzdata"):
        ledger.write([event()])


zones = st.sampled_from(
    [
        ZoneInfo(name)
        for name in (
            "UTC", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Beirut",
            "America/Sao_Paulo", "Africa/Cairo", "Asia/Kathmandu",
        )
    ]
)  # fmt: skip
instants = st.integers(0, 2 * 10**15).map(
    lambda at: datetime(1971, 1, 2, tzinfo=UTC) + timedelta(microseconds=at)
)


@given(zones, instants)
@example(ZoneInfo("America/St_Johns"), datetime(2010, 11, 7, 2, 31, tzinfo=UTC))
@example(ZoneInfo("America/St_Johns"), datetime(2010, 11, 7, 2, 30, 30, tzinfo=UTC))
@example(ZoneInfo("Pacific/Apia"), datetime(2011, 12, 30, 10, tzinfo=UTC))
def test_every_instant_is_in_exactly_one_day(zone: ZoneInfo, moment: datetime) -> None:
    """Also where midnight is skipped or happens twice, and where a whole date was left out."""
    start, end = day_around(moment, zone)
    assert start <= moment < end
    assert end - start <= timedelta(hours=25)
    assert day_around(start, zone) == day_around(end - timedelta(microseconds=1), zone) == (start, end)
    assert day_around(end, zone)[0] == end


@given(zones, instants)
@example(ZoneInfo("Pacific/Apia"), datetime(2011, 12, 30, 10, tzinfo=UTC))
@example(ZoneInfo("America/St_Johns"), datetime(2010, 11, 8, 3, 29, tzinfo=UTC))
def test_every_instant_is_in_exactly_one_week_of_whole_days(zone: ZoneInfo, moment: datetime) -> None:
    start, end = week_around(moment, zone)
    day_begins, day_ends = day_around(moment, zone)
    assert start <= day_begins <= moment < day_ends <= end
    assert start.astimezone(zone).weekday() == 0
    assert week_around(start, zone) == week_around(end - timedelta(microseconds=1), zone) == (start, end)
    assert week_around(end, zone)[0] == end


def test_a_date_that_was_left_out_has_no_day() -> None:
    apia = ZoneInfo("Pacific/Apia")
    assert day_start(date(2011, 12, 30), apia) == day_start(date(2011, 12, 31), apia)
