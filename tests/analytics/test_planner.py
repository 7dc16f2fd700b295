"""The rollups are asked only where they hold the very same answer as the calls, and then they do."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy import event as sql_event
from sqlalchemy.orm import Session

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.analytics import at_once
from flask_llm_cost.analytics.dimensions import dimension
from flask_llm_cost.analytics.measures import labelled
from flask_llm_cost.analytics.measures import totals_of
from flask_llm_cost.analytics.planner import Read
from flask_llm_cost.analytics.planner import plan
from flask_llm_cost.analytics.planner import read_calls
from flask_llm_cost.analytics.values import Totals
from flask_llm_cost.events import Event
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import RollupChoice
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.ledger.meta import PRUNED_BEFORE_KEY
from flask_llm_cost.ledger.meta import write_meta
from flask_llm_cost.maintenance import rebuild_rollups
from tests.analytics.ledgers import ODD
from tests.analytics.ledgers import START
from tests.analytics.ledgers import UTC_ZONE
from tests.analytics.ledgers import ZONES
from tests.analytics.ledgers import call
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import ledgers
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import moments
from tests.analytics.ledgers import query
from tests.analytics.ledgers import seeded_calls

FIRST_HOUR = START.replace(minute=0)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KOLKATA = ZoneInfo("Asia/Kolkata")

Narrow = Callable[[CallQuery], CallQuery]

#: What a dashboard filters by; no rollups are kept by tenant, nor by user and provider.
FILTERS: dict[str, Narrow] = {
    "nothing": lambda asked: asked,
    "provider": lambda asked: asked.where(provider="openai"),
    "provider and model": lambda asked: asked.where(provider="anthropic", model=ODD[1]),
    "a model nobody has": lambda asked: asked.where(model="none"),
    "feature": lambda asked: asked.tagged(feature=ODD[0]),
    "no feature": lambda asked: asked.tagged(feature=None),
    "feature and model": lambda asked: asked.tagged(feature=ODD[3]).where(model=ODD[0]),
    "two features": lambda asked: asked.tagged(feature=ODD[0]).tagged(feature=ODD[1]),
    "tenant": lambda asked: asked.tagged(tenant=ODD[2]),
    "user": lambda asked: asked.where(user_id=ODD[1]),
    "no user": lambda asked: asked.where(user_id=None),
    "user and provider": lambda asked: asked.where(user_id=ODD[1], provider="openai"),
    "failed": lambda asked: asked.where(failed=True, model=ODD[0]),
    "not failed": lambda asked: asked.where(failed=False),
}
SPLITS = ("provider", "model", "tag:feature", "tag:tenant", "status", "user_id", "endpoint", "operation")


def read_totals(session: Session, asked: CallQuery, read: Read) -> Totals:
    source = read(asked.filters)
    return totals_of(session.execute(source.select(*labelled(source.sums))).mappings())


def parts_of(ledger: Ledger, asked: CallQuery, by: str | None = None, *edges: datetime) -> list[str]:
    """From what the parts of the range are read: calls, hours or days."""
    with ledger.session() as session:
        planned = plan(session, asked.filters, edges, None if by is None else dimension(by))
        return [part.kind.grain if part.kind else "calls" for part in planned.parts(asked.filters)]


def from_calls(asked: CallQuery) -> CallQuery:
    """The same question with a condition that all calls meet and no rollup knows."""
    return asked.where(service="shop")


@st.composite
def ranges(draw: st.DrawFn) -> Narrow:
    """All time, whole days, whole hours, or from any instant to any other."""
    way = draw(st.sampled_from(("all", "days", "hours", "instants")))
    if way == "all":
        return lambda asked: asked
    first, last = sorted((draw(moments()), draw(moments())))
    if way == "days":
        return lambda asked: asked.days(
            first.astimezone(asked.zone).date(), last.astimezone(asked.zone).date()
        )
    if way == "hours":
        first, last = first.replace(minute=0, second=0, microsecond=0), last.replace(minute=0, second=0)
    return lambda asked: asked.between(first, last + HOUR)


@settings(max_examples=40, deadline=None)
@given(
    events=ledgers(),
    kept_in=st.sampled_from(ZONES),
    asked_in=st.sampled_from(ZONES),
    narrow=st.sampled_from(sorted(FILTERS)),
    by=st.sampled_from(SPLITS),
    bucket=st.sampled_from(("hour", "day", "week", "month")),
    span=ranges(),
    before=st.integers(0, 25),
    rebuilt=st.booleans(),
    deleted=st.integers(0, 3),
)
def test_rollups_and_calls_give_the_same_answers(
    events: list[Event],
    kept_in: ZoneInfo,
    asked_in: ZoneInfo,
    narrow: str,
    by: str,
    bucket: str,
    span: Narrow,
    before: int,
    rebuilt: bool,
    deleted: int,
) -> None:
    """Whatever was there before the sums were kept, in whatever zone, and whether their past is filled in."""
    with memory_ledger(events[:before], RollupChoice(UTC_ZONE)) as old:
        ledger = Ledger(old.engine, rollups=RollupChoice(kept_in, ("feature",)))
        ledger.write(events[before:])
        if rebuilt:
            rebuild_rollups(ledger)
        ledger.delete_calls([event.event_id for event in events[:deleted]], keep_rollups=False)
        asked = span(FILTERS[narrow](query(ledger, asked_in)))
        with ledger.session() as session:
            assert rollup_drift(session) == []
            planned = plan(session, asked.filters)
            assert read_totals(session, asked, planned) == read_totals(session, asked, read_calls)
        raw = from_calls(asked)
        assert asked.cost_by(by, 1) == raw.cost_by(by, 1)
        assert asked.spend_by(by) == raw.spend_by(by)
        assert asked.series(bucket, by=by, limit=2) == raw.series(bucket, by=by, limit=2)  # type: ignore[arg-type]
        assert asked.distinct(by) == raw.distinct(by)
        assert asked.value_count(by) == raw.value_count(by) == len(raw.distinct(by))
        with at_once(asked, query(ledger, asked_in)) as (page, everything):
            # What is read for one question the next one is answered from.
            assert everything.totals() == from_calls(everything).totals()
            assert [page.cost_by(by, limit) for limit in (1, 20)] == [raw.cost_by(by, 1), raw.cost_by(by, 20)]
            assert [page.spend_by(by, limit) for limit in (1, 20)] == [
                raw.spend_by(by, 1),
                raw.spend_by(by, 20),
            ]
            assert page.series(bucket, by=by, limit=2) == raw.series(bucket, by=by, limit=2)  # type: ignore[arg-type]
            assert page.daily() == raw.daily()
            assert page.distinct(by) == raw.distinct(by)
            assert page.models_used() == raw.models_used()
            assert page.totals() == raw.totals()
            assert page.spend_of(by, [None, *ODD]) == raw.spend_of(by, [None, *ODD])


@pytest.mark.parametrize("zone", [UTC_ZONE, KOLKATA], ids=["utc", "kolkata"])
def test_rollups_and_calls_give_the_same_answers_on_every_database(database_url: str, zone: ZoneInfo) -> None:
    engine = create_engine(database_url)
    try:
        ledger = filled(engine, seeded_calls(300), RollupChoice(zone, ("feature",)))
        asked_in = query(ledger, zone)
        ragged = asked_in.between(START + timedelta(minutes=17), START + timedelta(days=3, minutes=44))
        for span in (asked_in, asked_in.days(START.date(), START.date()), ragged):
            for narrow in FILTERS.values():
                asked = narrow(span)
                raw = from_calls(asked)
                assert asked.totals() == raw.totals()
                for by in SPLITS:
                    assert asked.cost_by(by, 2) == raw.cost_by(by, 2)
                assert asked.series("day", by="model") == raw.series("day", by="model")
        assert parts_of(ledger, ragged.tagged(feature=None)) == ["calls", "d", "calls"]
    finally:
        engine.dispose()


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_weeks_with_days_at_their_ends_give_the_same_answers_as_the_calls(zone: ZoneInfo) -> None:
    """On whatever weekday a range begins and ends, over a change of the clocks, and with ragged ends."""
    rng = random.Random(11)
    events = [
        call(
            START + timedelta(minutes=rng.randrange(-20 * 24 * 60, 30 * 24 * 60)),
            model=f"model {rng.randrange(3)}",
            user_id=rng.choice((None, *ODD)),
            total_cost=rng.choice((None, Decimal(rng.randrange(9)))),
            status=rng.choice(("ok", "error")),
            input_tokens=rng.choice((None, 5)),
            tags={"feature": rng.choice(ODD)} if rng.randrange(4) else {},
        )
        for _ in range(400)
    ]
    with memory_ledger(events, RollupChoice(zone, ("feature",))) as ledger:
        everything = query(ledger, zone)
        first = START.date() - timedelta(days=10)
        spans = [everything.days(first + n * DAY, first + n * DAY + timedelta(days=16 + n)) for n in range(8)]
        spans.append(everything.between(START - timedelta(days=9, minutes=7), START + timedelta(days=20)))
        with ledger.session() as session:
            assert rollup_drift(session) == []
        for asked in spans:
            raw = from_calls(asked)
            for by in ("user_id", "tag:feature"):
                assert "w" in parts_of(ledger, asked, by)
                for limit in (1, 3, 20):
                    assert asked.cost_by(by, limit) == raw.cost_by(by, limit)
                    assert asked.spend_by(by, limit) == raw.spend_by(by, limit)
                assert asked.value_count(by) == raw.value_count(by)
                assert asked.spend_of(by, [None, ODD[0]]) == raw.spend_of(by, [None, ODD[0]])
            assert asked.cross("model", "tag:feature", 2, 3) == raw.cross("model", "tag:feature", 2, 3)


def test_a_range_is_read_from_weeks_and_from_days_at_its_ends() -> None:
    with memory_ledger([call()], RollupChoice(UTC_ZONE, ("feature",))) as ledger:
        saturday = date(2026, 10, 3)
        asked = query(ledger, UTC_ZONE).days(saturday, saturday + timedelta(days=29))
        for by in ("user_id", "tag:feature"):
            assert parts_of(ledger, asked, by) == ["d", "w"]
            assert parts_of(ledger, asked.days(saturday, saturday + 31 * DAY), by) == ["d", "w", "d"]
            assert parts_of(ledger, asked.days(saturday, saturday + 7 * DAY), by) == ["d"]
        assert parts_of(ledger, asked, "endpoint") == ["d"]
        assert parts_of(ledger, asked.where(user_id="7")) == ["d"]
        assert parts_of(ledger, asked.tagged(feature="chat"), "model") == ["d"]


def test_a_cost_of_zero_comes_before_unknown_costs_from_the_rollups_too() -> None:
    events = [call(model="free of charge", total_cost=Decimal(0)), *(call(model="unknown") for _ in range(3))]
    with memory_ledger(events) as ledger:
        everything = query(ledger)
        assert parts_of(ledger, everything, "model") == ["d"]
        for asked in (everything, from_calls(everything)):
            found = asked.cost_by("model").rows
            assert [(row.value, row.total_cost) for row in found] == [
                ("free of charge", Decimal(0)),
                ("unknown", None),
            ]


def test_any_filter_or_split_that_a_rollup_does_not_know_needs_the_calls() -> None:
    with memory_ledger([call()], RollupChoice(UTC_ZONE, ("feature",))) as ledger:
        everything = query(ledger)
        for asked in (
            everything.where(stream=True),
            everything.where(status="ok", user_id=None),
            everything.where(provider="openai", user_id=None),
            everything.tagged(tenant="acme"),
            everything.tagged(feature="chat", tenant="acme"),
            everything.tagged(feature="chat").where(user_id=None),
        ):
            assert parts_of(ledger, asked) == ["calls"]
        assert parts_of(ledger, everything, "service") == ["calls"]
        assert parts_of(ledger, everything.where(provider="openai"), "user_id") == ["calls"]
        assert parts_of(ledger, everything.where(user_id=None), "model") == ["calls"]
        assert parts_of(ledger, everything.where(user_id=None)) == ["d"]
        assert parts_of(ledger, everything, "user_id") == ["w"]
        assert parts_of(ledger, everything.where(user_id=None), "user_id") == ["w"]
        assert parts_of(ledger, everything.where(provider="openai"), "endpoint") == ["d"]
        assert parts_of(ledger, everything.where(failed=True), "model") == ["d"]
        assert parts_of(ledger, everything, "tag:tenant") == ["calls"]
        assert parts_of(ledger, everything.tagged(feature="chat"), "tag:tenant") == ["calls"]
        assert parts_of(ledger, everything, "tag:feature") == ["w"]
        assert parts_of(ledger, everything.tagged(feature=None), "model") == ["d"]
        assert parts_of(ledger, everything.where(provider="openai"), "model") == ["d"]


def test_only_the_ragged_ends_of_a_range_are_read_from_the_calls() -> None:
    with memory_ledger([call()], RollupChoice(UTC_ZONE, ("feature",))) as ledger:
        everything = query(ledger)
        midnight = datetime(2026, 10, 24, tzinfo=UTC)
        for start, end, all_calls, tagged in (
            (midnight, midnight + 48 * HOUR, ["d"], ["d"]),
            (midnight + HOUR, midnight + 48 * HOUR, ["h", "d"], ["calls", "d"]),
            (midnight - HOUR, midnight + 30 * HOUR, ["h", "d", "h"], ["calls", "d", "calls"]),
            (midnight + HOUR, midnight + 9 * HOUR, ["h"], ["calls"]),
            (midnight + HOUR / 2, midnight + HOUR, ["calls"], ["calls"]),
            (
                midnight - HOUR * 1.5,
                midnight + 24.5 * HOUR,
                ["calls", "h", "d", "calls"],
                ["calls", "d", "calls"],
            ),
        ):
            asked = everything.between(start, end)
            assert parts_of(ledger, asked) == all_calls
            assert parts_of(ledger, asked.tagged(feature="chat")) == tagged


def test_buckets_that_begin_within_an_hour_need_days_of_their_zone_or_the_calls() -> None:
    with memory_ledger([call()], RollupChoice(KOLKATA)) as ledger:
        asked = query(ledger, KOLKATA).last_days(3)
        start, end = asked.range or (START, START)
        cut = start + timedelta(days=1)
        assert parts_of(ledger, asked, None, start, cut, end) == ["d"]
        assert parts_of(ledger, asked, None, start, cut + HOUR / 2, end) == ["calls", "h", "calls"]
        assert parts_of(ledger, asked, None, start, cut + HOUR / 4, end) == ["calls"]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns"])
@pytest.mark.parametrize("kept_in", ["UTC", "local"])
def test_days_that_begin_at_half_past_a_utc_hour_are_exact(zone: str, kept_in: str) -> None:
    local = ZoneInfo(zone)
    midnight = datetime(2026, 10, 25, tzinfo=local)
    events = [call(midnight - timedelta(microseconds=1)), call(midnight), call(midnight + 12 * HOUR)]
    with memory_ledger(events, RollupChoice(UTC_ZONE if kept_in == "UTC" else local)) as ledger:
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
        assert parts_of(ledger, everything) == ["calls", "h", "d"]
        assert everything.totals().calls == everything.cost_by("tag:feature").total.calls == 1
        since = everything.between(horizon, horizon + 24 * HOUR)
        assert parts_of(ledger, since) == ["h"]
        assert since.count() == 1
        assert parts_of(ledger, everything.between(horizon - HOUR, horizon + HOUR)) == ["calls", "h"]


def test_sums_that_are_dropped_while_a_question_is_asked_are_still_read(database_url: str) -> None:
    """What is planned and what is read are one snapshot, or a rebuild in between would lose calls."""
    engine = create_engine(database_url)
    try:
        ledger = filled(engine, [call(tags={"feature": "chat"})], RollupChoice(UTC_ZONE, ("feature",)))
        if engine.dialect.name == "sqlite":
            pytest.skip("SQLite has one writer, and a reader keeps it out or sees nothing of it")
        other = Ledger(create_engine(database_url), rollups=RollupChoice(KOLKATA))
        rebuilt: list[object] = []

        def rebuild_meanwhile(*arguments: object) -> None:
            statement = str(arguments[2])
            if "FROM llm_cost_rollups" in statement and not rebuilt:
                rebuilt.append(statement)
                rebuild_rollups(other)

        sql_event.listen(engine, "before_cursor_execute", rebuild_meanwhile)
        assert query(ledger).tagged(feature="chat").count() == 1
        assert rebuilt
        with other.session() as session:
            assert rollup_drift(session) == []
        other.engine.dispose()
    finally:
        engine.dispose()
