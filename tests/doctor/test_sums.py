"""Doctor tells which daily sums are missing, late or too many, and what to run."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest

from flask_llm_cost.doctor import examine
from flask_llm_cost.doctor import sums
from flask_llm_cost.doctor.check import Check
from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp


def daily_sums(app: CommandApp) -> Check:
    with app.flask.app_context():
        (found,) = [check for check in examine(app.runtime) if check.name == "daily sums"]
    return found


def test_sums_that_are_kept_as_asked_for_are_fine(make_app: MakeCommandApp, database_url: str) -> None:
    app = make_app(database_url, LLM_COST_ROLLUP_TAGS="tenant, feature").create_tables()
    app.call(tags={"tenant": "acme"})
    assert daily_sums(app).evidence == "Kept in days of UTC, and by feature, tenant."
    assert daily_sums(app).status == "ok"


def test_a_change_of_the_configuration_is_told_and_mended(
    make_app: MakeCommandApp, database_url: str
) -> None:
    before = make_app(database_url, LLM_COST_ROLLUP_TAGS=["tenant"]).create_tables()
    before.call(tags={"tenant": "acme", "feature": "chat"}, at=datetime(2026, 3, 14, 20, tzinfo=UTC))
    after = make_app(database_url, LLM_COST_ROLLUP_TAGS=["feature"], LLM_COST_TIMEZONE="Asia/Kolkata")
    after.call(at=datetime(2026, 3, 14, 21, tzinfo=UTC))
    check = daily_sums(after)
    assert check.status == "warn"
    assert "Kept in days of UTC instead of Asia/Kolkata: all calls." in check.evidence
    assert "does not name it: the tag 'tenant'." in check.evidence
    assert "Complete from 2026-03-16 on: the tag 'feature'." in check.evidence
    assert check.fix == "flask llm-cost rebuild-rollups"

    dry = after.run("rebuild-rollups", "--dry-run")
    assert "Would drop the sums per day by the tag 'tenant', in days of UTC.\n" in dry.stdout
    assert dry.stdout.endswith("Nothing was changed.\n")
    assert daily_sums(after) == check
    done = after.run("rebuild-rollups")
    assert done.exit_code == 0
    assert "Dropped the sums per day of all calls, in days of UTC.\n" in done.stdout
    assert "Keeping the sums per day of all calls, in days of Asia/Kolkata.\n" in done.stdout
    assert "Filled in " in done.stdout
    assert daily_sums(after).evidence == "Kept in days of Asia/Kolkata, and by feature."
    assert after.run("doctor", "--deep").exit_code == 0


def test_a_tag_with_too_many_values_is_told(
    make_app: MakeCommandApp, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "MOST_SUMS_A_DAY", 1)
    app = make_app(database_url, LLM_COST_ROLLUP_TAGS=["request"]).create_tables()
    now = datetime.now(UTC)
    for number in range(16):
        app.call(tags={"request": str(number)}, at=now - timedelta(hours=number))
    check = daily_sums(app)
    assert check.evidence == "The tag 'request' has 2 sums a day, too many values to be worth it."
    assert check.fix == "Take 'request' out of LLM_COST_ROLLUP_TAGS, then flask llm-cost rebuild-rollups."


def test_before_the_first_call_there_is_nothing_to_tell(app: CommandApp) -> None:
    with app.flask.app_context():
        assert "daily sums" not in [check.name for check in examine(app.runtime)]
