"""What budgets ask of the database for one call: statements are counted, on each kind of database."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import openai
import pytest
from sqlalchemy import event

from flask_llm_cost import Budget
from tests.budgets.conftest import BudgetApp
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.conftest import cent
from tests.budgets.conftest import reserve
from tests.budgets.test_reserve import ask
from tests.capture.test_shapes import chat
from tests.loopback import LoopbackProvider

_VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def statements_of(app: BudgetApp, work: Any) -> tuple[list[str], int]:
    """The verbs that budgets' own connections run meanwhile, and how many transactions they commit."""
    engine = app.keeper.ledger().engine
    seen: list[str] = []
    commits: list[int] = []
    event.listen(engine, "before_cursor_execute", lambda c, u, sql, *rest: seen.append(sql.split()[0]))
    event.listen(engine, "commit", lambda connection: commits.append(1))
    work()
    return [verb for verb in seen if verb in _VERBS], len(commits)


def test_without_budgets_nobody_keeps_any(make_sqlite_app: MakeBudgetApp, openai_client: Any) -> None:
    app = make_sqlite_app()
    ask(openai_client)

    assert app.runtime.budgets is None


@pytest.mark.parametrize(
    ("enforcement", "asked"), [("notify", []), ("raise", ["SELECT"]), ("block", ["SELECT"])]
)
def test_a_soft_budget_reads_at_most_one_row_set(
    make_app: MakeBudgetApp, openai_client: Any, enforcement: Any, asked: list[str]
) -> None:
    budgets = [
        Budget(name, "1", "day", enforcement=enforcement, estimate=cent, per=per)
        for name, per in (("all", None), ("each", "user"), ("tenants", "tenant"))
    ]
    app = make_app(*budgets)
    ask(openai_client)
    assert app.calls  # its windows are there

    verbs, _ = statements_of(app, lambda: ask(openai_client))

    assert verbs == asked


def test_a_reservation_is_one_short_transaction(make_app: MakeBudgetApp, openai_client: Any) -> None:
    """Its settlement is part of the one that stores the row."""
    app = make_app(reserve())
    ask(openai_client)
    assert app.calls

    verbs, commits = statements_of(app, lambda: ask(openai_client))

    assert (verbs, commits) == (["SELECT", "INSERT", "UPDATE"], 1)


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_an_event_loop_goes_on_while_a_reservation_waits_for_its_row(
    make_app: MakeBudgetApp, provider: LoopbackProvider
) -> None:
    """Somebody holds the window's row until the loop has done twenty other things."""
    app = make_app(reserve())
    assert app.keeper.store().standing  # made here, not in the loop
    ticks = 0
    waiting, released = threading.Event(), threading.Event()

    async def run() -> None:
        nonlocal ticks
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            await chat(client)  # the row is there
            engine = app.keeper.ledger().engine
            event.listen(engine, "before_cursor_execute", lambda *_: waiting.set())
            with app.db.engines[None].connect() as other:
                other.exec_driver_sql("UPDATE llm_cost_budgets SET reserved = reserved")
                task = asyncio.create_task(chat(client))
                while ticks < 20 or not waiting.is_set():
                    await asyncio.sleep(0.001)
                    ticks += 1
                assert not task.done()
                other.rollback()
                released.set()
            await task

    with app.flask.app_context():
        asyncio.run(run())

    assert released.is_set()
    assert ticks >= 20
    assert len(app.calls) == 2
