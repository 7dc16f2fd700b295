"""Several questions in one session: each sum is read once, and the answers are what they are alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy import event

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.analytics import at_once
from flask_llm_cost.analytics import sheet
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import RollupChoice
from tests.analytics.ledgers import START
from tests.analytics.ledgers import UTC_ZONE
from tests.analytics.ledgers import call
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query

DAYS = 12
DAY = timedelta(days=1)
KEPT = RollupChoice(UTC_ZONE, ("feature",))
#: Models and features that differ from day to day.
EVENTS = [
    call(START + number * DAY, model=f"model {number % 3}", tags={"feature": f"feature {number % 4}"})
    for number in range(DAYS)
    for _ in range(number % 2 + 1)
]

Ask = Callable[[CallQuery], Any]
QUESTIONS: tuple[Ask, ...] = (
    lambda asked: asked.totals(),
    lambda asked: asked.cost_by("model", 2),
    lambda asked: asked.spend_by("model", 1),
    lambda asked: asked.spend_of("model", ["model 1", "none"]),
    lambda asked: asked.series("day", by="model", limit=2),
    lambda asked: asked.series("week"),
    lambda asked: asked.daily(),
    lambda asked: asked.distinct("model"),
    lambda asked: asked.models_used(),
    lambda asked: asked.reads_more_than(5),
)
OF_TAGS: tuple[Ask, ...] = (
    lambda asked: asked.spend_by("tag:feature", 2),
    lambda asked: asked.spend_by("tag:feature"),
    lambda asked: asked.tag_keys(),
)


def days(asked: CallQuery, first: int, last: int) -> CallQuery:
    return asked.days((START + first * DAY).date(), (START + last * DAY).date())


def reads_of_sums(ledger: Ledger) -> list[str]:
    """What is asked of the rollups from now on."""
    found: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "FROM llm_cost_rollups" in statement and "max(" not in statement:
            found.append(statement)

    event.listen(ledger.engine, "before_cursor_execute", note)
    return found


@pytest.mark.parametrize("most", [5_000, 4], ids=["few sums", "too many sums"])
def test_answers_are_the_same_as_each_by_itself(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Whether the period before, one behind or one far away is asked for next."""
    monkeypatch.setattr(sheet, "MOST_ROWS", most)
    monkeypatch.setattr(sheet, "MOST_VALUES", most)
    with memory_ledger(EVENTS, KEPT) as ledger:
        alone = query(ledger, UTC_ZONE)
        spans = ((4, 6), (2, 3), (7, 7), (10, 11), (0, 11))
        expected = [ask(days(alone, *span)) for span in spans for ask in (*QUESTIONS, *OF_TAGS)]
        with at_once(alone) as (page,):
            assert [ask(days(page, *span)) for span in spans for ask in (*QUESTIONS, *OF_TAGS)] == expected


def test_what_was_read_is_not_read_again() -> None:
    with memory_ledger(EVENTS, KEPT) as ledger:
        reads = reads_of_sums(ledger)
        with at_once(query(ledger, UTC_ZONE)) as (page,):
            for ask in QUESTIONS:
                ask(days(page, 4, 9))
                ask(days(page, 5, 7))
            assert len(reads) == 1
            days(page, 2, 9).totals()
            assert len(reads) == 2
            for ask in OF_TAGS:
                ask(days(page, 4, 9))
            assert len(reads) == 3


def test_filters_do_not_mix() -> None:
    with memory_ledger(EVENTS, KEPT) as ledger, at_once(days(query(ledger, UTC_ZONE), 0, DAYS)) as (page,):
        narrow = [page.where(model=f"model {number}") for number in range(3)]
        tagged = [page.tagged(feature=f"feature {number}") for number in range(4)]
        assert sum(each.count() for each in narrow) == page.count() == len(EVENTS)
        assert sum(each.count() for each in tagged) == len(EVENTS)


def test_every_database_gives_the_same_answers(database_url: str) -> None:
    engine = create_engine(database_url)
    try:
        alone = days(query(filled(engine, EVENTS, KEPT), UTC_ZONE), 2, 9)
        with at_once(alone) as (page,):
            for ask in (*QUESTIONS, *OF_TAGS):
                assert ask(page) == ask(alone)
    finally:
        engine.dispose()
