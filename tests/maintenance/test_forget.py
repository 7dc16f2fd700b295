"""A person is taken out of the ledger; what was spent, and every sum, stays to the last digit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import MetaData
from sqlalchemy import func
from sqlalchemy import select

from flask_llm_cost.errors import InvalidFilterError
from flask_llm_cost.ledger import CallTag
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import Meta
from flask_llm_cost.ledger import Rollup
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.ledger.coverage import RollupChoice
from flask_llm_cost.maintenance import Forgetting
from flask_llm_cost.maintenance import Forgotten
from flask_llm_cost.maintenance import Person
from flask_llm_cost.maintenance import count_pointing
from flask_llm_cost.maintenance import prune
from tests.made_events import NOON
from tests.made_events import event

ANN = "user-4711"
KEY = "sk-" + "a" * 30
MAIL = ("email", "ann@example.com")


def fill(ledger: Ledger) -> None:
    """Five calls that point at Ann, each in another way, and three that do not."""
    ledger.write(
        [
            event(user_id=ANN, tags={"feature": "chat", "owner": ANN}, details={"note": "for Ann"}),
            event(user_id=ANN, trackable_type="Account", trackable_id=ANN, provider_response_id="resp_1"),
            event(user_id=ANN, trackable_type="Ticket", trackable_id="7", tags={"feature": "chat"}),
            event(user_id="clerk", tags=dict([MAIL]), details={"ticket": 7}, cost=None),
            event(trackable_type="Customer", trackable_id="99", user_id="clerk"),
            event(user_id="other", tags={"owner": ANN, "email": "bob@example.com"}, details={"kept": 1}),
            event(user_id="user-47111", trackable_type="Customer", trackable_id="991"),
            event(provider_response_id="resp_2"),
        ]
    )


def person() -> Person:
    return Person.named(ANN, (MAIL,), (("Customer", "99"),))


def forget(ledger: Ledger, whom: Person | None = None, **options: Any) -> Forgotten:
    batch_size = options.pop("batch_size", 2)
    work = Forgetting(person=whom or person(), changed_by="dpo", batch_size=batch_size)
    return work.run(ledger, **options)


def sums(ledger: Ledger) -> Sequence[Any]:
    with ledger.session() as session:
        calls = select(func.count(), func.sum(LlmCall.total_cost), func.sum(LlmCall.input_tokens))
        kept = select(Rollup.tag_key, func.sum(Rollup.calls), func.sum(Rollup.total_cost))
        kept = kept.group_by(Rollup.grain, Rollup.tag_key).order_by(Rollup.grain, Rollup.tag_key)
        return [*session.execute(calls).one(), *session.execute(kept)]


def everything_stored(ledger: Ledger) -> str:
    """Every value of every row of every table as text."""
    metadata = MetaData()
    metadata.reflect(ledger.engine)
    with ledger.engine.connect() as connection:
        return "\n".join(
            repr(tuple(row))
            for table in metadata.tables.values()
            if table.name.startswith("llm_cost_")
            for row in connection.execute(select(table))
        )


def test_what_points_at_the_person_goes_and_what_was_spent_stays(ledger: Ledger) -> None:
    fill(ledger)
    before = sums(ledger)

    done = forget(ledger)

    assert (done.calls, done.tags, done.details) == (5, 2, 2)
    assert sums(ledger) == before
    with ledger.session() as session:
        assert rollup_drift(session) == []
        calls = session.scalars(select(LlmCall).order_by(LlmCall.id)).all()
        kept = {(tag.key, tag.value) for tag in session.scalars(select(CallTag))}
    assert kept == {("feature", "chat"), ("owner", ANN), ("email", "bob@example.com")}
    by_cost = [call.total_cost for call in calls]
    assert by_cost.count(None) == 1
    assert by_cost.count(Decimal("0.000125")) == 7
    known = sorted(call.user_id for call in calls if call.user_id)
    assert known == ["clerk", "clerk", "other", "user-47111"]
    assert {(call.trackable_type, call.trackable_id) for call in calls} == {
        (None, None),
        ("Ticket", "7"),
        ("Customer", "991"),
    }
    assert [call.details for call in calls if call.details] == [{"kept": 1}]
    assert [call.provider_response_id for call in calls if call.provider_response_id] == ["resp_2"]
    assert sum(call.tags == {"feature": "chat"} for call in calls) == 2


def test_no_table_names_the_person_afterwards(ledger: Ledger) -> None:
    ledger.write([event(user_id=ANN, tags={"owner": ANN, "seat": "4"}, details={"mail": MAIL[1]})])
    ledger.write_or_quarantine([event(user_id=ANN, tags=dict([MAIL]), input_tokens=-1)])
    assert ANN in everything_stored(ledger)

    forget(ledger)

    left = everything_stored(ledger)
    assert ANN not in left
    assert MAIL[1] not in left
    assert "seat" in left


def test_a_dry_run_tells_the_same_numbers_and_changes_nothing(ledger: Ledger) -> None:
    fill(ledger)
    before = everything_stored(ledger)
    promised = forget(ledger, dry_run=True)
    assert everything_stored(ledger) == before
    assert promised.calls == count_pointing(ledger, person())
    done = forget(ledger)
    assert (promised.calls, promised.tags, promised.details) == (done.calls, done.tags, done.details)
    assert count_pointing(ledger, person()) == 0


def test_an_interrupted_run_is_simply_started_again(ledger: Ledger) -> None:
    fill(ledger)

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        forget(ledger, on_progress=interrupt)
    assert count_pointing(ledger, person()) == 3
    with ledger.session() as session:
        assert rollup_drift(session) == []
    assert forget(ledger).calls == 3
    assert forget(ledger).calls == 0


def test_sums_by_declared_tags_follow_those_of_pruned_calls_too(ledger: Ledger) -> None:
    ledger = Ledger(ledger.engine, rollups=RollupChoice(tags=("owner", "email", "feature")))
    ledger.write(
        [
            event(occurred_at=NOON + timedelta(days=day), user_id=ANN, tags={"owner": ANN, "feature": "chat"})
            for day in range(4)
        ]
    )
    ledger.write([event(tags={"email": MAIL[1], "owner": "other"}), event(tags={"feature": "search"})])
    prune(ledger, NOON + timedelta(days=1, hours=12))
    assert ANN in everything_stored(ledger)
    before = by_tag(ledger)

    forget(ledger, Person.named(ANN, (MAIL,)))

    assert ANN not in everything_stored(ledger)
    assert MAIL[1] not in everything_stored(ledger)
    after = by_tag(ledger)
    assert sum(calls for _, calls in after.values()) == sum(calls for _, calls in before.values())
    assert {pair: sums for pair, sums in before.items() if pair[1] not in (ANN, MAIL[1], "")} == {
        pair: sums for pair, sums in after.items() if pair[1]
    }
    with ledger.session() as session:
        assert rollup_drift(session) == []


def by_tag(ledger: Ledger) -> dict[tuple[str, str], tuple[Decimal, int]]:
    rollup = Rollup
    statement = (
        select(rollup.tag_key, rollup.tag_value, func.sum(rollup.total_cost), func.sum(rollup.calls))
        .where(rollup.tag_key.not_like("@%"), rollup.tag_key != "")
        .group_by(rollup.tag_key, rollup.tag_value)
    )
    with ledger.session() as session:
        return {(row[0], row[1]): (row[2], int(row[3])) for row in session.execute(statement)}


def test_an_audit_row_tells_when_and_by_whom_and_names_nobody(ledger: Ledger) -> None:
    fill(ledger)
    work = Forgetting(person=person(), changed_by="dpo", reason="request of 26 November", batch_size=2)
    done = work.run(ledger)
    with ledger.session() as session:
        rows = session.scalars(select(Meta).where(Meta.key.startswith("forget "))).all()
    assert [row.key for row in rows] == [f"forget {done.run_id}"]
    assert rows[0].value.endswith("UTC by dpo: 5 calls, 2 tags, 2 details. request of 26 November")


def test_calls_may_arrive_while_a_person_is_forgotten(ledger: Ledger) -> None:
    for _ in range(30):
        ledger.write([event(user_id=ANN, tags={"feature": "chat", "owner": ANN}) for _ in range(10)])
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            ledger.write([event(user_id="other", tags={"owner": "other"}) for _ in range(5)])
            written += 5

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = forget(ledger, batch_size=20)
    finally:
        stop.set()
        writer.join()
    assert done.calls == 300
    assert written
    with ledger.session() as session:
        assert rollup_drift(session) == []
        assert session.scalar(select(func.count()).select_from(LlmCall)) == 300 + written
        assert session.scalar(select(func.count()).where(CallTag.key == "owner")) == written


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ({}, "is needed"),
        ({"user": "  "}, "not empty"),
        ({"user": KEY}, "credential"),
        ({"tags": (("email", KEY),)}, "credential"),
        ({"trackables": (("Customer", ""),)}, "not empty"),
    ],
    ids=["nobody", "blank", "a key as the user", "a key as a tag", "an object without id"],
)
def test_nobody_in_particular_cannot_be_forgotten(named: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidFilterError, match=problem):
        Person.named(**named)
