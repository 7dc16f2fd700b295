"""``flask llm-cost budgets alerts``: what was told, and whether a channel works."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import Result

from flask_llm_cost import Budget
from flask_llm_cost import Usage
from tests.budgets.conftest import BudgetApp
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.receiving import SECRET
from tests.budgets.receiving import HookServer
from tests.budgets.receiving import hook_server
from tests.budgets.receiving import mail_server
from tests.loopback import closed_port


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with hook_server() as server:
        yield server


def run(app: BudgetApp, *arguments: str) -> Result:
    return app.flask.test_cli_runner().invoke(args=["llm-cost", "budgets", "alerts", *arguments])


def made(make_app: MakeBudgetApp, **config: Any) -> BudgetApp:
    app = make_app(Budget("chat", "0.001", "total", thresholds=(1.0,), per="tenant"), config=config)
    with app.flask.app_context(), app.tracker.with_tags(tenant="acme"):
        app.tracker.track(provider="openai", model="gpt-5", usage=Usage(input_tokens=1_000))
    return app


def test_alerts_are_listed_with_what_became_of_them(make_sqlite_app: MakeBudgetApp, hook: HookServer) -> None:
    app = made(make_sqlite_app, LLM_COST_ALERT_WEBHOOK_URL=hook.url)
    app.runtime.flush()
    app.runtime.close(30)
    shown = run(app)
    assert shown.exit_code == 0
    assert "chat" in shown.stdout
    assert "webhook sent" in shown.stdout
    (alert,) = json.loads(run(app, "--format", "json").stdout)["alerts"]
    assert (alert["scope"], alert["spent"], alert["told"]) == ("acme", "0.001250000000", "webhook sent")
    (row,) = csv.DictReader(io.StringIO(run(app, "--format", "csv").stdout))
    assert row["budget"] == "chat"


def test_before_the_first_alert_it_says_so(make_sqlite_app: MakeBudgetApp) -> None:
    assert "No threshold was reached yet." in run(make_sqlite_app(Budget("chat", "9", "day"))).stdout


def test_a_test_alert_goes_over_every_channel(make_sqlite_app: MakeBudgetApp, hook: HookServer) -> None:
    with mail_server() as inbox:
        app = make_sqlite_app(
            config={
                "LLM_COST_ALERT_WEBHOOK_URL": hook.url,
                "LLM_COST_ALERT_EMAIL_TO": "ops@example.com",
                "LLM_COST_ALERT_EMAIL_FROM": "costs@example.com",
                "LLM_COST_ALERT_SMTP_URL": f"smtp://127.0.0.1:{inbox.port}",
            }
        )
        shown = run(app, "--test")
    assert (shown.exit_code, shown.stdout) == (0, "webhook: delivered\nemail: delivered\n")
    assert hook.texts == [
        "Budget test has reached its limit (this is a test): $1.00 of $1.00 spent, 100 %, in all."
    ]
    assert len(inbox.mails) == 1


def test_a_channel_that_fails_is_named_with_exit_code_1_and_without_its_address(
    make_sqlite_app: MakeBudgetApp,
) -> None:
    app = make_sqlite_app(config={"LLM_COST_ALERT_WEBHOOK_URL": f"http://127.0.0.1:{closed_port()}/{SECRET}"})
    shown = run(app, "--test")
    assert (shown.exit_code, shown.stdout) == (1, "webhook: not delivered (ConnectionRefusedError)\n")


def test_without_a_channel_a_test_says_what_to_set(make_sqlite_app: MakeBudgetApp) -> None:
    shown = run(make_sqlite_app(), "--test")
    assert shown.exit_code == 1
    assert "set LLM_COST_ALERT_WEBHOOK_URL" in shown.stderr
