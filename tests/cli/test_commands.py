"""The group as a whole: help everywhere, usage errors that name the accepted form, and where it is seen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

from flask_llm_cost.cli import llm_cost
from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp

Words = tuple[str, ...]


def commands(command: click.Command, path: Words = ()) -> Iterator[tuple[Words, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))


COMMANDS = dict(commands(llm_cost))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_help(path: Words, flag: str, app: CommandApp) -> None:
    command = COMMANDS[path]
    result = app.run(*path, flag)

    assert result.exit_code == 0
    assert command.help
    assert command.help.split("\n\n")[0].split()[0] in result.output
    undocumented = [
        option.opts[0] for option in command.params if isinstance(option, click.Option) and not option.help
    ]
    assert not undocumented


@pytest.mark.parametrize("path", [path for path in COMMANDS if path], ids=" ".join)
def test_the_list_of_commands_shows_whole_sentences(path: Words, app: CommandApp) -> None:
    assert COMMANDS[path].get_short_help_str() in app.run(*path[:-1], "--help").output
    assert "..." not in app.run(*path[:-1], "--help").output.partition("Commands:")[2]


EXPLAIN = "prices explain --provider openai --model gpt-5"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("report --days -3", "-3"),
        ("report --days 0", "from 1 to 10000"),
        ("report --days 1.5", "such as 30"),
        ("report --days ten", "such as 30"),
        ("report --days 999999999999", "from 1 to 10000"),
        ("report --days ٣", "such as 30"),
        ("report --month 2026-13", "such as 2026-11"),
        ("report --month 2026", "such as 2026-11"),
        ("report --month 0000-01", "such as 2026-11"),
        ("report --from 2026-02-30", "such as 2026-11-22"),
        ("report --from 22.11.2026", "such as 2026-11-22"),
        ("report --from 1969-01-01", "from 2000"),
        ("report --to 2026-11-22", "--to needs --from"),
        ("report --from 2026-11-22 --to 2026-11-01", "2026-11-01"),
        ("report --days 3 --month 2026-11", "Choose one range"),
        ("report --month 2026-11 --from 2026-11-01", "Choose one range"),
        ("report --by modle", "Did you mean 'model'?"),
        ("report --by date", "'--by': got 'date'"),
        ("report --by date", "also takes day and user"),
        ("report --by tag:", "tag"),
        ("report --by", "requires an argument"),
        ("report --tag feature", "feature=chat"),
        ("report --tag =chat", "feature=chat"),
        ("report --tag a/b=1", "tag"),
        ("report --limit 0", "--limit"),
        ("report --format xml", "csv"),
        ("report everything", "unexpected extra argument"),
        ("doctor --deeper", "--deep"),
        ("doctor --format yaml", "json"),
        ("prune", "--older-than 90d"),
        ("prune --days 30 --older-than 90d", "either"),
        ("prune --days 0", "from 1 to"),
        ("prune --days -1", "-1"),
        ("prune --older-than 0d", "such as 90d"),
        ("prune --older-than -90d", "such as 90d"),
        ("prune --older-than 3months", "such as 90d"),
        ("prune --older-than 99999w", "such as 90d"),
        ("prune --days 30 --batch-size 0", "--batch-size"),
        ("prices explain", "--provider"),
        ("prices explain --provider openai", "--model"),
        (EXPLAIN + " --at yesterday", "ISO 8601"),
        (EXPLAIN + " --at 0001-01-01T00:00:00+14:00", "ISO 8601"),
        (EXPLAIN + " --input-tokens -1", "--input-tokens"),
        (
            EXPLAIN + " --reasoning-tokens 5 --output-tokens 1",
            "output_tokens",
        ),
        (
            EXPLAIN + " --charge web_search_request",
            "web_search_request=2",
        ),
        (
            EXPLAIN + " --charge web_search_request=NaN",
            "web_search_request=2",
        ),
        (EXPLAIN + " --charge sandwiches=2", "known"),
        ("rebuild-rollups --yes", "--yes"),
        ("nonsense", "No such command"),
    ],
)
def test_wrong_arguments_are_usage_errors_that_name_the_accepted_form(
    arguments: str, told: str, app: CommandApp
) -> None:
    result = app.run(*arguments.split())

    assert result.exit_code == 2, result.output
    assert told in result.stderr.replace("\n", " ")
    assert not result.stdout
    assert "Traceback" not in result.output


def test_an_app_that_was_never_initialised_does_not_show_the_group() -> None:
    result = Flask("plain").test_cli_runner().invoke(args=["llm-cost", "doctor"])

    assert result.exit_code == 2
    assert "No such command 'llm-cost'" in result.output


def test_the_group_says_so_where_another_app_is_current() -> None:
    plain = Flask("plain")
    plain.cli.add_command(llm_cost)
    result = plain.test_cli_runner().invoke(args=["llm-cost", "doctor"])

    assert result.exit_code == 1
    assert "init_app(app)" in result.output


READING = ["report", "prune --days 30", "rebuild-rollups"]


@pytest.mark.parametrize("arguments", READING)
def test_without_a_ledger_the_reason_and_the_cure_are_told(
    arguments: str, make_app: MakeCommandApp, tmp_path: Path
) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_STORAGE="log")
    result = app.run(*arguments.split())

    assert result.exit_code == 1
    assert "keeps no ledger" in result.stderr
    assert "LLM_COST_STORAGE" in result.stderr


@pytest.mark.parametrize("arguments", [*READING, "verify-capture"])
def test_missing_tables_are_one_sentence_with_the_command(
    arguments: str, make_app: MakeCommandApp, database_url: str
) -> None:
    result = make_app(database_url).run(*arguments.split())

    assert result.exit_code == 1, result.output
    assert "None of the ledger's" in result.output
    assert "flask llm-cost setup" in result.output
    assert "db.create_all()" in result.output
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("arguments", [*READING, "verify-capture", "doctor"])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://nobody:hunter2@127.0.0.1:1/none",
        "mysql+pymysql://nobody:hunter2@127.0.0.1:1/none",
        "sqlite:////nowhere/at/all.sqlite",
    ],
    ids=["postgresql", "mysql", "sqlite"],
)
def test_a_database_that_is_not_there_is_one_sentence(
    arguments: str, url: str, make_app: MakeCommandApp
) -> None:
    result = make_app(url).run(*arguments.split())

    assert result.exit_code == 1, result.output
    assert "cannot be read" in result.output
    assert "Check SQLALCHEMY_DATABASE_URI" in result.output
    assert "hunter2" not in result.output
    assert isinstance(result.exception, SystemExit)


def test_a_table_of_an_older_version_is_told(app: CommandApp) -> None:
    with app.ledger.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE llm_cost_calls DROP COLUMN details")
    result = app.run("report")

    assert result.exit_code == 1
    assert "llm_cost_calls.details" in result.stderr
    assert "flask db upgrade" in result.stderr


APP = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_llm_cost import LLMCostTracker

db = SQLAlchemy()
tracker = LLMCostTracker()

def create_app():
    app = Flask(__name__, instance_path={folder!r})
    app.config.from_prefixed_env()
    db.init_app(app)
    tracker.init_app(app)
    with app.app_context():
        db.create_all()
    return app
"""


def test_the_flask_command_finds_the_group_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(APP.format(folder=str(tmp_path)))
    environment = {**os.environ, "FLASK_SQLALCHEMY_DATABASE_URI": "sqlite:///app.sqlite"}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "hello:create_app", "llm-cost", "doctor"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Status")
    assert "The tables are as this version expects." in done.stdout
    assert not done.stderr
