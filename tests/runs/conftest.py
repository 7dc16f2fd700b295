"""Real servers and workers in processes of their own, and what they leave in the ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine
from sqlalchemy import text

from flask_llm_cost import LLMCostTracker
from flask_llm_cost.runtime import runtime_of
from tests.loopback import LoopbackProvider
from tests.loopback import loopback_provider
from tests.runs import shop

ROOT = Path(__file__).parents[2]


@pytest.fixture
def provider() -> Iterator[LoopbackProvider]:
    with loopback_provider() as running:
        yield running


@pytest.fixture(autouse=True)
def _instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the shop of this test keeps its journal, also in processes that are started."""
    monkeypatch.setenv("SHOP_INSTANCE", str(tmp_path))


class LedgerReader:
    """The tables of the shop, read as one would from outside."""

    def __init__(self, url: str) -> None:
        self.url = url
        app = Flask("shop")
        app.config.update(SQLALCHEMY_DATABASE_URI=url, LLM_COST_ENABLED=False, LLM_COST_DASHBOARD=False)
        db = SQLAlchemy(app)
        tracker = LLMCostTracker(app)
        with app.app_context():
            db.create_all()
            db.engine.dispose()
            tracker.shutdown()
        self._engine = create_engine(url)

    def close(self) -> None:
        self._engine.dispose()

    def ask(self, statement: str) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(text(statement)))

    def rows(self) -> list[dict[str, Any]]:
        """All calls in the order in which they began, with their tags as a mapping."""
        found = [dict(row._mapping) for row in self.ask("SELECT * FROM llm_cost_calls ORDER BY occurred_at")]
        for row in found:
            row["tags"] = json.loads(row["tags"]) if isinstance(row["tags"], str) else row["tags"] or {}
        return found

    def sums_are_those_of_the_calls(self) -> bool:
        calls = self.ask("SELECT count(*), sum(total_cost), sum(input_tokens) FROM llm_cost_calls")
        sums = self.ask(
            "SELECT sum(calls), sum(total_cost), sum(input_tokens) FROM llm_cost_rollups WHERE grain = 'h'"
        )
        return [tuple(map(int_or_same, row)) for row in calls] == [
            tuple(map(int_or_same, row)) for row in sums
        ]


def int_or_same(value: Any) -> Any:
    """Drivers disagree about the type of a sum of integers."""
    return int(value) if value == int(value) else value


@pytest.fixture
def ledger(database_url: str) -> Iterator[LedgerReader]:
    reader = LedgerReader(database_url)
    yield reader
    reader.close()


@dataclass
class Running:
    """A process that was started."""

    process: subprocess.Popen[str]
    log: Path

    def stop(self, signal: int, seconds: float = 60) -> int:
        """Send the signal and wait for the end; the exit status."""
        self.process.send_signal(signal)
        return self.process.wait(seconds)

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def wait_until(self, done: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)


Start = Callable[..., Running]


@pytest.fixture
def start(provider: LoopbackProvider, tmp_path: Path) -> Iterator[Start]:
    """``start(*arguments, config={})`` runs Python with these arguments; its shop has this configuration."""
    started: list[Running] = []

    def run(*command: str, config: dict[str, Any]) -> Running:
        log = tmp_path / f"{len(started)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=environment(provider, config),
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        started.append(Running(process, log))
        return started[-1]

    yield run
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def environment(provider: LoopbackProvider, config: dict[str, Any]) -> dict[str, str]:
    return {
        **os.environ,
        "OPENAI_API_KEY": "loopback",
        "OPENAI_BASE_URL": f"{provider.url}/v1",
        "SHOP_CONFIG": json.dumps(config),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def make_shop(provider: LoopbackProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Flask]]:
    """``make_shop(config)`` is the shop in this process."""
    made: list[Flask] = []

    def make(config: dict[str, Any]) -> Flask:
        for name, value in environment(provider, config).items():
            monkeypatch.setenv(name, value)
        made.append(shop.create_app(config))
        return made[-1]

    yield make
    for app in made:
        with app.app_context():
            shop.tracker.shutdown()
            shop.db.engine.dispose()
        runtime = runtime_of(app)
        if runtime is not None and runtime.ledger is not None:
            runtime.ledger.engine.dispose()
