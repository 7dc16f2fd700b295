"""Forgetting a person from the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp
from tests.old_click import sees_the_end_of_input


def fill(app: CommandApp) -> None:
    app.call(user="ann", tags={"owner": "ann", "feature": "chat"}, details={"note": "hers"})
    app.call(user="ann", trackable=("Customer", "7"))
    app.call(user="clerk", trackable=("Customer", "7"))
    app.call(user="bob", tags={"email": "ann@example.com"})


def users(app: CommandApp) -> list[str | None]:
    with app.flask.app_context():
        return [call.user_id for call in app.tracker.calls.rows("asc")]


def test_the_person_goes_and_the_totals_stay(stored: CommandApp) -> None:
    fill(stored)
    before = stored.run("report", "--days", "1", "--by", "model", "--format", "json").stdout
    result = stored.run("forget", "--user", "ann", "--yes")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(
        "The person is out of 2 calls, 1 tag and the details of 1 call; what they cost stays.\n"
        "llm_cost_meta keeps "
    )
    assert users(stored) == [None, None, "clerk", "bob"]
    assert stored.run("report", "--days", "1", "--by", "model", "--format", "json").stdout == before
    assert stored.run("doctor", "--deep").exit_code == 0
    assert "No call points" in stored.run("forget", "--user", "ann", "--yes").stdout


def test_tags_and_objects_that_stand_for_the_person_go_too(app: CommandApp) -> None:
    fill(app)
    result = app.run("forget", "--tag", "email=ann@example.com", "--trackable", "Customer:7", "--yes")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("The person is out of 3 calls, 1 tag and the details of 0 calls; ")
    assert users(app) == ["ann", "ann", "clerk", "bob"]
    with app.flask.app_context():
        assert app.tracker.calls.for_trackable(("Customer", 7)).count() == 0
        assert [key.key for key in app.tracker.calls.tag_keys()] == ["feature", "owner"]


def test_a_dry_run_changes_nothing(app: CommandApp) -> None:
    fill(app)
    result = app.run("forget", "--user", "ann", "--dry-run")

    assert result.exit_code == 0
    assert result.stdout == (
        "Would take the person out of 2 calls, 1 tag and the details of 1 call; what they cost stays.\n"
        "Nothing was changed.\n"
    )
    assert users(app) == ["ann", "ann", "clerk", "bob"]


@pytest.mark.parametrize(
    ("answer", "left", "code"),
    [("y\n", 0, 0), ("n\n", 2, 1), pytest.param("", 2, 2, marks=sees_the_end_of_input)],
)
def test_it_asks_before_it_forgets(app: CommandApp, answer: str, left: int, code: int) -> None:
    fill(app)
    result = app.run("forget", "--user", "ann", input=answer)

    assert result.exit_code == code, result.output
    assert users(app).count("ann") == left


def test_nobody_to_forget_is_a_usage_error(app: CommandApp) -> None:
    for wrong in ([], ["--user", ""], ["--tag", "email="], ["--trackable", "Customer"]):
        result = app.run("forget", *wrong, "--yes")
        assert result.exit_code == 2, wrong
        assert "Error: " in result.output


def test_calls_in_the_journal_are_written_first(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(
        f"sqlite:///{tmp_path / 'app.sqlite'}",
        TESTING=False,
        LLM_COST_INGESTION="journal",
        LLM_COST_JOURNAL_DIR=str(tmp_path / "journal"),
    ).create_tables()
    pid = os.fork()
    if pid == 0:  # a worker that is killed before its writer has written
        with app.flask.app_context():
            app.tracker.track(provider="openai", model="gpt-5", input_tokens=1, user="ann")
        os._exit(0)
    os.waitpid(pid, 0)

    result = app.run("forget", "--user", "ann", "--yes")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("The person is out of 1 call, ")
    assert users(app) == [None]
    files = [path for path in (tmp_path / "journal").rglob("*") if path.is_file()]
    assert not [path for path in files if b"ann" in path.read_bytes()]


def test_what_was_set_aside_is_pointed_at(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(
        f"sqlite:///{tmp_path / 'app.sqlite'}",
        TESTING=False,
        LLM_COST_INGESTION="journal",
        LLM_COST_JOURNAL_DIR=str(tmp_path / "journal"),
    ).create_tables()
    app.call(user="ann")
    aside = app.runtime.ingest.journal_folder / "gone.damaged"  # type: ignore[attr-defined]
    aside.write_bytes(b"half a record about ann")

    result = app.run("forget", "--user", "ann", "--yes")

    assert result.exit_code == 1
    assert str(aside) in result.output
    assert users(app) == [None], "the ledger is done all the same"
