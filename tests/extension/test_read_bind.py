"""Questions are asked of the replica, everything else of the ledger's own database."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from shutil import copyfile

import pytest

from flask_llm_cost.doctor import examine
from flask_llm_cost.doctor.check import Check
from flask_llm_cost.errors import ConfigurationError
from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp
from tests.cli.apps import make_app as make_app


@pytest.fixture
def replicated(make_app: MakeCommandApp, tmp_path: Path) -> CommandApp:
    """An app that reads from a copy of its database, made by :func:`replicate`."""
    return make_app(
        f"sqlite:///{tmp_path / 'primary.sqlite'}",
        SQLALCHEMY_BINDS={"replica": f"sqlite:///{tmp_path / 'replica.sqlite'}"},
        LLM_COST_READ_BIND_KEY="replica",
        LLM_COST_DASHBOARD=True,
        authorize=lambda: True,
    ).create_tables()


def replicate(tmp_path: Path) -> None:
    copyfile(tmp_path / "primary.sqlite", tmp_path / "replica.sqlite")


def replica_check(app: CommandApp) -> Check:
    with app.flask.app_context():
        (found,) = [check for check in examine(app.runtime) if check.name == "replica"]
    return found


def test_pages_and_reports_show_what_the_replica_has(replicated: CommandApp, tmp_path: Path) -> None:
    replicated.call("gpt-5")
    replicate(tmp_path)
    replicated.call("gpt-5-mini")
    with replicated.flask.app_context():
        assert replicated.tracker.calls.all_time().count() == 1
    page = replicated.flask.test_client().get("/llm-costs/calls").text
    assert "gpt-5" in page
    assert "gpt-5-mini" not in page
    assert "gpt-5-mini" not in replicated.run("report").stdout


def test_calls_and_corrections_go_to_the_ledgers_own_database(replicated: CommandApp, tmp_path: Path) -> None:
    replicated.call()
    replicate(tmp_path)
    (tmp_path / "replica.sqlite").chmod(0o444)
    replicated.call()
    assert replicated.run("rebuild-rollups").stdout == "The rollups equal the calls.\n"
    with sqlite3.connect(tmp_path / "primary.sqlite") as primary:
        assert primary.execute("SELECT count(*) FROM llm_cost_calls").fetchone() == (2,)
    primary.close()


def test_the_replica_gets_no_tables_from_us(replicated: CommandApp, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "replica.sqlite") as replica:
        assert replica.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    replica.close()
    check = replica_check(replicated)
    assert check.status == "error"
    assert "tables is there" in check.evidence


def test_doctor_tells_how_late_the_replica_is(replicated: CommandApp, tmp_path: Path) -> None:
    replicate(tmp_path)
    replicated.call()
    assert replica_check(replicated).status == "warn"
    assert "replica.sqlite has no calls" in replica_check(replicated).evidence
    replicate(tmp_path)
    assert replica_check(replicated).status == "ok"
    with sqlite3.connect(tmp_path / "replica.sqlite") as replica:
        replica.execute("UPDATE llm_cost_calls SET created_at = datetime(created_at, '-90 seconds')")
    replica.close()
    assert " s behind; pages and reports show what it has." in replica_check(replicated).evidence


def test_a_replica_that_the_database_does_not_know_is_an_error_at_once(
    make_app: MakeCommandApp, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="LLM_COST_READ_BIND_KEY is 'nowhere'"):
        make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_READ_BIND_KEY="nowhere")


def test_an_app_without_a_replica_has_no_check_of_one(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}").create_tables()
    with app.flask.app_context():
        assert "replica" not in [check.name for check in examine(app.runtime)]
