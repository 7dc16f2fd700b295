"""The reviewed revisions, put into a real migrations directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from flask_migrate import Migrate
from flask_migrate import init

from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp


def revisions(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "migrations" / "versions").glob("*.py"))


APP = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_llm_cost import LLMCostTracker

db = SQLAlchemy()
app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = {url!r}
db.init_app(app)
Migrate(app, db)
LLMCostTracker(app)
"""


def flask(folder: Path, *arguments: str) -> str:
    """Run a command in a process of its own: Alembic sets up logging for the whole process."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "hello", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_copied_revision_makes_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.sqlite'}"
    (tmp_path / "hello.py").write_text(APP.format(url=url))
    flask(tmp_path, "db", "init")
    told = flask(tmp_path, "llm-cost", "migrations")

    assert len(revisions(tmp_path)) == 5
    assert "_llm_cost_create_ledger.py, after nothing (the first revision)." in told
    assert "_llm_cost_add_repricings.py, after the head " in told
    assert told.endswith("flask db upgrade\n")
    flask(tmp_path, "db", "upgrade")
    assert "The tables are as this version expects." in flask(tmp_path, "llm-cost", "doctor")


def test_a_second_run_has_nothing_to_do(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}")
    Migrate(app.flask, app.db, directory=str(tmp_path / "migrations"))
    with app.flask.app_context():
        init()
    app.run("migrations")
    result = app.run("migrations")

    assert result.exit_code == 0
    assert "has all revisions" in result.stdout
    assert len(revisions(tmp_path)) == 5


def test_a_dry_run_writes_nothing(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}")
    Migrate(app.flask, app.db, directory=str(tmp_path / "migrations"))
    with app.flask.app_context():
        init()
    result = app.run("migrations", "--dry-run")

    assert result.exit_code == 0
    assert result.stdout.startswith("Would write ")
    assert not revisions(tmp_path)


def test_a_directory_without_migrations_is_one_sentence(app: CommandApp, tmp_path: Path) -> None:
    result = app.run("migrations", "--directory", str(tmp_path / "none"))

    assert result.exit_code == 1
    assert "flask db init" in result.stderr
    assert "flask llm-cost setup" in result.stderr


def test_another_directory_can_be_named(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}")
    Migrate(app.flask, app.db)
    with app.flask.app_context():
        init(directory=str(tmp_path / "migrations"))

    assert app.run("migrations", "-d", str(tmp_path / "migrations")).exit_code == 0
    assert len(revisions(tmp_path)) == 5
