"""The doctor's checks: what each one sees, on real ledgers that are healthy and on others that are not."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import FlaskGroup
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import insert
from sqlalchemy import update
from sqlalchemy.orm import Session

from flask_llm_cost import Budget
from flask_llm_cost import LLMCostTracker
from flask_llm_cost import StorageError
from flask_llm_cost.capture.mute import ours
from flask_llm_cost.doctor import Check
from flask_llm_cost.doctor import examine
from flask_llm_cost.doctor import healthy
from flask_llm_cost.doctor.setup import journal
from flask_llm_cost.doctor.setup import prices
from flask_llm_cost.doctor.setup import waiting
from flask_llm_cost.doctor.stored import line_items
from flask_llm_cost.events import CallStart
from flask_llm_cost.events import Observation
from flask_llm_cost.ledger import AlertDelivery
from flask_llm_cost.ledger import BudgetAlert
from flask_llm_cost.ledger import BudgetWindow
from flask_llm_cost.ledger import LineItem
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import Quarantine
from flask_llm_cost.ledger import Rollup
from flask_llm_cost.usage import Usage
from tests import made_events
from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp


def checks(app: CommandApp, *, deep: bool = False, debug: bool = False) -> dict[str, Check]:
    with app.flask.app_context():
        return {check.name: check for check in examine(app.runtime, deep=deep, debug=debug)}


def test_a_ledger_with_priced_calls_is_healthy(stored: CommandApp) -> None:
    for _ in range(3):
        stored.call(tags={"feature": "chat"})
    found = checks(stored, deep=True)

    assert {check.status for name, check in found.items() if name != "prices"} == {"ok"}
    assert found["calls"].evidence.startswith("3 recorded, the latest at ")
    assert found["line items"].evidence == "The line items of all 3 calls add up to their cost."
    assert found["rollups"].evidence == "The rollups equal the calls, to the last digit."
    assert healthy(found.values())


def test_an_empty_ledger_is_a_warning_with_the_next_step(stored: CommandApp) -> None:
    found = checks(stored, deep=True)

    assert found["calls"].status == "warn"
    assert found["calls"].fix == "flask llm-cost verify-capture"
    assert found["rollups"].status == "ok"
    assert healthy(found.values())


def test_calls_without_a_price_are_counted_and_named(stored: CommandApp) -> None:
    stored.call()
    stored.call("half-known")
    for _ in range(2):
        stored.call("nobody-knows")
    check = checks(stored)["unpriced"]

    assert check.status == "warn"
    assert "3 of 4 (75.0 %)" in check.evidence
    assert "openai/nobody-knows (2), openai/half-known (1)" in check.evidence
    assert check.fix == (
        "flask llm-cost prices explain --provider openai --model nobody-knows; "
        "once there is a price, flask llm-cost backfill."
    )


def test_older_calls_without_a_price_are_looked_for_with_deep(stored: CommandApp) -> None:
    stored.call()
    long_ago = datetime.now(UTC) - timedelta(days=31)
    usage = {"usage_source": "response", "input_tokens": 10, "total_cost": None, "cost_status": "unknown"}
    stored.ledger.write([made_events.event(occurred_at=long_ago, cost=None, **usage)])

    evidence = "Every call of the last 30 days whose usage is known has a complete price."
    assert checks(stored)["unpriced"].evidence == evidence
    assert "1 of 2 (50.0 %)" in checks(stored, deep=True)["unpriced"].evidence


def test_calls_that_told_no_usage_need_no_price_but_are_counted(stored: CommandApp) -> None:
    stored.call()
    stored.tracker.track(provider="openai", model="gpt-5-mini", status="aborted")
    stored.tracker.flush()
    found = checks(stored)

    assert found["unpriced"].status == "ok"
    assert found["usage"].status == "ok"
    assert found["usage"].evidence.startswith("Calls of the last 30 days that told no usage: 1 of 2 (50.0 %)")


def test_complete_streams_without_usage_are_a_warning_with_the_cure(stored: CommandApp) -> None:
    stored.tracker.track(provider="openai", model="gpt-5-mini", stream=True)
    stored.tracker.flush()
    check = checks(stored)["usage"]

    assert check.status == "warn"
    assert "Complete streams among them: 1." in check.evidence
    assert "include_usage" in str(check.fix)


def test_a_cost_that_is_not_the_sum_of_its_lines_is_an_error(stored: CommandApp) -> None:
    stored.call()
    broken = stored.call().event_id
    with Session(stored.ledger.engine) as session:
        session.execute(
            update(LlmCall).where(LlmCall.event_id == broken).values(total_cost=Decimal("0.002251"))
        )
        session.commit()
    found = checks(stored)

    assert found["line items"].status == "error"
    assert "1 of the latest 2 " in found["line items"].evidence
    assert not healthy(found.values())


def test_lines_that_cost_nothing_beside_an_unknown_one_are_no_difference(
    make_app: MakeCommandApp, tmp_path: Path
) -> None:
    prices = {"openai/gratis-in": {"input": "0", "output": "1"}}
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_PRICING_OVERRIDES=prices).create_tables()
    app.call("gratis-in", usage=Usage(input_tokens=10, charges={"page": Decimal(1)}))

    assert checks(app)["line items"].status == "ok"


def test_a_line_item_that_was_lost_is_an_error(stored: CommandApp) -> None:
    stored.call()
    with Session(stored.ledger.engine) as session:
        session.query(LineItem).filter(LineItem.component == "output").delete()
        session.commit()

    assert checks(stored)["line items"].status == "error"


def test_a_sample_is_of_the_latest_calls(app: CommandApp) -> None:
    first = app.call().event_id
    app.call()
    with Session(app.ledger.engine) as session:
        session.execute(update(LlmCall).where(LlmCall.event_id == first).values(total_cost=Decimal(7)))
        session.commit()

    with app.ledger.session() as session:
        assert line_items(session, 1).status == "ok"
        assert line_items(session, 2).status == "error"
        assert line_items(session, None).status == "error"


def test_rollups_that_drifted_are_an_error_with_both_numbers(stored: CommandApp) -> None:
    stored.call()
    with Session(stored.ledger.engine) as session:
        session.execute(update(Rollup).where(Rollup.grain == "h").values(calls=5))
        session.commit()

    check = checks(stored, deep=True)["rollups"]
    assert checks(stored)["rollups"].evidence == check.evidence
    assert check.status == "error"
    assert "1 rollup differs from its calls; the first: openai/gpt-5 in the hour from " in check.evidence
    assert check.evidence.endswith("calls 5 instead of 1.")
    assert "flask llm-cost rebuild-rollups" in check.fix


def test_quarantined_events_are_a_warning_with_their_reasons(stored: CommandApp) -> None:
    now = datetime.now(UTC)
    rows = [
        {"event_id": f"event-{number}", "reason": "DataError 22003", "event": "{}", "created_at": now}
        for number in range(2)
    ]
    with Session(stored.ledger.engine) as session:
        session.execute(insert(Quarantine), rows)
        session.commit()
    check = checks(stored)["quarantine"]

    assert check.status == "warn"
    assert check.evidence == "Events that could not be stored and are in no total: 2 (DataError 22003: 2)."


def test_missing_tables_are_an_error_and_end_the_examination(
    make_app: MakeCommandApp, database_url: str
) -> None:
    found = checks(make_app(database_url), deep=True)

    assert found["database"].status == "ok"
    assert found["schema"].status == "error"
    assert "db.create_all()" in found["schema"].fix
    assert list(found)[-1] == "schema"


def test_an_unreachable_database_is_an_error_without_its_password(make_app: MakeCommandApp) -> None:
    check = checks(make_app("postgresql+psycopg://me:hunter2@127.0.0.1:1/costs"))["database"]

    assert check.status == "error"
    assert check.evidence.startswith("The postgresql database costs on 127.0.0.1:1: ")
    assert "hunter2" not in check.evidence + check.fix


def test_a_bind_key_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    app = CommandApp(
        f"sqlite:///{tmp_path / 'a.sqlite'}",
        {},
        {"LLM_COST_BIND_KEY": "costs", "SQLALCHEMY_BINDS": {"costs": f"sqlite:///{tmp_path / 'b.sqlite'}"}},
    )
    app.create_tables()
    try:
        assert "b.sqlite" in checks(app)["database"].evidence
    finally:
        app.close()


def test_without_a_ledger_nothing_is_asked_of_one(make_app: MakeCommandApp, tmp_path: Path) -> None:
    found = checks(make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_STORAGE="log"))

    assert found["database"].evidence == "None is used: LLM_COST_STORAGE is 'log'."
    assert "Calls go to: log." in found["configuration"].evidence
    assert "schema" not in found


def test_a_storage_callable_is_told(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", storage=lambda event: None)
    assert "Calls go to: callable." in checks(app)["configuration"].evidence


def test_a_switched_off_tracker_is_a_warning(make_app: MakeCommandApp, tmp_path: Path) -> None:
    found = checks(make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_ENABLED=False))

    assert found["configuration"].status == "warn"
    assert not [name for name in found if name.startswith("capture")]


def test_each_sdk_has_a_check_and_none_tapped_is_a_warning(make_app: MakeCommandApp, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.sqlite'}"
    found = checks(make_app(url, LLM_COST_INSTRUMENT=["openai"]))
    assert ": active." in found["capture openai"].evidence
    assert ": off." in found["capture anthropic"].evidence
    assert "capture" not in found


def test_no_tapped_sdk_is_a_warning(make_app: MakeCommandApp, tmp_path: Path) -> None:
    found = checks(make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_INSTRUMENT=()))
    assert found["capture"].status == "warn"


@pytest.mark.parametrize(
    ("given", "debug", "status", "told"),
    [
        ({}, False, "warn", "Nobody can see /costs"),
        ({}, True, "ok", "on this machine only"),
        ({"authorize": lambda: True}, False, "ok", "for whom authorize lets in"),
        ({"LLM_COST_DASHBOARD": False}, False, "ok", "there is none"),
    ],
    ids=["no authorize", "debug", "authorize", "no dashboard"],
)
def test_a_dashboard_that_nobody_can_see_is_a_warning(
    given: dict[str, object],
    debug: bool,
    status: str,
    told: str,
    make_app: MakeCommandApp,
    tmp_path: Path,
) -> None:
    settings = {"LLM_COST_DASHBOARD": True, "LLM_COST_URL_PREFIX": "/costs", **given}
    check = checks(make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", **settings), debug=debug)["dashboard"]

    assert check.status == status
    assert told in check.evidence


def test_old_bundled_prices_are_a_warning(app: CommandApp) -> None:
    version = app.runtime.catalog.tables[-1].version
    made = date.fromisoformat(version[:10])

    assert prices(app.runtime, made + timedelta(days=30)).status == "ok"
    late = prices(app.runtime, made + timedelta(days=31))
    assert late.status == "warn"
    assert "31 days old" in late.evidence
    assert "4 from LLM_COST_PRICING_OVERRIDES" in late.evidence


def test_prices_of_a_file_are_counted(make_app: MakeCommandApp, tmp_path: Path) -> None:
    (tmp_path / "prices.yml").write_text('openai/house-model: {input: "1", output: "2"}\n')
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_PRICES_FILE=str(tmp_path / "prices.yml"))

    assert "1 from LLM_COST_PRICES_FILE" in prices(app.runtime, date(2026, 11, 22)).evidence


@pytest.mark.parametrize(
    ("file_of", "today", "status", "told"),
    [
        # The bundled prices are long out of date then, but a refreshed file stands above them.
        (date(2099, 5, 1), date(2099, 5, 31), "ok", ""),
        (date(2099, 5, 1), date(2099, 6, 1), "warn", "The newest prices are 31 days old"),
        (
            date(2025, 5, 1),
            date(2025, 5, 2),
            "warn",
            "The prices file is of 2025-05-01, older",
        ),
    ],
)
def test_the_age_of_a_refreshed_prices_file_counts(
    make_app: MakeCommandApp, tmp_path: Path, file_of: date, today: date, status: str, told: str
) -> None:
    path = tmp_path / "prices.yml"
    path.write_text(f"generated_at: {file_of}\nmodels:\n  openai/house-model: {{input: '1'}}\n")
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_PRICES_FILE=str(path))
    check = prices(app.runtime, today)

    assert check.status == status
    assert told in check.evidence
    assert (status == "ok") == (check.fix == "")


def test_what_waits_and_what_was_lost_is_shown(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_BUFFER_SIZE=1)
    for _ in range(3):
        app.tracker.track(provider="openai", model="gpt-5", input_tokens=1)
    check = checks(app)["pending"]

    assert check.status == "warn"
    assert check.evidence == "In this process: 1 pending, 2 dropped."


def test_answers_that_were_wrong_and_calls_of_finalizers_are_shown(
    make_app: MakeCommandApp, tmp_path: Path
) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}")
    app.runtime.recorder.note_problem("openai", "a count is negative")
    with ours(app.runtime.counters, "A call could not be recorded", silent=True):
        raise StorageError("the disk is full")
    app.runtime.recorder.record(made_events.event(), from_finalizer=True)
    check = waiting(app.runtime)

    assert check.status == "warn"
    assert check.evidence == "In this process: 1 pending, 1 answer problems, 1 unraised errors."


def test_calls_in_the_background_are_counted(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}")
    with app.flask.app_context():
        opened = app.runtime.recorder.begin(CallStart(provider="openai", operation="responses"))
    app.runtime.recorder.settle(opened, Observation(charge_id="resp_1", is_settled=False))
    check = checks(app)["pending"]

    assert check.status == "ok"
    assert check.evidence == "In this process: 0 pending, 1 in the background whose end was not seen here."


def test_the_command_prints_a_table_and_what_to_do(app: CommandApp) -> None:
    result = app.run("doctor")

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["Status", "Check"]
    assert "  calls: flask llm-cost verify-capture" in lines
    assert lines[-1].endswith("0 errors, 1 warning.") or "2 warnings" in lines[-1]
    assert result.stdout.isascii()


def test_an_error_makes_the_exit_code_1(make_app: MakeCommandApp, tmp_path: Path) -> None:
    result = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}").run("doctor")

    assert result.exit_code == 1
    assert "1 error" in result.stdout


def test_json_and_csv_carry_the_same_checks(stored: CommandApp) -> None:
    document = json.loads(stored.run("doctor", "--deep", "--format", "json").stdout)
    rows = list(csv.DictReader(io.StringIO(stored.run("doctor", "--deep", "--format", "csv").stdout)))

    assert document["ok"] is True
    assert [row["check"] for row in rows] == [check["check"] for check in document["checks"]]
    assert set(rows[0]) == {"check", "status", "evidence", "fix"}
    assert {check["status"] for check in document["checks"]} <= {"ok", "warn", "error"}


def test_the_hosts_own_session_is_left_alone(app: CommandApp) -> None:
    db: SQLAlchemy = app.db
    with app.flask.app_context():
        list(examine(app.runtime, deep=True))
        assert not db.session.registry.has()


def test_what_waits_in_the_journal_is_shown(make_app: MakeCommandApp, tmp_path: Path) -> None:
    def make() -> CommandApp:
        url = f"sqlite:///{tmp_path / 'a.sqlite'}"
        return make_app(url, LLM_COST_INGESTION="journal", LLM_COST_JOURNAL_DIR=str(tmp_path / "journal"))

    app = make()  # without tables: nothing can be written
    assert checks(app)["journal"].evidence.endswith(
        ": nothing pending, 0 files of running processes, 0 of others, 0 bytes set aside."
    )
    assert not (tmp_path / "journal").exists(), "looking makes nothing"
    app.tracker.track(provider="openai", model="gpt-5", input_tokens=1)
    check = checks(app)["journal"]
    assert check.status == "ok"
    assert ": 1 pending, the oldest for " in check.evidence
    assert check.evidence.endswith("1 files of running processes, 0 of others, 0 bytes set aside.")

    (late,) = journal(app.runtime, datetime.now(UTC) + timedelta(hours=3))
    assert (late.status, late.fix) == ("warn", "flask llm-cost flush")
    assert "the oldest for 3 h" in late.evidence

    app.tracker.shutdown()
    assert "0 files of running processes, 1 of others" in checks(make())["journal"].evidence


def test_without_deep_the_rollups_of_the_last_day_are_held_against_their_calls(app: CommandApp) -> None:
    app.call(at=datetime.now(UTC) - timedelta(days=3))
    with Session(app.ledger.engine) as session:
        session.execute(update(Rollup).values(calls=5))
        session.commit()
    found = checks(app)["rollups"]

    assert found.status == "ok"
    assert found.evidence.startswith("The rollups per hour since ")
    assert checks(app, deep=True)["rollups"].status == "error"


DROPS = {
    "sqlite": "DROP INDEX ix_llm_cost_calls_user",
    "postgresql": "DROP INDEX ix_llm_cost_calls_user",
    "mariadb": "DROP INDEX ix_llm_cost_calls_user ON llm_cost_calls",
}


def test_an_index_that_is_missing_is_a_warning_with_the_command(stored: CommandApp) -> None:
    assert checks(stored)["indexes"].evidence == "Every index is there."
    with stored.ledger.engine.begin() as connection:
        connection.exec_driver_sql(DROPS[stored.ledger.engine.dialect.name])
    check = checks(stored)["indexes"]

    assert (check.status, check.fix) == ("warn", "flask llm-cost setup")
    assert check.evidence.startswith("Indexes that are missing: ix_llm_cost_calls_user. ")


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
def test_keys_that_are_missing_are_told(stored: CommandApp) -> None:
    on_mariadb = stored.ledger.engine.dialect.name == "mariadb"
    kinds = ("KEY", "FOREIGN KEY") if on_mariadb else ("CONSTRAINT", "CONSTRAINT")
    with stored.ledger.engine.begin() as connection:
        connection.exec_driver_sql(
            f"ALTER TABLE llm_cost_line_items DROP {kinds[1]} fk_llm_cost_line_items_call_id"
        )
    check = checks(stored)["keys"]
    assert (check.status, check.evidence) == (
        "warn",
        "Foreign keys that are missing: fk_llm_cost_line_items_call_id.",
    )

    with stored.ledger.engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE llm_cost_calls DROP {kinds[0]} uq_llm_cost_calls_event_id")
    check = checks(stored)["keys"]
    assert (check.status, check.evidence) == (
        "error",
        "Keys that are missing: uq_llm_cost_calls_event_id. A call can be counted twice.",
    )


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_a_storage_engine_without_transactions_is_an_error(stored: CommandApp) -> None:
    with stored.ledger.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE llm_cost_quarantine ENGINE=MyISAM")
    check = checks(stored)["keys"]

    assert check.status == "error"
    assert "llm_cost_quarantine (MyISAM)" in check.evidence


def test_a_line_that_does_not_cost_what_it_says_is_an_error(stored: CommandApp) -> None:
    stored.call(
        usage=Usage(input_tokens=7, output_tokens=3, charges={"transcription_minute": Decimal(1) / 6})
    )
    stored.call()
    assert checks(stored)["rates"].status == "ok"
    with Session(stored.ledger.engine) as session:
        session.execute(update(LineItem).where(LineItem.component == "input").values(rate=Decimal("1.26")))
        session.commit()
    check = checks(stored)["rates"]

    assert check.status == "error"
    # 1,000 tokens at 1.26 a million.
    assert "2 of the latest 1,000 calls" in check.evidence
    assert "input costs 0.001250000000 instead of 0.001260000000" in check.evidence


def test_a_line_at_another_rate_than_the_frozen_one_is_an_error(app: CommandApp) -> None:
    app.call()
    with Session(app.ledger.engine) as session:
        both = {"rate": Decimal("2"), "cost": Decimal("0.002")}  # 1,000 tokens at 2 a million
        session.execute(update(LineItem).where(LineItem.component == "input").values(both))
        session.commit()

    assert "input at 2.000000000000, frozen were 1.25" in checks(app)["rates"].evidence


def test_a_discount_is_a_part_of_the_frozen_rate(make_app: MakeCommandApp, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.sqlite'}"
    app = make_app(url, LLM_COST_DISCOUNTS={"openai": "0.15"}).create_tables()
    app.call()
    check = checks(app)["rates"]

    assert (
        check.evidence
        == "2 lines of the latest 1,000 calls looked at: each costs its quantity times its frozen rate."
    )


def test_windows_of_budgets_are_held_against_their_calls(make_app: MakeCommandApp, tmp_path: Path) -> None:
    budgets = [Budget("everything", "10", "month")]
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", budgets=budgets).create_tables()
    app.call()
    found = checks(app, deep=True)
    assert found["budget windows"].evidence == "1 open window looked at: every one equals its calls."
    assert found["alerts"].evidence == "No alert of the last 7 days waits for its channel."

    with Session(app.ledger.engine) as session:
        session.execute(update(BudgetWindow).values(spent=Decimal("3")))
        session.commit()
    check = checks(app, deep=True)["budget windows"]
    assert (check.status, check.fix) == ("error", "flask llm-cost budgets reconcile")
    # 1,000 tokens at 1.25 and 100 at 10 a million.
    assert check.evidence == (
        "1 window of 1 differ from their calls; the first: everything, 3 USD instead of 0.00225."
    )
    assert "budget windows" not in checks(app)


def test_alerts_that_nobody_got_are_a_warning(make_app: MakeCommandApp, tmp_path: Path) -> None:
    budgets = [Budget("everything", "10", "month")]
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", budgets=budgets).create_tables()
    now = datetime.now(UTC)
    alert = {
        "budget": "everything",
        "definition": "d",
        "scope": "",
        "threshold": Decimal("0.8"),
        "limit_amount": Decimal(10),
        "spent": Decimal(8),
        "window_start": now,
        "found_by": "somebody",
    }
    told = {
        "attempts": 3,
        "failure": "404",
        "is_given_up": True,
        "owner": "",
        "claimed_until": 0,
    }
    with Session(app.ledger.engine) as session:
        for number, reached in enumerate((now, now - timedelta(days=8)), start=1):
            session.execute(
                insert(BudgetAlert).values(id=number, window_key=str(number), reached_at=reached, **alert)
            )
            session.execute(insert(AlertDelivery).values(alert_id=number, channel="webhook", **told))
        session.commit()
    check = checks(app)["alerts"]

    assert (check.status, check.evidence) == (
        "warn",
        "Alerts of the last 7 days that nobody got: webhook 1 (404).",
    )


def test_strict_makes_the_exit_code_1_for_warnings(app: CommandApp) -> None:
    assert app.run("doctor").exit_code == 0  # no call is recorded yet: a warning
    result = app.run("doctor", "--strict", "--format", "json")

    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["ok"], document["errors"]) == (False, 0)
    assert document["warnings"] == sum(check["status"] == "warn" for check in document["checks"]) > 0


def untracked() -> Flask:
    return Flask("plain")


def misconfigured() -> Flask:
    app = Flask("plain")
    app.config["LLM_COST_INSTRUMENT"] = ["opnai"]
    LLMCostTracker(app)
    return app


@pytest.mark.parametrize(
    ("create_app", "told"),
    [
        (untracked, "This app does not track LLM costs yet."),
        (misconfigured, "The app cannot start: LLM_COST_INSTRUMENT: unknown SDK 'opnai'"),
    ],
)
def test_an_app_that_cannot_be_examined_is_an_error_for_programs_too(
    create_app: Callable[[], Flask], told: str
) -> None:
    arguments = ["llm-cost", "doctor", "--format", "json"]
    result = CliRunner().invoke(FlaskGroup(create_app=create_app), arguments)

    assert result.exit_code == 1
    (check,) = json.loads(result.stdout)["checks"]
    assert (check["check"], check["status"]) == ("configuration", "error")
    assert check["evidence"].startswith(told)
    assert check["fix"]
