"""``flask llm-cost flush`` writes what processes that are gone have left."""

from __future__ import annotations

from pathlib import Path

from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp


def journaling(make_app: MakeCommandApp, folder: Path) -> CommandApp:
    return make_app(
        f"sqlite:///{folder / 'a.sqlite'}",
        LLM_COST_INGESTION="journal",
        LLM_COST_JOURNAL_DIR=str(folder / "journal"),
    )


def test_what_another_process_left_is_written(make_app: MakeCommandApp, tmp_path: Path) -> None:
    gone = journaling(make_app, tmp_path)
    for _ in range(3):
        gone.tracker.track(provider="openai", model="gpt-5", input_tokens=1)
    gone.tracker.shutdown()  # there are no tables yet

    early = journaling(make_app, tmp_path)
    failed = early.run("flush", "--timeout", "0.2")
    assert failed.exit_code == 1
    assert failed.output.splitlines()[-1].startswith(
        "Error: Some calls still wait. Run flask llm-cost doctor"
    )

    early.tracker.shutdown()
    app = journaling(make_app, tmp_path).create_tables()
    result = app.run("flush")
    assert (result.exit_code, result.output) == (0, "3 calls written.\n")
    assert app.run("flush").output == "0 calls written.\n"
    with app.flask.app_context():
        assert app.tracker.calls.count() == 3


def test_an_app_without_a_journal_has_nothing_to_write(app: CommandApp) -> None:
    result = app.run("flush")
    assert (result.exit_code, result.output) == (0, "0 calls written.\n")
