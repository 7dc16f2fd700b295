"""A tracked app on a real database, calls in it, and a way to run its commands."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_llm_cost import LLMCostTracker
from flask_llm_cost import capture
from flask_llm_cost.events import Event
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.runtime import Runtime
from flask_llm_cost.runtime import registry
from flask_llm_cost.runtime import runtime_of

PRICES = {
    "openai/gpt-5": {"input": "1.25", "cache_read_input": "0.125", "output": "10"},
    "openai/gpt-5-mini": {"input": "0.25", "output": "2", "modes": {"batch": {"input": "0.125"}}},
    "anthropic/claude-sonnet-5": {"input": "3", "output": "15"},
    "openai/half-known": {"input": "1"},
}


class CommandApp:
    """An app, its tracker and its command line."""

    def __init__(self, url: str, options: dict[str, Any], config: dict[str, Any]) -> None:
        self.db = SQLAlchemy()
        self.flask = Flask("harbour")
        self.flask.config.update(
            TESTING=True,
            SQLALCHEMY_DATABASE_URI=url,
            LLM_COST_DASHBOARD=False,
            LLM_COST_PRICING_OVERRIDES=PRICES,
        )
        self.flask.config.update(config)
        self.db.init_app(self.flask)
        self.tracker = LLMCostTracker()
        self.tracker.init_app(self.flask, **options)

    @property
    def runtime(self) -> Runtime:
        runtime = runtime_of(self.flask)
        assert runtime is not None
        return runtime

    @property
    def ledger(self) -> Ledger:
        ledger = self.runtime.ledger
        assert ledger is not None
        return ledger

    def create_tables(self) -> CommandApp:
        with self.flask.app_context():
            self.db.create_all()
        return self

    def call(self, model: str = "gpt-5", *, at: datetime | None = None, **details: Any) -> Event:
        """Record a call of 1,000 tokens in and 100 out, if nothing else is said, and store it."""
        if at is not None:
            details["occurred_at"] = at
        if not details.keys() & {"cost", "usage", "input_tokens"}:
            details.update(input_tokens=1_000, output_tokens=100)
        event = capture.track(
            runtime=self.runtime, provider=details.pop("provider", "openai"), model=model, **details
        )
        assert event is not None
        assert self.runtime.flush()
        return event

    def run(self, *arguments: str, **options: Any) -> Result:
        """Run ``flask llm-cost`` with these arguments."""
        return self.flask.test_cli_runner().invoke(args=["llm-cost", *arguments], **options)

    def close(self) -> None:
        registry.discard(self.flask)
        if self.runtime.config.enabled:
            capture.uninstall(self.runtime.config.instrument)
        if self.runtime.ledger_source is not None:
            with self.flask.app_context():
                self.ledger.engine.dispose()
                for engine in self.db.engines.values():
                    engine.dispose()


MakeCommandApp = Callable[..., CommandApp]


@pytest.fixture
def make_app() -> Iterator[MakeCommandApp]:
    """``make_app(url, authorize=..., LLM_COST_X=...)``; all are taken down at the end."""
    made: list[CommandApp] = []

    def make(url: str, **given: Any) -> CommandApp:
        options = {name: value for name, value in given.items() if not name.isupper()}
        config = {name: value for name, value in given.items() if name.isupper()}
        made.append(CommandApp(url, options, config))
        return made[-1]

    yield make
    for app in made:
        app.close()


@pytest.fixture
def app(make_app: MakeCommandApp, tmp_path: Any) -> CommandApp:
    """An app with its tables in a SQLite file."""
    return make_app(f"sqlite:///{tmp_path / 'app.sqlite'}").create_tables()


@pytest.fixture
def stored(make_app: MakeCommandApp, database_url: str) -> CommandApp:
    """An app with its tables, on every kind of database."""
    return make_app(database_url).create_tables()
