"""What the schema check says about databases that are not as the models want them."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine
from sqlalchemy import select
from sqlalchemy import text
from sqlalchemy import update

from flask_llm_cost.ledger import Base
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import Meta
from flask_llm_cost.ledger import create_ledger_engine
from flask_llm_cost.ledger.models import SCHEMA_VERSION
from tests.made_events import event


def _run(ledger: Ledger, *statements: str) -> None:
    with ledger.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_fresh_database_is_fine(ledger: Ledger) -> None:
    report = ledger.check_schema()
    assert (report.ok, report.missing_tables, report.problems, report.fix) == (True, (), (), None)
    ledger.write([event()])
    assert ledger.check_schema().ok


def test_missing_tables_are_named_with_the_command_that_makes_them(empty_ledger: Ledger) -> None:
    report = empty_ledger.check_schema()
    assert not report.ok
    assert set(report.missing_tables) == set(Base.metadata.tables)
    assert "Table llm_cost_calls is missing." in report.problems
    assert report.fix == "flask llm-cost setup, or db.create_all() in an app context"


def test_a_migrated_database_is_mended_by_a_migration(empty_ledger: Ledger) -> None:
    _run(empty_ledger, "CREATE TABLE alembic_version (version_num VARCHAR(32))")
    assert empty_ledger.check_schema().fix == "flask llm-cost migrations && flask db upgrade"


def test_a_missing_column_is_named(ledger: Ledger) -> None:
    _run(ledger, "ALTER TABLE llm_cost_calls DROP COLUMN total_tokens")
    report = ledger.check_schema()
    assert report.problems == ("Column llm_cost_calls.total_tokens is missing.",)
    assert report.fix == "flask db init && flask db migrate && flask db upgrade, with Flask-Migrate"


def test_a_newer_schema_asks_for_a_newer_package(ledger: Ledger) -> None:
    _run(ledger, "INSERT INTO llm_cost_meta VALUES ('schema_version', '99')")
    report = ledger.check_schema()
    assert "version 99" in report.problems[0]
    assert report.fix == "pip install --upgrade flask-llm-cost"


def test_a_ledger_of_the_version_before_lacks_the_audit_trail_only(ledger: Ledger) -> None:
    """Calls are written as before, and the version that is noted goes up but never down."""
    _run(
        ledger,
        "DROP TABLE llm_cost_repricings",
        "INSERT INTO llm_cost_meta VALUES ('schema_version', '1')",
    )
    assert ledger.check_schema().problems == ("Table llm_cost_repricings is missing.",)
    assert ledger.write([event()]) == 1
    told = select(Meta.value).where(Meta.key == "schema_version")
    with ledger.session() as session:
        assert session.scalars(told).all() == [str(SCHEMA_VERSION)]
    with ledger.engine.begin() as connection:
        connection.execute(update(Meta).where(Meta.key == "schema_version").values(value="99"))
    Ledger(ledger.engine).write([event()])
    with ledger.session() as session:
        assert session.scalars(told).all() == ["99"]


def test_an_unknown_column_that_must_be_filled_is_named(ledger: Ledger) -> None:
    _run(
        ledger,
        "ALTER TABLE llm_cost_meta ADD COLUMN fine INTEGER DEFAULT 7",
        "DROP TABLE llm_cost_quarantine",
        "CREATE TABLE llm_cost_quarantine (id INTEGER PRIMARY KEY, event_id VARCHAR(36) NOT NULL, "
        "occurred_at TIMESTAMP NULL, reason VARCHAR(255) NOT NULL, event TEXT NOT NULL, "
        "created_at TIMESTAMP NOT NULL, extra VARCHAR(10) NOT NULL)",
    )
    problems = [problem for problem in ledger.check_schema().problems if "extra" in problem]
    assert problems == ["Column llm_cost_quarantine.extra is unknown to this version and has no default."]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("MODIFY model VARCHAR(50) COLLATE utf8mb4_bin NOT NULL", "holds 50 characters; 191 are needed"),
        ("MODIFY user_id VARCHAR(191) COLLATE utf8mb4_bin NOT NULL", "must allow NULL"),
        ("MODIFY model VARCHAR(191) COLLATE utf8mb4_general_ci NOT NULL", "'Acme' and 'acme' for one value"),
    ],
    ids=["width", "nullable", "collation"],
)
def test_columns_that_would_refuse_or_merge_rows_are_told(ledger: Ledger, change: str, problem: str) -> None:
    if ledger.engine.dialect.name != "mariadb":
        pytest.skip("the statement is MariaDB's")
    _run(ledger, f"ALTER TABLE llm_cost_calls {change}")
    report = ledger.check_schema()
    assert len(report.problems) == 1
    assert problem in report.problems[0]


def test_a_database_that_cannot_be_reached_is_a_report_too() -> None:
    engine = create_ledger_engine(create_engine("mariadb+pymysql://nobody@127.0.0.1:1/none"))
    report = Ledger(engine).check_schema()
    assert (report.ok, report.reachable) == (False, False)
    assert "cannot be read" in report.problems[0]


def test_tables_of_the_host_do_not_matter(ledger: Ledger, app: Flask, db: SQLAlchemy) -> None:
    _run(ledger, "CREATE TABLE llm_cost_notes_of_the_host (id INTEGER PRIMARY KEY)")
    assert ledger.check_schema().ok
