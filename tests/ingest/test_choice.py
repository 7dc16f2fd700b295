"""How calls are stored follows from where the app runs, and is said once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine

from flask_llm_cost import LLMCostTracker
from flask_llm_cost.ingest.choice import fingerprint
from tests.ingest.hosts import Host


@pytest.fixture(autouse=True)
def _no_serverless(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "FUNCTIONS_WORKER_RUNTIME", "VERCEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("url", "config", "mode", "reason"),
    [
        ("sqlite://", {}, "inline", "the database is in memory, on one connection shared with the app"),
        ("sqlite:///{path}/app.db", {"TESTING": True}, "inline", "the app is testing"),
        ("sqlite:///{path}/app.db", {}, "journal", "each call is kept in {path}/llm_cost/"),
        ("sqlite:///{path}/app.db", {"LLM_COST_INGESTION": "inline"}, "inline", "LLM_COST_INGESTION is"),
        (
            "sqlite:///{path}/app.db",
            {"TESTING": True, "LLM_COST_INGESTION": "journal"},
            "journal",
            "each call is kept",
        ),
    ],
)
def test_how_calls_are_stored_and_why_is_said_once(
    make_host: Callable[..., Host],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    url: str,
    config: dict[str, object],
    mode: str,
    reason: str,
) -> None:
    host = make_host(url.format(path=tmp_path), **{"LLM_COST_INGESTION": "auto", **config})
    with caplog.at_level(logging.INFO, logger="flask_llm_cost"):
        for _ in range(2):
            with host.app.app_context():
                host.call()
    assert caplog.text.count(f"LLM calls are stored {mode}: {reason.format(path=tmp_path)}") == 1
    assert (host.runtime.ingest.mode, host.counts["recorded"]) == (mode, 2)
    assert host.tracker.flush(5)
    assert host.stored() == 2


def test_a_serverless_environment_keeps_no_journal(
    make_host: Callable[..., Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K_SERVICE", "shop")
    host = make_host(f"sqlite:///{tmp_path / 'app.db'}", LLM_COST_INGESTION="auto")
    with host.app.app_context():
        host.call()
    assert host.stored() == 1
    assert host.runtime.ingest.reason == "serverless environment (K_SERVICE is set)"


def test_a_journal_directory_that_cannot_be_made_means_inline_and_one_warning(
    make_host: Callable[..., Host], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file")
    host = make_host(
        f"sqlite:///{tmp_path / 'app.db'}",
        LLM_COST_INGESTION="auto",
        LLM_COST_JOURNAL_DIR=str(tmp_path / "taken" / "journal"),
    )
    for _ in range(3):
        with host.app.app_context():
            host.call()
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert str(tmp_path / "taken") in warnings[0].getMessage()
    assert (host.stored(), host.runtime.ingest.mode) == (3, "inline")


def test_a_journal_is_refused_for_a_database_in_memory_with_a_warning(
    make_host: Callable[..., Host], caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host("sqlite://", LLM_COST_INGESTION="journal")
    with host.app.app_context():
        host.call()
    assert host.stored() == 1
    assert "the database is in memory" in caplog.text


def test_asking_how_calls_are_stored_makes_no_directory(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_host(f"sqlite:///{tmp_path / 'app.db'}", LLM_COST_INGESTION="auto")
    assert host.runtime.ingest.mode == "journal"
    assert host.tracker.calls.count() == 0
    assert not (tmp_path / "llm_cost").exists()


def test_a_database_that_was_never_initialised_does_not_reach_the_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = Flask("shop", instance_path=str(tmp_path))
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'app.db'}"
    tracker = LLMCostTracker(app, SQLAlchemy())
    tracker.track(provider="openai", model="gpt-4o-mini", input_tokens=1)
    assert "no journal (ConfigurationError)" in caplog.text
    tracker.shutdown(0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("mysql+pymysql://a:x@db/shop", "mariadb+pymysql://b:y@db/shop", True),
        ("postgresql+psycopg://a@db/shop", "postgresql+psycopg://a@db:5433/shop", False),
        ("postgresql+psycopg://a@db/shop", "postgresql+psycopg://a@db/other", False),
        ("postgresql+psycopg:///shop?host=/one", "postgresql+psycopg:///shop?host=/two", False),
        ("sqlite:////a/app.db", "sqlite:////b/app.db", False),
    ],
)
def test_a_journal_belongs_to_a_database_whoever_logs_in(one: str, other: str, same: bool) -> None:
    marks = [fingerprint(create_engine(url), None) for url in (one, other)]
    assert (marks[0] == marks[1]) is same


def test_another_bind_is_another_journal() -> None:
    engine = create_engine("sqlite:////a/app.db")
    assert fingerprint(engine, None) != fingerprint(engine, "costs")
