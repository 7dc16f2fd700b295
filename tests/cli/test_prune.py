"""Pruning from the command line, and mending rollups."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import update
from sqlalchemy.orm import Session

from flask_llm_cost.ledger import Rollup
from tests.cli.apps import CommandApp
from tests.old_click import sees_the_end_of_input

NOW = datetime.now(UTC)


def fill(app: CommandApp) -> None:
    for age in (0, 50, 100, 101, 102):
        app.call(at=NOW - timedelta(days=age), tags={"feature": "chat"})


def count(app: CommandApp) -> int:
    with app.flask.app_context():
        return len(list(app.tracker.calls.rows()))


@pytest.mark.parametrize(
    "age", [["--older-than", "90d"], ["--days", "90"], ["--older-than", "12w"]], ids=" ".join
)
def test_old_calls_go_and_what_they_add_up_to_stays(stored: CommandApp, age: list[str]) -> None:
    fill(stored)
    result = stored.run("prune", *age, "--batch-size", "2", "--yes")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Deleted 3 calls, 6 line items, 3 tags from before ")
    assert count(stored) == 2
    assert stored.run("doctor", "--deep").exit_code == 0
    assert not result.stderr, "no progress bar where nobody watches"


def test_a_dry_run_changes_nothing(stored: CommandApp) -> None:
    fill(stored)
    result = stored.run("prune", "--days", "90", "--dry-run")

    assert result.exit_code == 0
    assert result.stdout.startswith("Would delete 3 calls, 6 line items, 3 tags from before ")
    assert count(stored) == 5


@pytest.mark.parametrize(
    ("answer", "left", "code"),
    [("y\n", 2, 0), ("n\n", 5, 1), pytest.param("", 5, 2, marks=sees_the_end_of_input)],
)
def test_it_asks_before_deleting(app: CommandApp, answer: str, left: int, code: int) -> None:
    fill(app)
    result = app.run("prune", "--days", "90", input=answer)

    assert result.exit_code == code
    assert "Delete 3 calls" in result.output
    assert count(app) == left


def test_nothing_to_delete_is_said_without_asking(app: CommandApp) -> None:
    app.call()
    result = app.run("prune", "--days", "90")

    assert result.exit_code == 0
    assert result.stdout.startswith("There is nothing from before ")


def test_rollups_that_drifted_are_mended(stored: CommandApp) -> None:
    stored.call()
    with Session(stored.ledger.engine) as session:
        session.execute(update(Rollup).where(Rollup.grain == "h").values(calls=5))
        session.commit()
    assert stored.run("doctor", "--deep").exit_code == 1

    dry = stored.run("rebuild-rollups", "--dry-run")
    assert dry.stdout == "Would correct 1 rollup.\nNothing was changed.\n"
    assert stored.run("rebuild-rollups").stdout == "Corrected 1 rollup.\n"
    assert stored.run("rebuild-rollups").stdout == "The rollups equal the calls.\n"
    assert stored.run("doctor", "--deep").exit_code == 0


def test_the_sums_go_too_where_that_is_asked_for(stored: CommandApp) -> None:
    fill(stored)
    with Session(stored.ledger.engine) as session:
        old = session.scalar(select(func.count()).where(Rollup.bucket < NOW - timedelta(days=91)))
    dry = stored.run("prune", "--days", "90", "--rollups", "--dry-run")
    assert dry.stdout.startswith(f"Would delete 3 calls, 6 line items, 3 tags, {old} sums from before ")
    result = stored.run("prune", "--days", "90", "--rollups", "--yes")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"Deleted 3 calls, 6 line items, 3 tags, {old} sums from before ")
    with Session(stored.ledger.engine) as session:
        assert sum(session.scalars(select(Rollup.calls).where(Rollup.grain == "h"))) == 2
    assert stored.run("doctor", "--deep").exit_code == 0
