"""``flask llm-cost setup``, as somebody runs it who has just installed the package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from click.testing import CliRunner
from click.testing import Result
from flask import Flask
from flask.cli import FlaskGroup
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_migrate import init
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine
from sqlalchemy import inspect

from flask_llm_cost import LLMCostTracker
from flask_llm_cost.cli.setup_tables import create_missing
from flask_llm_cost.ledger import Base
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import Structure
from flask_llm_cost.ledger import missing_structure
from flask_llm_cost.pricing.tables import file_table
from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp

OURS = set(Base.metadata.tables)

#: An app, and a run of several ``flask`` commands in one process of its own: Alembic sets up its logging.
APP = """
import sys
from click import ClickException
from flask import Flask
from flask.cli import FlaskGroup
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_llm_cost import LLMCostTracker

def create_app():
    app = Flask("shop", root_path={folder!r}, instance_path={folder!r})
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///app.sqlite"
    db = SQLAlchemy(app)
    Migrate(app, db)
    LLMCostTracker(app, authorize=lambda: True)
    return app

for command in sys.argv[1:]:
    try:
        FlaskGroup(create_app=create_app).main(command.split(), standalone_mode=False)
    except SystemExit as end:
        print("exit", end.code)
    except ClickException as error:
        print(error.format_message())
    print("----", flush=True)
"""


def flask(folder: Path, *commands: str) -> list[str]:
    """What each command prints, one after the other."""
    script = APP.format(folder=str(folder))
    done = subprocess.run(
        [sys.executable, "-c", script, *commands],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("----\n")[:-1]


def run(create_app: Callable[[], Flask], *arguments: str) -> Result:
    """The ``flask`` command itself, which knows of ours by the package's entry point."""
    return CliRunner().invoke(FlaskGroup(create_app=create_app), arguments)


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found


def with_migrations(app: CommandApp, directory: Path) -> CommandApp:
    Migrate(app.flask, app.db, directory=str(directory))
    with app.flask.app_context():
        init()
    return app


def revisions(directory: Path) -> list[Path]:
    return sorted((directory / "versions").glob("*.py"))


@pytest.fixture
def migrated(make_app: MakeCommandApp, tmp_path: Path) -> CommandApp:
    """An app with migrations in ``migrations``, and an empty database."""
    return with_migrations(make_app(f"sqlite:///{tmp_path / 'app.sqlite'}"), tmp_path / "migrations")


def test_the_tables_are_created_and_a_second_time_nothing_is(
    make_app: MakeCommandApp, database_url: str
) -> None:
    app = make_app(database_url)
    first = app.run("setup")

    assert first.exit_code == 0, first.output
    assert f"Created {len(OURS)} tables: llm_cost_alert_deliveries, " in first.stdout
    assert tables(database_url) == OURS
    assert ", 0 errors, 1 warning." in first.stdout  # no call is recorded yet
    assert first.stdout.endswith("Next\n  flask llm-cost verify-capture\n")

    second = app.run("setup")
    assert second.exit_code == 0
    assert "The tables are there, as this version expects." in second.stdout
    assert "Created" not in second.stdout
    app.call()


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_several_processes_may_create_them_at_once(make_app: MakeCommandApp, database_url: str) -> None:
    ledgers = [make_app(database_url).ledger for _ in range(3)]
    barrier = Barrier(len(ledgers))

    def create(ledger: Ledger) -> None:
        barrier.wait()
        create_missing(ledger)

    with ThreadPoolExecutor(len(ledgers)) as pool:
        list(pool.map(create, ledgers))
    assert ledgers[0].check_schema().ok
    assert missing_structure(ledgers[0].engine) == Structure()


def test_a_dry_run_says_it_and_changes_nothing(make_app: MakeCommandApp, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.sqlite'}"
    result = make_app(url).run("setup", "--dry-run", "--prices", str(tmp_path / "prices.yml"))

    assert result.exit_code == 0
    assert f"Would write {tmp_path / 'prices.yml'}" in result.stdout
    assert f"Would create {len(OURS)} tables: " in result.stdout
    assert result.stdout.endswith("Nothing was changed.\n")
    assert tables(url) == set()
    assert not (tmp_path / "prices.yml").exists()


def test_tables_that_a_newer_version_added_are_created_beside_the_others(app: CommandApp) -> None:
    with app.ledger.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE llm_cost_repricings")
    result = app.run("setup")

    assert result.exit_code == 0
    assert "Created 1 table: llm_cost_repricings." in result.stdout


def test_indexes_that_a_newer_version_added_are_created_too(stored: CommandApp) -> None:
    on_mysql = stored.ledger.engine.dialect.name in ("mysql", "mariadb")
    with stored.ledger.engine.begin() as connection:
        connection.exec_driver_sql(
            f"DROP INDEX ix_llm_cost_calls_model{' ON llm_cost_calls' if on_mysql else ''}"
        )
    assert "Created 1 index: ix_llm_cost_calls_model." in stored.run("setup").stdout
    assert "The tables are there, as this version expects." in stored.run("setup").stdout


def test_tables_of_another_shape_are_left_alone(app: CommandApp) -> None:
    with app.ledger.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE llm_cost_calls DROP COLUMN details")
        connection.exec_driver_sql("DROP TABLE llm_cost_repricings")
    result = app.run("setup")

    assert result.exit_code == 1
    assert "llm_cost_calls.details is missing." in result.stderr
    assert "flask db migrate && flask db upgrade" in result.stderr
    assert "Nothing was changed." in result.stderr
    assert "llm_cost_repricings" not in tables(str(app.ledger.engine.url))


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://me:hunter2@127.0.0.1:1/costs", "sqlite:////nowhere/at/all.sqlite"]
)
def test_a_database_that_is_away_changes_nothing(url: str, make_app: MakeCommandApp, tmp_path: Path) -> None:
    result = make_app(url).run("setup", "--prices", str(tmp_path / "prices.yml"))

    assert result.exit_code == 1
    assert "cannot be read" in result.stderr
    assert "Nothing was changed." in result.stderr
    assert "hunter2" not in result.output
    assert not (tmp_path / "prices.yml").exists()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_user_without_the_right_is_told_in_the_servers_words(
    make_app: MakeCommandApp, database_url: str
) -> None:
    read_only = f"{database_url}?options=-cdefault_transaction_read_only%3Don"
    result = make_app(read_only).run("setup")

    assert result.exit_code == 1
    assert "did not take the tables: cannot execute CREATE TABLE in a read-only transaction" in result.stderr


def test_an_in_memory_database_is_told_to_begin_with_the_app(make_app: MakeCommandApp) -> None:
    app = make_app("sqlite://").create_tables()
    result = app.run("setup")

    assert result.exit_code == 0
    assert "its tables are gone with the process" in result.stdout


def test_without_a_ledger_there_is_nothing_to_create(make_app: MakeCommandApp, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.sqlite'}"
    result = make_app(url, LLM_COST_STORAGE="log").run("setup")

    assert result.exit_code == 0
    assert "No tables are needed: LLM_COST_STORAGE is 'log'." in result.stdout
    assert not (tmp_path / "app.sqlite").exists()


def test_a_bind_key_has_the_tables_in_its_database(make_app: MakeCommandApp, tmp_path: Path) -> None:
    urls = {name: f"sqlite:///{tmp_path / name}.sqlite" for name in ("app", "costs")}
    binds = {"costs": urls["costs"]}
    result = make_app(urls["app"], LLM_COST_BIND_KEY="costs", SQLALCHEMY_BINDS=binds).run("setup")

    assert result.exit_code == 0
    assert "costs.sqlite answers." in result.stdout
    assert (tables(urls["app"]), tables(urls["costs"])) == (set(), OURS)


def test_revisions_are_copied_and_what_is_left_is_said(migrated: CommandApp, tmp_path: Path) -> None:
    first = migrated.run("setup")
    copied = revisions(tmp_path / "migrations")

    assert first.exit_code == 0, first.output
    assert f"Copied {len(copied)} revisions into " in first.stdout
    assert all(path.name in first.stdout for path in copied)
    assert first.stdout.endswith("Next\n  flask db upgrade\n  flask llm-cost doctor\n")
    assert ", 0 errors, 0 warnings." in first.stdout

    second = migrated.run("setup")
    assert "has all revisions of the ledger's tables." in second.stdout
    assert "  flask db upgrade\n" in second.stdout
    assert revisions(tmp_path / "migrations") == copied


def test_a_dry_run_copies_no_revision(migrated: CommandApp, tmp_path: Path) -> None:
    result = migrated.run("setup", "--upgrade", "--dry-run")

    assert result.exit_code == 0
    assert "Would copy " in result.stdout
    assert "Would run flask db upgrade head." in result.stdout
    assert revisions(tmp_path / "migrations") == []


def test_what_create_all_has_made_is_noted_and_not_created_again(
    migrated: CommandApp, tmp_path: Path
) -> None:
    (tmp_path / "migrations" / "versions" / "one.py").write_text("revision = 'one'\ndown_revision = None\n")
    migrated.create_tables()
    result = migrated.run("setup")

    assert result.exit_code == 0
    assert "Next\n  flask db upgrade one\n  flask db stamp head\n" in result.stdout


def test_a_half_made_schema_names_what_makes_it_whole(migrated: CommandApp, tmp_path: Path) -> None:
    migrated.create_tables()
    with migrated.ledger.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE llm_cost_repricings")
    result = migrated.run("setup")

    assert result.exit_code == 1
    assert "which no applied revision has made" in result.stderr
    assert "Table llm_cost_repricings not found." in result.stderr
    assert "flask llm-cost setup --no-migrations, then run flask llm-cost setup again." in result.stderr
    assert revisions(tmp_path / "migrations") == []

    assert migrated.run("setup", "--no-migrations").exit_code == 0
    for _ in range(2):  # as long as it was not done
        assert "Next\n  flask db stamp head\n" in migrated.run("setup").stdout


def test_several_heads_have_to_be_merged_first(migrated: CommandApp, tmp_path: Path) -> None:
    for name in ("one", "two"):
        path = tmp_path / "migrations" / "versions" / f"{name}.py"
        path.write_text(f"revision = {name!r}\ndown_revision = None\n")
    result = migrated.run("setup")

    assert result.exit_code == 1
    assert "flask db merge heads" in result.stderr
    assert len(revisions(tmp_path / "migrations")) == 2


def test_a_bind_key_needs_migrations_of_several_databases(make_app: MakeCommandApp, tmp_path: Path) -> None:
    binds = {"costs": f"sqlite:///{tmp_path / 'costs.sqlite'}"}
    url = f"sqlite:///{tmp_path / 'app.sqlite'}"
    app = make_app(url, LLM_COST_BIND_KEY="costs", SQLALCHEMY_BINDS=binds)
    result = with_migrations(app, tmp_path / "migrations").run("setup")

    assert result.exit_code == 1
    assert "flask db init --multidb" in result.stderr
    assert app.run("setup", "--no-migrations").exit_code == 0
    assert tables(binds["costs"]) == OURS


def test_flask_migrate_without_migrations_says_how_to_begin(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'app.sqlite'}")
    Migrate(app.flask, app.db, directory=str(tmp_path / "migrations"))
    result = app.run("setup")

    assert result.exit_code == 1
    assert f"there are no migrations in {tmp_path / 'migrations'}" in result.stderr
    assert "flask db init" in result.stderr
    assert "--no-migrations" in result.stderr


def test_a_database_under_alembic_is_not_given_tables_behind_its_back(
    make_app: MakeCommandApp, tmp_path: Path
) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'app.sqlite'}")
    with app.ledger.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
    result = app.run("setup")

    assert result.exit_code == 1
    assert "alembic_version" in result.stderr
    assert "--directory" in result.stderr
    assert app.run("setup", "--no-migrations").exit_code == 0


@pytest.mark.parametrize("suffix", ["yml", "yaml", "json"])
def test_a_prices_file_is_begun_once_and_can_be_read(suffix: str, app: CommandApp, tmp_path: Path) -> None:
    path = tmp_path / f"prices.{suffix}"
    first = app.run("setup", "--prices", str(path))

    assert first.exit_code == 0
    assert f'app.config["LLM_COST_PRICES_FILE"] = "{path}"' in first.stdout
    assert len(file_table(path)) == 0

    path.write_text('{"openai/our-model": {"input": "1"}}')
    assert f"{path} is there, with 1 entries." in app.run("setup", "--prices", str(path)).stdout
    assert "our-model" in path.read_text()


@pytest.mark.parametrize(
    ("name", "told", "code"),
    [("prices.txt", ".yml", 2), ("none/prices.yml", "There is no directory", 1), ("broken.yml", "Mend", 1)],
)
def test_a_prices_file_that_cannot_be_changes_nothing(
    name: str, told: str, code: int, make_app: MakeCommandApp, tmp_path: Path
) -> None:
    (tmp_path / "broken.yml").write_text("openai/our-model: {inptu: 1}")
    url = f"sqlite:///{tmp_path / 'app.sqlite'}"
    result = make_app(url).run("setup", "--prices", str(tmp_path / name))

    assert result.exit_code == code
    assert told in result.stderr
    assert tables(url) == set()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("setup --upgrade", "this app has none"),
        ("setup --no-migrations --upgrade", "--no-migrations"),
        ("setup --no-migrations -d migrations", "--no-migrations"),
        ("setup everything", "unexpected extra argument"),
        ("setup --prices", "requires an argument"),
    ],
)
def test_wrong_arguments_are_usage_errors(arguments: str, told: str, app: CommandApp) -> None:
    result = app.run(*arguments.split())

    assert result.exit_code == 2
    assert told in result.stderr.replace("\n", " ")


@pytest.mark.skipif(
    not Path("/sys/kernel").is_dir(), reason="needs a directory that not even root can write to"
)
def test_a_directory_that_cannot_be_written_to_is_one_sentence(migrated: CommandApp, tmp_path: Path) -> None:
    versions = tmp_path / "migrations" / "versions"
    versions.rmdir()
    versions.symlink_to("/sys/kernel")
    result = migrated.run("setup")

    assert result.exit_code == 1
    assert "_llm_cost_create_ledger.py cannot be written: " in result.stderr
    assert isinstance(result.exception, SystemExit)


def plain_app() -> Flask:
    return Flask("plain")


def with_flask_login() -> Flask:
    app = Flask("plain")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    SQLAlchemy(app)
    LoginManager(app)
    return app


def test_an_app_that_tracks_no_calls_is_shown_the_lines() -> None:
    result = run(plain_app, "llm-cost", "setup")

    assert result.exit_code == 1
    assert "    db.init_app(app)\n" in result.stdout
    assert "    tracker.init_app(app, authorize=may_see_costs)\n" in result.stdout

    result = run(with_flask_login, "llm-cost", "setup")
    assert result.exit_code == 1
    assert "db.init_app" not in result.stdout
    assert "authorize=lambda: current_user.is_authenticated and current_user.is_admin)" in result.stdout


def without_a_database() -> Flask:
    app = plain_app()
    LLMCostTracker().init_app(app)
    return app


def with_a_misspelt_key() -> Flask:
    app = plain_app()
    app.config["LLM_COST_PRICE_FILE"] = "prices.yml"
    LLMCostTracker().init_app(app)
    return app


@pytest.mark.parametrize(
    ("create_app", "told"),
    [
        (without_a_database, "Error: No database: "),
        (with_a_misspelt_key, "Error: Unknown configuration key LLM_COST_PRICE_FILE. Did you mean "),
    ],
)
@pytest.mark.parametrize("command", ["setup", "report"])
def test_an_app_that_cannot_start_is_one_sentence(
    create_app: Callable[[], Flask], told: str, command: str
) -> None:
    result = run(create_app, "llm-cost", command)

    assert result.exit_code == 1
    assert result.stderr.startswith(told)
    assert isinstance(result.exception, SystemExit)


@pytest.mark.slow
def test_migrations_are_applied_where_that_is_asked_for(tmp_path: Path) -> None:
    _, first, second = flask(tmp_path, "db init", "llm-cost setup --upgrade", "llm-cost setup --upgrade")

    assert "Applied: flask db upgrade head" in first
    assert tables(f"sqlite:///{tmp_path / 'app.sqlite'}") == {*OURS, "alembic_version"}
    assert "has all revisions of the ledger's tables, and they are applied." in second

    engine = create_engine(f"sqlite:///{tmp_path / 'app.sqlite'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE llm_cost_repricings")
    engine.dispose()
    (lost,) = flask(tmp_path, "llm-cost setup")
    assert "All revisions in migrations are applied, and yet: Table llm_cost_repricings not found." in lost


@pytest.mark.slow
def test_tables_of_create_all_come_under_migrations(tmp_path: Path) -> None:
    created, _, stamped, again, upgraded = flask(
        tmp_path,
        "llm-cost setup --no-migrations",
        "db init",
        "llm-cost setup --upgrade",
        "llm-cost setup",
        "db upgrade",
    )
    assert created.startswith("The sqlite database ")
    assert "Applied: flask db stamp head" in stamped
    assert ", and they are applied." in again
    assert "exit" not in upgraded
