"""The questions of the dashboard are served by indexes: the database is asked how it would answer them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy import event

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import RollupChoice
from tests.analytics.ledgers import START
from tests.analytics.ledgers import UTC_ZONE
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import query
from tests.analytics.ledgers import seeded_calls

NOW = datetime(2026, 10, 28, 15, 20, tzinfo=UTC)
EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN ", "mysql": "EXPLAIN "}
#: What a plan says of a table that is read from end to end.
WHOLE = {"sqlite": "SCAN llm_cost_", "postgresql": "Seq Scan on llm_cost_", "mysql": " ALL "}

ROLLUPS = ("pk_llm_cost_rollups", "sqlite_autoindex_llm_cost_rollups_1", "PRIMARY")
TAG_VALUE = ("ix_llm_cost_rollups_tag",)
OCCURRED = ("ix_llm_cost_calls_occurred",)
MODEL = ("ix_llm_cost_calls_model",)
COST_STATUS = ("ix_llm_cost_calls_cost_status",)
TAGS = ("ix_llm_cost_tags_occurred",)
#: What a plan says where rows are put in order after they were found.
SORTED = {"sqlite": "TEMP B-TREE", "postgresql": "Sort", "mysql": "filesort"}

Ask = Callable[[CallQuery], Any]

#: What is asked, and the index whose name has to be in the plan under one of these names.
QUESTIONS: dict[str, tuple[Ask, tuple[str, ...]]] = {
    "totals": (lambda asked: asked.totals(), ROLLUPS),
    "days by model": (lambda asked: asked.series("day", by="model"), ROLLUPS),
    "models": (lambda asked: asked.cost_by("model"), ROLLUPS),
    "declared tag": (lambda asked: asked.spend_by("tag:feature"), ROLLUPS),
    "one value's models": (lambda asked: asked.tagged(feature="plain").cost_by("model"), TAG_VALUE),
    "undeclared tag": (lambda asked: asked.spend_by("tag:tenant"), TAGS),
    "page of calls": (lambda asked: asked.page(size=5), OCCURRED),
    "second page of calls": (lambda asked: asked.page(size=5, cursor=asked.page(size=5).next), OCCURRED),
    # Of a model that many calls have, a page may as well be read in the order of the calls.
    "page of a rare model's calls": (
        lambda asked: asked.where(provider="openai", model="seldom").page(size=5),
        MODEL,
    ),
    "calls that were not sent": (
        lambda asked: asked.last_days(31).where(cost_status="free", status="blocked").page(size=5),
        COST_STATUS,
    ),
}
#: Pages of calls that the index gives in their order, so that as many rows are read as are shown.
PAGES: dict[str, Ask] = {
    "first": lambda asked: asked.page(size=5),
    "second": lambda asked: asked.page(size=5, cursor=asked.page(size=5).next),
    "back to the first": lambda asked: asked.page(
        size=5, cursor=asked.page(size=5, cursor=asked.page(size=5).next).previous
    ),
    "oldest first": lambda asked: asked.page(size=5, direction="asc"),
    "of all time": lambda asked: asked.all_time().page(size=5),
}


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    engine = create_engine(database_url)
    if engine.dialect.name == "postgresql":
        # So few rows would be read from end to end, or sorted; what counts is whether there is a better way.
        event.listen(
            engine,
            "connect",
            lambda connection, record: connection.execute("SET enable_seqscan = off; SET enable_sort = off"),
        )
    calls = seeded_calls(400)
    # A year of them, so that the last days are a small part.
    long = [replace(call, occurred_at=call.occurred_at - timedelta(days=n)) for n, call in enumerate(calls)]
    ledger = filled(engine, [*calls, *(replace(call, event_id=f"old-{call.event_id[:30]}") for call in long)],
                    RollupChoice(UTC_ZONE, ("feature",)))  # fmt: skip
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in ("calls", "tags", "rollups"):
            words = "ANALYZE TABLE" if engine.dialect.name in ("mysql", "mariadb") else "ANALYZE"
            connection.exec_driver_sql(f"{words} llm_cost_{name}")
    yield ledger
    engine.dispose()


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_of_the_dashboard_is_answered_from_an_index(ledger: Ledger, name: str) -> None:
    ask, index = QUESTIONS[name]
    asked = query(ledger, UTC_ZONE, NOW).between(START.replace(hour=0, minute=0), NOW)
    plans = list(_plans(ledger, lambda: ask(asked)))
    kind = ledger.engine.dialect.name.replace("mariadb", "mysql")
    assert any(one in plan for plan in plans for one in index), plans
    assert not [plan for plan in plans if WHOLE[kind] in plan], plans


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_calls_is_read_in_the_order_of_the_index(ledger: Ledger, name: str) -> None:
    asked = query(ledger, UTC_ZONE, NOW).between(START.replace(hour=0, minute=0), NOW)
    plans = list(_plans(ledger, lambda: PAGES[name](asked), whole=True))
    kind = ledger.engine.dialect.name.replace("mariadb", "mysql")
    assert all(OCCURRED[0] in plan for plan in plans), plans
    assert not [plan for plan in plans if SORTED[kind] in plan], plans


@pytest.mark.parametrize("cursor", [False, True], ids=["first", "second"])
def test_a_page_of_a_tags_calls_is_read_in_the_order_of_the_tags_index(ledger: Ledger, cursor: bool) -> None:
    asked = query(ledger, UTC_ZONE, NOW).tagged(feature="plain")
    after = asked.page(size=5).next if cursor else None
    plans = list(_plans(ledger, lambda: asked.page(size=5, cursor=after), whole=True))
    assert all("ix_llm_cost_tags_value" in plan for plan in plans), plans
    # Calls of one moment are put in order, not all of the tag; MySQL knows no such step.
    whole = {"sqlite": "TEMP B-TREE FOR ORDER BY", "postgresql": "-> Sort"}
    sorts = whole.get(ledger.engine.dialect.name, "no such step")
    assert not [plan for plan in plans if sorts in " ".join(plan.split())], plans


def _plans(ledger: Ledger, ask: Callable[[], object], *, whole: bool = False) -> Iterator[str]:
    """How the database answers each statement of a question, in its own words.

    :param whole: with the steps that name no table.
    """
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if any(f"FROM llm_cost_{name}" in statement for name in ("calls", "tags", "rollups")):
            asked.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    ask()
    event.remove(ledger.engine, "before_cursor_execute", note)
    assert asked
    explain = EXPLAIN[ledger.engine.dialect.name.replace("mariadb", "mysql")]
    with ledger.engine.connect() as connection:
        for statement, parameters in asked:
            rows = connection.exec_driver_sql(explain + statement, parameters)
            yield "\n".join(" ".join(map(str, row)) for row in rows if whole or "llm_cost_" in str(row))
