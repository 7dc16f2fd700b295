"""Apps with budgets on every kind of database, and a provider on the loopback."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select

from flask_llm_cost import Budget
from flask_llm_cost import LLMCostTracker
from flask_llm_cost.budgets.keeper import BudgetKeeper
from flask_llm_cost.ledger import BudgetWindow
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import Reservation
from flask_llm_cost.runtime import Runtime
from flask_llm_cost.runtime import runtime_of
from tests.capture.conftest import _nothing_is_tapped_yet as _nothing_is_tapped_yet
from tests.capture.conftest import anthropic_client as anthropic_client
from tests.capture.conftest import anthropic_pool as anthropic_pool
from tests.capture.conftest import google_client as google_client
from tests.capture.conftest import groq_client as groq_client
from tests.capture.conftest import groq_pool as groq_pool
from tests.capture.conftest import openai_client as openai_client
from tests.capture.conftest import openai_pool as openai_pool
from tests.capture.conftest import provider as provider
from tests.capture.conftest import run_google as run_google


class BudgetApp:
    """An app with a ledger and budgets."""

    def __init__(
        self, url: str, budgets: tuple[Budget, ...], config: dict[str, Any], options: dict[str, Any]
    ) -> None:
        self.flask = Flask("harbour")
        self.flask.config.update(
            {"TESTING": True, "SQLALCHEMY_DATABASE_URI": url, "LLM_COST_DASHBOARD": False, **config}
        )
        self.db = SQLAlchemy()
        self.db.init_app(self.flask)
        self.tracker = LLMCostTracker()
        self.tracker.init_app(self.flask, self.db, budgets=budgets, **options)
        with self.flask.app_context():
            self.db.create_all()

    @property
    def runtime(self) -> Runtime:
        runtime = runtime_of(self.flask)
        assert runtime is not None
        return runtime

    @property
    def keeper(self) -> BudgetKeeper:
        assert self.runtime.budgets is not None
        return self.runtime.budgets

    def rows(self, model: Any) -> list[Any]:
        """All rows of a table, in the order of their keys, after what waits is written."""
        self.runtime.recorder.catch_up()
        self.runtime.flush()
        with self.runtime.ledger.session() as session:  # type: ignore[union-attr]
            return list(session.scalars(select(model).order_by(*model.__table__.primary_key.columns)))

    @property
    def calls(self) -> list[LlmCall]:
        return self.rows(LlmCall)

    @property
    def reservations(self) -> list[Reservation]:
        return self.rows(Reservation)

    @property
    def window(self) -> BudgetWindow:
        """The only one."""
        (window,) = self.rows(BudgetWindow)
        assert isinstance(window, BudgetWindow)
        return window

    def close(self) -> None:
        with self.flask.app_context():
            self.tracker.shutdown(timeout=5)
            self.db.engine.dispose()
        if (ledger := self.runtime.ledger) is not None:
            ledger.engine.dispose()


MakeBudgetApp = Callable[..., BudgetApp]


def _making(next_url: Callable[[], str]) -> Iterator[MakeBudgetApp]:
    made: list[BudgetApp] = []

    def make(
        *budgets: Budget, config: dict[str, Any] | None = None, url: str | None = None, **options: Any
    ) -> BudgetApp:
        made.append(BudgetApp(url or next_url(), budgets, config or {}, options))
        return made[-1]

    yield make
    for app in made:
        counted = app.runtime.counters.snapshot()
        app.close()
        assert "capture_errors" not in counted, counted


@pytest.fixture
def make_app(database_url: str) -> Iterator[MakeBudgetApp]:
    """``make_app(*budgets, config={...}, **init_app_options)``; on each kind of database."""
    yield from _making(lambda: database_url)


@pytest.fixture
def make_sqlite_app(tmp_path: Any) -> Iterator[MakeBudgetApp]:
    """As ``make_app``, for what does not depend on the database."""
    numbers = itertools.count()
    yield from _making(lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.sqlite'}")


def cent(request: Any = None) -> Decimal:
    """An estimate that every call of these tests stays below."""
    return Decimal("0.01")


def reserve(limit: str = "1", period: Any = "total", *, name: str = "hard", **options: Any) -> Budget:
    """A hard budget that sets a cent aside for each call."""
    return Budget(name, limit, period, enforcement="reserve", **{"estimate": cent, **options})
