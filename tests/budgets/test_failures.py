"""What happens while a budget cannot be checked."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy import text

from flask_llm_cost import Budget
from flask_llm_cost import BudgetUnavailableError
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.conftest import reserve
from tests.budgets.test_reserve import ask
from tests.faults.proxy import proxied
from tests.loopback import LoopbackProvider
from tests.loopback import closed_port

DEFAULT_PORTS = {"postgresql": 5432, "mariadb": 3306}


def away() -> str:
    return f"postgresql+psycopg://root@127.0.0.1:{closed_port()}/harbour"


def lock(app: Any) -> None:
    """The app has written something and not committed it."""
    app.db.session.execute(text("CREATE TABLE note (id INTEGER)"))
    app.db.session.execute(text("INSERT INTO note VALUES (1)"))


def test_a_hard_budget_blocks_while_sqlite_is_locked_and_says_what_to_do(
    make_sqlite_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    app = make_sqlite_app(reserve())
    with app.flask.app_context():
        lock(app)
        with pytest.raises(
            BudgetUnavailableError, match=r"db\.session\.commit\(\) before the LLM call"
        ) as raised:
            ask(openai_client)
        app.db.session.commit()
        ask(openai_client)

    assert raised.value.budget == "hard"
    assert app.runtime.counters.snapshot()["budgets_unavailable"] == 1
    assert sorted(call.status for call in app.calls) == ["blocked", "ok"]
    assert len(provider.requests) == 1


def test_the_wait_for_sqlites_lock_is_short(make_sqlite_app: MakeBudgetApp) -> None:
    app = make_sqlite_app(reserve())

    with app.keeper.ledger().engine.connect() as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 200


def test_a_hard_budget_can_let_calls_pass_meanwhile(
    make_sqlite_app: MakeBudgetApp, openai_client: Any
) -> None:
    app = make_sqlite_app(reserve(on_unavailable="allow"))
    with app.flask.app_context():
        lock(app)
        ask(openai_client)
        app.db.session.commit()

    assert [call.status for call in app.calls] == ["ok"]
    assert app.runtime.counters.snapshot()["budgets_passed_unchecked"] == 1
    assert app.window.spent == app.calls[0].total_cost


@pytest.mark.parametrize("enforcement", ["raise", "block"])
def test_a_soft_budget_lets_calls_pass_while_its_database_is_away(
    openai_client: Any, tmp_path: Path, enforcement: Any
) -> None:
    app = BudgetAppWithoutTables(Budget("soft", "1", "day", enforcement=enforcement), tmp_path)
    try:
        ask(openai_client)
        assert app.counters["budgets_passed_unchecked"]
    finally:
        app.close()


@pytest.mark.parametrize(
    "budget",
    [reserve(), Budget("soft", "1", "day", enforcement="block", on_unavailable="block")],
    ids=["reserve", "block"],
)
def test_a_budget_that_blocks_does_so_while_its_database_is_away(
    openai_client: Any, provider: LoopbackProvider, tmp_path: Path, budget: Budget
) -> None:
    app = BudgetAppWithoutTables(budget, tmp_path)
    try:
        with pytest.raises(BudgetUnavailableError, match="its database does not answer"):
            ask(openai_client)
        assert not provider.requests
    finally:
        app.close()


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_a_database_that_falls_silent_is_given_up_in_the_middle_of_a_connection(
    make_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider, database_url: str
) -> None:
    """Nothing is refused and nothing closed: without a limit of our own the call would wait for ever."""
    server = make_url(database_url)
    with proxied(server.host or "", server.port or DEFAULT_PORTS[server.get_backend_name()]) as proxy:
        url = server.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        app = make_app(Budget("soft", "1", "day", enforcement="block", on_unavailable="block"), url=url)
        ask(openai_client)
        proxy.swallow()
        with pytest.raises(BudgetUnavailableError, match="its database does not answer"):
            ask(openai_client)
        proxy.cut()
        proxy.mend()
        ask(openai_client)

        assert len(provider.requests) == 2
        assert [call.status for call in app.calls] == ["ok", "blocked", "ok"]


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "mariadb+pymysql"])
def test_a_server_that_never_answers_a_connection_is_given_up(
    openai_client: Any, provider: LoopbackProvider, tmp_path: Path, scheme: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        app = BudgetAppWithoutTables(reserve(), tmp_path, f"{scheme}://root@127.0.0.1:{port}/harbour")
        try:
            with pytest.raises(BudgetUnavailableError, match="its database does not answer"):
                ask(openai_client)
            assert not provider.requests
        finally:
            app.close()


class BudgetAppWithoutTables:
    """An app whose database server is not there."""

    def __init__(self, budget: Budget, folder: Path, url: str | None = None) -> None:
        from flask import Flask
        from flask_sqlalchemy import SQLAlchemy

        from flask_llm_cost import LLMCostTracker
        from flask_llm_cost.runtime import runtime_of

        self.flask = Flask("harbour", instance_path=str(folder))
        self.flask.config.update(
            SQLALCHEMY_DATABASE_URI=url or away(),
            LLM_COST_DASHBOARD=False,
            LLM_COST_JOURNAL_DIR=str(folder),
        )
        self.tracker = LLMCostTracker(self.flask, SQLAlchemy(self.flask), budgets=[budget])
        self.runtime = runtime_of(self.flask)

    @property
    def counters(self) -> Any:
        assert self.runtime is not None
        return self.runtime.counters.snapshot()

    def close(self) -> None:
        with self.flask.app_context():
            self.tracker.shutdown(timeout=0)


def test_a_callable_of_the_apps_that_fails_leaves_the_common_limit(
    make_sqlite_app: MakeBudgetApp, openai_client: Any
) -> None:
    def limits(value: str) -> str:
        raise LookupError(value)

    app = make_sqlite_app(reserve("1", per="user", exceptions=limits))
    with app.tracker.with_tags(user="7"):
        ask(openai_client)

    assert app.runtime.counters.snapshot()["budget_errors"]
    assert app.window.scope == "7"


def test_an_estimate_of_the_apps_that_fails_refuses_the_call(
    make_sqlite_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    from flask_llm_cost import BudgetExceededError

    def broken(request: Any) -> str:
        raise LookupError

    make_sqlite_app(reserve(estimate=broken))
    with pytest.raises(BudgetExceededError, match="estimate= failed with LookupError"):
        ask(openai_client)

    assert not provider.requests
