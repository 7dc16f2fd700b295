"""Under a soft budget no call is sent before others can see what this process has recorded."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from sqlalchemy import create_engine
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import text

from flask_llm_cost import Budget
from flask_llm_cost import BudgetExceededError
from flask_llm_cost import BudgetUnavailableError
from flask_llm_cost import budget_threshold_reached
from flask_llm_cost.ledger import LlmCall
from tests.budgets.conftest import BudgetApp
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.test_failures import lock
from tests.budgets.test_reserve import ask
from tests.loopback import LoopbackProvider
from tests.made_events import event

MakeServedApp = Callable[..., BudgetApp]


@pytest.fixture
def make_served(make_app: MakeBudgetApp, tmp_path: Path) -> MakeServedApp:
    """An app as a server runs it, with a journal; on each kind of database."""
    config = {"TESTING": False, "LLM_COST_JOURNAL_DIR": str(tmp_path / "journal")}
    return lambda *budgets: make_app(*budgets, config=config)


def soft(enforcement: Any = "block", **options: Any) -> Budget:
    return Budget("soft", "1", "total", enforcement=enforcement, **options)


def stored(app: BudgetApp) -> int:
    """How many calls are in the ledger, without having any written."""
    assert app.runtime.ledger is not None
    with app.runtime.ledger.session() as session:
        return session.scalar(select(func.count()).select_from(LlmCall)) or 0


@contextmanager
def held_up(app: BudgetApp) -> Iterator[None]:
    """Somebody else keeps all who count calls waiting."""
    url = app.flask.config["SQLALCHEMY_DATABASE_URI"]
    engine = create_engine(url)
    holding = "UPDATE llm_cost_budgets SET calls = calls"
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                holding = "BEGIN IMMEDIATE"
            connection.execute(text(holding))
            yield
            connection.execute(text("ROLLBACK"))
    finally:
        engine.dispose()


@pytest.mark.parametrize("enforcement", ["block", "raise"])
def test_the_next_call_waits_until_the_one_before_can_be_seen(
    make_served: MakeServedApp, openai_client: Any, provider: LoopbackProvider, enforcement: Any
) -> None:
    app = make_served(soft(enforcement))
    ask(openai_client)
    assert app.tracker.flush(30)  # the window's row is there
    with held_up(app):
        ask(openai_client)
        thread = threading.Thread(target=ask, args=(openai_client,))
        thread.start()
        thread.join(0.15)
        sent_meanwhile = len(provider.requests)
    thread.join(30)

    assert (sent_meanwhile, len(provider.requests)) == (2, 3)
    assert stored(app) >= 2
    assert "budgets_passed_unseen" not in app.runtime.counters.snapshot()


def test_a_call_under_another_kind_of_budget_waits_for_nothing(
    make_served: MakeServedApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    app = make_served(soft("notify"))
    ask(openai_client)
    assert app.tracker.flush(30)
    with held_up(app):
        ask(openai_client)
        ask(openai_client)
        assert len(provider.requests) == 3


def test_an_event_loop_goes_on_while_calls_wait_to_be_seen(
    make_served: MakeServedApp, provider: LoopbackProvider
) -> None:
    app = make_served(soft())
    ticks = 0

    async def run() -> None:
        nonlocal ticks
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            await ask(client)
            while stored(app) < 1:
                await asyncio.sleep(0.01)
            with held_up(app):
                await ask(client)
                task = asyncio.create_task(ask(client))
                while ticks < 20:
                    await asyncio.sleep(0.005)
                    ticks += 1
                assert len(provider.requests) == 2
            await task

    with app.flask.app_context():
        asyncio.run(run())

    assert len(app.calls) == 3


def test_where_calls_are_written_by_their_request_the_next_one_has_them_written(
    make_app: MakeBudgetApp, openai_client: Any
) -> None:
    app = make_app(soft())
    with app.flask.app_context():
        ask(openai_client)
        assert stored(app) == 0
        ask(openai_client)
        assert stored(app) == 1


@pytest.mark.parametrize("mode", ["journal", "inline"])
def test_what_a_finalizer_has_left_is_seen(
    make_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider, tmp_path: Path, mode: str
) -> None:
    config = {"LLM_COST_INGESTION": mode, "LLM_COST_JOURNAL_DIR": str(tmp_path / "journal")}
    app = make_app(soft(), config=config)
    app.runtime.recorder.record(event(cost="1"), from_finalizer=True)

    with pytest.raises(BudgetExceededError, match="the limit is reached"):
        ask(openai_client)

    assert not provider.requests


def test_who_holds_sqlites_lock_himself_is_told_and_does_not_wait_for_long(
    make_sqlite_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider, tmp_path: Path
) -> None:
    config = {"TESTING": False, "LLM_COST_JOURNAL_DIR": str(tmp_path / "journal")}
    app = make_sqlite_app(soft(on_unavailable="block"), config=config)
    with app.flask.app_context():
        ask(openai_client)
        assert app.tracker.flush(30)
        lock(app)
        ask(openai_client)
        began = time.monotonic()
        with pytest.raises(BudgetUnavailableError, match=r"db\.session\.commit\(\) before the LLM call"):
            ask(openai_client)
        assert time.monotonic() - began < 3  # a fifth of a second, on a machine with nothing else to do
        app.db.session.commit()
        assert app.tracker.flush(30)
        ask(openai_client)

    assert len(provider.requests) == 3


def test_calls_pass_unseen_where_the_budget_says_so_and_are_counted(
    make_sqlite_app: MakeBudgetApp, openai_client: Any, tmp_path: Path
) -> None:
    config = {"TESTING": False, "LLM_COST_JOURNAL_DIR": str(tmp_path / "journal")}
    app = make_sqlite_app(soft(), config=config)
    with app.flask.app_context():
        ask(openai_client)
        assert app.tracker.flush(30)
        lock(app)
        for _ in range(3):
            ask(openai_client)
        assert app.runtime.counters.snapshot()["budgets_passed_unseen"] == 2
        app.db.session.commit()

    assert app.window.spent == sum((call.total_cost or Decimal(0) for call in app.calls), Decimal(0))


def test_a_call_that_passes_unseen_is_counted_against_what_this_process_knows(
    make_sqlite_app: MakeBudgetApp, openai_client: Any, tmp_path: Path
) -> None:
    config = {"TESTING": False, "LLM_COST_JOURNAL_DIR": str(tmp_path / "journal")}
    app = make_sqlite_app(Budget("soft", "0.0000001", "total", enforcement="block"), config=config)
    with app.flask.app_context():
        app.tracker.budget_status(provider="openai")  # the window's row is there
        lock(app)
        app.runtime.recorder.record(event(cost="1"))
        with pytest.raises(BudgetExceededError, match="the limit is reached"):
            ask(openai_client)
        app.db.session.commit()


def test_a_receiver_in_the_thread_that_writes_does_not_wait_for_itself(
    make_served: MakeServedApp, openai_client: Any
) -> None:
    app = make_served(soft(thresholds=("0.000001",)))
    over = threading.Event()

    def receiver(sender: object, alert: object) -> None:
        ask(openai_client)
        over.set()

    with budget_threshold_reached.connected_to(receiver, app.flask):
        ask(openai_client)
        assert over.wait(30)

    assert len(app.calls) == 2
    assert "budgets_passed_unseen" not in app.runtime.counters.snapshot()  # it would wait, and in vain
