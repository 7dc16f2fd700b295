"""Queries are immutable, narrow and never widen, know their zone, and join to the host's own tables."""

from __future__ import annotations

import dataclasses
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Column
from sqlalchemy import Integer
from sqlalchemy import MetaData
from sqlalchemy import String
from sqlalchemy import Table
from sqlalchemy import create_engine
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import Session
from sqlalchemy.orm import mapped_column

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.errors import InvalidFilterError
from flask_llm_cost.events import PricedItem
from flask_llm_cost.ledger import LlmCall
from tests.analytics.ledgers import BERLIN
from tests.analytics.ledgers import START
from tests.analytics.ledgers import call
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query

#: A Thursday, ten minutes past midnight in Berlin, still Wednesday in UTC.
NIGHT = datetime(2026, 11, 25, 23, 10, tzinfo=UTC)


def berlin(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("preset", "start", "end"),
    [
        ("today", berlin(11, 26), berlin(11, 27)),
        ("this_week", berlin(11, 23), berlin(11, 27)),
        ("this_month", berlin(11, 1), berlin(11, 27)),
        ("last_month", berlin(10, 1), berlin(11, 1)),
    ],
)
def test_presets_are_whole_days_of_the_zone(preset: str, start: datetime, end: datetime) -> None:
    with memory_ledger([]) as ledger:
        assert getattr(query(ledger, now=NIGHT), preset)().range == (start, end)


def test_ranges_by_days_include_the_last_one() -> None:
    with memory_ledger([]) as ledger:
        asked = query(ledger, now=NIGHT)
        assert asked.last_days(30).range == (berlin(10, 28), berlin(11, 27))
        assert asked.days(date(2026, 11, 1), date(2026, 11, 22)).range == (berlin(11, 1), berlin(11, 23))
        assert asked.this_month().previous_period().range == (berlin(10, 6), berlin(11, 1))
        assert asked.all_time().range is None
        assert asked.today().all_time().range is None


def test_the_month_before_january_is_december() -> None:
    with memory_ledger([]) as ledger:
        asked = query(ledger, now=datetime(2027, 1, 3, tzinfo=UTC))
        assert asked.last_month().range == (
            datetime(2026, 12, 1, tzinfo=BERLIN),
            datetime(2027, 1, 1, tzinfo=BERLIN),
        )
        leap = query(ledger, now=datetime(2028, 3, 31, 12, tzinfo=UTC)).last_month().range
        assert leap == (datetime(2028, 2, 1, tzinfo=BERLIN), datetime(2028, 3, 1, tzinfo=BERLIN))


def test_the_start_is_in_and_the_end_is_out() -> None:
    tick = timedelta(microseconds=1)
    events = [
        call(berlin(11, 1) - tick),
        call(berlin(11, 1)),
        call(berlin(12, 1) - tick),
        call(berlin(12, 1)),
    ]
    with memory_ledger(events) as ledger:
        assert query(ledger, now=berlin(12, 5)).last_month().count() == 2
        assert query(ledger).between(berlin(11, 1), berlin(11, 1) + tick).count() == 1


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2026, 1, 1), datetime(2026, 2, 1)),  # noqa: DTZ001
        (berlin(1, 1), datetime(2026, 2, 1)),  # noqa: DTZ001
        (berlin(2, 1), berlin(1, 1)),
        (berlin(1, 1), berlin(1, 1)),
        # The same wall time, an hour apart and in the wrong order.
        (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1), datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)),
        (date(2026, 1, 1), date(2026, 2, 1)),
        ("2026-01-01", "2026-02-01"),
        (datetime.min.replace(tzinfo=UTC), berlin(1, 1)),
        (berlin(1, 1), datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_a_range_without_zone_order_or_sense_is_refused(start: Any, end: Any) -> None:
    with memory_ledger([]) as ledger, pytest.raises(InvalidFilterError, match="range"):
        query(ledger).between(start, end)


@pytest.mark.parametrize("count", [0, -1, 1.5, "7", True, 10**9])
def test_an_impossible_number_of_days_is_refused(count: Any) -> None:
    with memory_ledger([]) as ledger, pytest.raises(InvalidFilterError, match="days"):
        query(ledger).last_days(count)


def test_all_time_has_no_period_before_it() -> None:
    with memory_ledger([]) as ledger, pytest.raises(InvalidFilterError, match="choose a range"):
        query(ledger).previous_period()


def test_the_zone_can_be_changed_and_keeps_the_instants() -> None:
    with memory_ledger([]) as ledger:
        asked = query(ledger, now=NIGHT).today()
        moved = asked.in_zone("Asia/Kolkata")
        assert moved.range == asked.range
        assert moved.zone == ZoneInfo("Asia/Kolkata")
        assert moved.range is not None
        assert moved.range[0].tzinfo is moved.zone
        with pytest.raises(InvalidFilterError, match="tz"):
            asked.in_zone("Mars/Olympus")


def test_a_query_never_changes() -> None:
    with memory_ledger([call(), call(provider="anthropic")]) as ledger:
        everything = query(ledger)
        narrow = everything.where(provider="openai")
        assert (everything.count(), narrow.count()) == (2, 1)
        with pytest.raises(dataclasses.FrozenInstanceError):
            everything.zone = BERLIN  # type: ignore[misc]


def test_a_second_condition_on_the_same_thing_narrows_and_never_widens() -> None:
    events = [call(user_id="1", tags={"tenant": "a"}), call(user_id="2", tags={"tenant": "b"})]
    with memory_ledger(events) as ledger:
        scoped = query(ledger).where(user_id="1").tagged(tenant="a")
        assert scoped.where(user_id="2").count() == 0
        assert scoped.for_user(2).count() == 0
        assert scoped.tagged(tenant="b").count() == 0
        assert scoped.tagged(tenant=None).count() == 0
        assert scoped.where(user_id="1").tagged(tenant="a").count() == 1
        assert scoped.distinct("user_id") == ("1",)
        assert scoped.distinct("tag:tenant") == ("a",)
        assert [key.values for key in scoped.tag_keys()] == [1]


def test_every_column_can_be_asked_for_its_values_and_for_none() -> None:
    told = {
        "provider": "anthropic",
        "model": "claude-9",
        "requested_model": "claude-latest",
        "operation": "messages",
        "status": "aborted",
        "stream": True,
        "user_id": "7",
        "request_type": "job",
        "endpoint": "chat.ask",
        "cost_status": "partial",
        "pricing_mode": "batch",
        "service": "billing",
        "usage_source": "stream",
    }
    with memory_ledger([call(**told), call()]) as ledger:
        asked = query(ledger)
        for name, value in told.items():
            assert asked.where(**{name: value}).count() == 1, name  # type: ignore[arg-type]
        for name in ("requested_model", "user_id", "request_type", "endpoint", "pricing_mode"):
            assert asked.where(**{name: None}).count() == 1, name
        assert asked.where(**told).count() == 1  # type: ignore[arg-type]
        assert asked.where(user_id=7).count() == 1
        assert asked.where(stream=False).count() == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("modle", "x", "Did you mean 'model'"),
        ("id", 1, "accepted"),
        ("total_cost", 1, "accepted"),
        ("status", "failed", "accepted: ok, error, aborted, blocked"),
        ("operation", "chats", "Did you mean 'chat'"),
        ("cost_status", "unknwon", "Did you mean 'unknown'"),
        ("stream", "yes", "True or False"),
        ("stream", None, "True or False"),
        ("model", True, "a text or None"),
        ("model", 1.5, "a text or None"),
        ("model", ["a"], "a text or None"),
        ("model", "a\x00b", "NUL"),
        ("model", "\ud800", "surrogates"),
    ],
)
def test_an_unknown_filter_or_value_is_refused(name: str, value: Any, message: str) -> None:
    with memory_ledger([]) as ledger, pytest.raises(InvalidFilterError, match=message):
        query(ledger).where(**{name: value})


class Plan(Enum):
    FREE = "free"
    PRO = "pro"


def test_tag_values_are_found_in_the_form_in_which_they_were_stored() -> None:
    events = [
        call(
            tags={"tenant": "42", "plan": "pro", "beta": "true", "city": "Zürich", "case": "openai.chat-001"}
        ),
        call(tags={"tenant": "43"}),
    ]
    with memory_ledger(events) as ledger:
        asked = query(ledger)
        assert asked.tagged(tenant=42, plan=Plan.PRO, beta=True).count() == 1
        assert asked.tagged({"city": " Zu\u0308rich "}).count() == 1
        assert asked.tagged(case="openai.chat-001").count() == 1
        assert asked.tagged(tenant="4_").count() == asked.tagged(tenant="%").count() == 0
        assert asked.tagged(plan=None).count() == asked.tagged(plan="").count() == 1
        assert asked.tagged(plan=None, tenant=43).count() == 1


@pytest.mark.parametrize("key", ["", "a b", "a'b", "a%", "k" * 65, "a:b", "a\n"])
def test_a_tag_key_that_cannot_be_is_refused(key: str) -> None:
    with memory_ledger([]) as ledger, pytest.raises(InvalidFilterError, match="tag"):
        query(ledger).tagged({key: "x"})


def test_a_value_that_is_no_tag_value_is_refused() -> None:
    with memory_ledger([]) as ledger, pytest.raises(InvalidFilterError, match="feature"):
        query(ledger).tagged(feature=object())


class HostBase(DeclarativeBase):
    pass


class Person(HostBase):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)


class Visitor:
    """Like a login extension's user that nobody has signed in as."""

    def get_id(self) -> None:
        return None


def test_users_and_trackables_are_given_as_ids_or_objects() -> None:
    events = [call(user_id="7", trackable_type="Person", trackable_id="7"), call(user_id="8"), call()]
    with memory_ledger(events) as ledger:
        HostBase.metadata.create_all(ledger.engine)
        with Session(ledger.engine) as session:
            person = Person(id=7)
            session.add(person)
            session.commit()
        asked = query(ledger)
        for user in (person, 7, "7"):
            assert asked.for_user(user).count() == 1
        assert asked.for_trackable(person).count() == asked.for_trackable(("Person", 7)).count() == 1
        assert asked.for_trackable(("Person", "8")).count() == 0
        for nobody in (None, Visitor()):
            with pytest.raises(InvalidFilterError, match="without a user"):
                asked.for_user(nobody)
        for nothing in (None, "Person", ("Person",), Visitor()):
            with pytest.raises(InvalidFilterError, match="trackable"):
                asked.for_trackable(nothing)


def test_unknown_pricing_is_what_totals_count_as_unknown() -> None:
    events = [
        call(),
        call(cost_status="free"),
        call(total_cost=Decimal(1)),
        call(cost_status="partial", total_cost=Decimal(1)),
    ]
    with memory_ledger(events) as ledger:
        asked = query(ledger)
        assert asked.unknown_pricing().count() == asked.totals().unknown_cost_calls == 1


def test_the_statement_joins_to_the_hosts_own_table(database_url: str) -> None:
    people = Table(
        "host_people", MetaData(), Column("id", String(36), primary_key=True), Column("team", String(20))
    )
    engine = create_engine(database_url)
    try:
        events = [
            call(trackable_id=str(n % 3), total_cost=Decimal(n).scaleb(-12), tags={"f": "x"})
            for n in range(9)
        ]
        ledger = filled(engine, [*events, call(START - timedelta(days=9), trackable_id="0")])
        people.create(engine)
        asked = query(ledger).between(START, START + timedelta(days=1)).tagged(f="x")
        with Session(engine) as session:
            session.execute(insert(people), [{"id": "0", "team": "red"}, {"id": "1", "team": "blue"}])
            joined = asked.statement.join(people, people.c.id == LlmCall.trackable_id)
            assert len(session.scalars(joined).all()) == 6
            by_team = joined.with_only_columns(people.c.team, func.sum(LlmCall.total_cost))
            costs = {team: cost for team, cost in session.execute(by_team.group_by(people.c.team))}
            assert costs == {
                "red": Decimal("9E-12"),
                "blue": Decimal("12E-12"),
            }
            inside = asked.statement.subquery()
            from_people = select(people.c.team).where(people.c.id.in_(select(inside.c.trackable_id)))
            assert set(session.scalars(from_people)) == {"red", "blue"}
    finally:
        engine.dispose()


def test_one_call_comes_with_its_line_items_and_tags_and_only_within_the_filter() -> None:
    item = PricedItem(
        component="input",
        quantity=Decimal(3),
        unit="token",
        rate=Decimal(1),
        rate_basis="per_million",
        cost=Decimal(1),
        cost_status="complete",
    )
    events = [call(tags={"b": "2", "a": "1"}, line_items=(item,), total_cost=Decimal(1), user_id="7")]
    with memory_ledger(events) as ledger:
        asked = query(ledger)
        (listed,) = asked.page().calls
        found = asked.get(listed.id)
        assert found is not None
        assert [line.cost for line in found.line_items] == [Decimal(1)]
        assert [(tag.key, tag.value) for tag in found.call_tags] == [("a", "1"), ("b", "2")]
        assert asked.where(user_id="8").get(listed.id) is None
        assert asked.get(0) is asked.get(10**30) is asked.get(listed.id + 1) is None


def test_calls_that_still_wait_are_stored_before_an_answer() -> None:
    with memory_ledger([]) as ledger:
        waiting = [call()]

        def store() -> None:
            ledger.write(waiting)
            waiting.clear()

        asked = query(ledger, before_read=store)
        assert asked.count() == 1
        assert asked.count() == 1


def test_an_error_names_the_field() -> None:
    with memory_ledger([]) as ledger:
        asked: CallQuery = query(ledger)
        with pytest.raises(InvalidFilterError) as caught:
            asked.where(stream="yes")
        assert caught.value.field == "stream"
