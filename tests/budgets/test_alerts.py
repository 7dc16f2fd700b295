"""Thresholds are told to people once, by whichever process, whatever happens on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest
from sqlalchemy import update

from flask_llm_cost import Budget
from flask_llm_cost import budget_exceeded
from flask_llm_cost import budget_threshold_reached
from flask_llm_cost.budgets.alerting.delivery import AlertSender
from flask_llm_cost.budgets.alerting.outbox import ALERTS
from flask_llm_cost.budgets.alerting.outbox import DELIVERIES
from flask_llm_cost.budgets.alerting.outbox import LedgerOutbox
from flask_llm_cost.budgets.alerting.webhook import Webhook
from flask_llm_cost.counters import Counters
from flask_llm_cost.ledger import AlertDelivery
from flask_llm_cost.ledger import BudgetAlert
from tests.budgets.conftest import BudgetApp
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.receiving import SECRET
from tests.budgets.receiving import HookServer
from tests.budgets.receiving import hook_server
from tests.budgets.receiving import mail_server
from tests.loopback import LoopbackProvider
from tests.loopback import closed_port

#: A call of gpt-5 as the provider answers it: 100 fresh, 20 cached, 48 out.
COST = Decimal("0.0006075")


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with hook_server() as server:
        yield server


def keys(hook: HookServer) -> dict[str, Any]:
    return {"LLM_COST_ALERT_WEBHOOK_URL": hook.url}


def ask(client: openai.OpenAI) -> None:
    client.chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": "When?"}], max_completion_tokens=48
    )


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until it holds; the patience is for a slow machine and says nothing of how long it takes."""
    for _ in range(1_200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def budget(limit: Decimal = COST * 2, **options: Any) -> Budget:
    return Budget("chat", limit, "total", **{"thresholds": (0.5, 1.0), **options})


def test_calls_that_reach_thresholds_are_told_of_once_each_by_log_mail_and_webhook(
    make_app: MakeBudgetApp,
    openai_client: openai.OpenAI,
    hook: HookServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with mail_server() as inbox:
        mail = {
            "LLM_COST_ALERT_EMAIL_TO": "ops@example.com",
            "LLM_COST_ALERT_EMAIL_FROM": "costs@example.com",
            "LLM_COST_ALERT_SMTP_URL": f"smtp://127.0.0.1:{inbox.port}",
        }
        app = make_app(budget(), config={**keys(hook), **mail})
        with app.flask.app_context():
            for _ in range(4):
                ask(openai_client)
                app.runtime.flush()
        assert len(app.calls) == 4
        eventually(lambda: len(hook.received) == 2 and len(inbox.mails) == 2, "two alerts on each channel")
        eventually(lambda: all(row.delivered_at for row in app.rows(AlertDelivery)), "both are noted")
        app.close()
    rows = app.rows(AlertDelivery)
    assert [(row.channel, row.attempts, row.failure) for row in rows] == [
        ("email", 1, None), ("webhook", 1, None), ("email", 1, None), ("webhook", 1, None),
    ]  # fmt: skip
    half, full = sorted(hook.texts)
    assert half.startswith("Budget chat has reached 50 % (harbour): $0.0006075 of $0.001215 spent")
    assert full.startswith("Budget chat has reached its limit (harbour): $0.001215 of $0.001215 spent, 100 %")
    assert sorted(mail["subject"] for mail in inbox.mails) == [
        "Budget chat has reached 50 % (harbour)", "Budget chat has reached its limit (harbour)",
    ]  # fmt: skip
    logged = [record.message for record in caplog.records if record.message.startswith("Budget chat")]
    assert sorted(logged) == [half, full]


def test_nobody_is_told_where_the_app_says_so_and_its_own_receivers_still_are(
    make_sqlite_app: MakeBudgetApp, openai_client: openai.OpenAI, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_sqlite_app(budget(COST), config={"LLM_COST_ALERT_LOG": False})
    heard: list[tuple[str, Decimal]] = []

    def hear(sender: object, alert: Any) -> None:
        heard.append((alert.budget.name, alert.threshold))

    budget_threshold_reached.connect(hear, sender=app.flask)
    budget_exceeded.connect(hear, sender=app.flask)
    with app.flask.app_context():
        ask(openai_client)
    assert len(app.rows(BudgetAlert)) == 2
    assert sorted(heard) == [("chat", Decimal("0.5")), ("chat", Decimal(1))]
    assert "Budget chat" not in caplog.text
    assert app.rows(AlertDelivery) == []


def test_in_memory_sqlite_alerts_are_sent_too(
    make_sqlite_app: MakeBudgetApp, openai_client: openai.OpenAI, hook: HookServer
) -> None:
    hook.answers.append(503)
    app = make_sqlite_app(budget(COST, thresholds=(1.0,)), url="sqlite://", config=keys(hook))
    with app.flask.app_context():
        ask(openai_client)
    app.runtime.flush()
    eventually(lambda: app.runtime.counters["alert_errors"] == 1, "a first attempt that fails")
    assert hook.received == []
    eventually(lambda: len(hook.received) == 1, "a second attempt")
    assert "its limit" in hook.texts[0]


def test_a_process_that_ends_tells_of_the_call_that_ended_it(
    make_sqlite_app: MakeBudgetApp, openai_client: openai.OpenAI, hook: HookServer
) -> None:
    app = make_sqlite_app(budget(COST, thresholds=(1.0,)), config=keys(hook))
    with app.flask.app_context():
        ask(openai_client)
    app.close()
    assert len(hook.received) == 1


# The outbox itself, on every kind of database.


@pytest.fixture
def stored(make_app: MakeBudgetApp) -> BudgetApp:
    """An app without channels, whose alerts the tests put into the table."""
    return make_app(budget(), config={"LLM_COST_ALERT_LOG": False})


def put(app: BudgetApp, *ages: timedelta) -> None:
    """Alerts that were reached so long ago."""
    now = datetime.now(UTC)
    rows = [
        {
            "budget": "chat", "definition": "0f", "scope": f"user{number}", "window_key": f"{number}",
            "threshold": Decimal("0.8"), "limit_amount": Decimal(10), "spent": Decimal("8.5"),
            "window_start": now - timedelta(days=30), "window_end": None, "reached_at": now - age,
            "found_by": "",
        }
        for number, age in enumerate(ages)
    ]  # fmt: skip
    assert app.runtime.ledger is not None
    app.runtime.ledger.transaction(lambda connection: connection.execute(ALERTS.insert(), rows))


def sender(app: BudgetApp, hook: HookServer, counters: Counters | None = None) -> AlertSender:
    source = app.runtime.ledger_source
    assert source is not None
    return AlertSender(lambda: LedgerOutbox(source, "harbour"), [Webhook(hook.url)], counters or Counters())


def pass_time(app: BudgetApp) -> None:
    """End every claim, as the database's clock would."""
    assert app.runtime.ledger is not None
    app.runtime.ledger.transaction(
        lambda connection: connection.execute(update(DELIVERIES).values(claimed_until=0))
    )


def test_many_processes_send_each_alert_once(stored: BudgetApp, hook: HookServer) -> None:
    put(stored, *[timedelta(minutes=minute) for minute in range(12)])
    senders = [sender(stored, hook) for _ in range(6)]
    start = threading.Barrier(len(senders))

    def run(one: AlertSender) -> None:
        start.wait()
        one.send_waiting()

    threads = [threading.Thread(target=run, args=(one,)) for one in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in senders:
        one.send_waiting()
    assert sorted(payload["alert"]["scope"] for payload in hook.received) == sorted(
        f"user{number}" for number in range(12)
    )
    assert len({payload["alert"]["id"] for payload in hook.received}) == 12


def test_the_oldest_alert_comes_first_and_yesterdays_is_news_to_nobody(
    stored: BudgetApp, hook: HookServer
) -> None:
    put(stored, timedelta(minutes=1), timedelta(hours=23), timedelta(hours=25))
    assert sender(stored, hook).send_waiting()
    assert [payload["alert"]["scope"] for payload in hook.received] == ["user1", "user0"]


def test_a_failure_is_noted_and_tried_again_later_under_the_same_key(
    stored: BudgetApp, hook: HookServer, caplog: pytest.LogCaptureFixture
) -> None:
    put(stored, timedelta(0))
    hook.answers.extend([500, 502])
    one = sender(stored, hook)
    assert not one.send_waiting()
    one.send_waiting()  # not its turn yet
    assert hook.received == []
    pass_time(stored)
    assert not one.send_waiting()
    (row,) = stored.rows(AlertDelivery)
    assert (row.attempts, row.failure, row.delivered_at, row.is_given_up) == (2, "HTTP 502", None, False)
    pass_time(stored)
    one.send_waiting()
    (row,) = stored.rows(AlertDelivery)
    assert (row.attempts, row.failure) == (3, None)
    assert row.delivered_at is not None
    pass_time(stored)
    one.send_waiting()
    assert len(hook.received) == 1
    assert SECRET not in caplog.text
    assert "could not be delivered by webhook: HTTP 500; it is tried again" in caplog.text


def test_what_can_never_be_delivered_is_given_up_and_the_next_is_sent(
    stored: BudgetApp, hook: HookServer
) -> None:
    put(stored, timedelta(minutes=2), timedelta(minutes=1))
    hook.answers.append(404)
    one = sender(stored, hook)
    assert not one.send_waiting()
    pass_time(stored)
    assert one.send_waiting()
    assert [payload["alert"]["scope"] for payload in hook.received] == ["user1"]
    given_up, delivered = stored.rows(AlertDelivery)
    assert (given_up.is_given_up, given_up.failure) == (True, "HTTP 404")
    assert delivered.delivered_at is not None


def test_what_was_sent_is_not_sent_again_while_the_database_cannot_be_told(
    stored: BudgetApp, hook: HookServer
) -> None:
    put(stored, timedelta(0))
    outbox = _Forgetful(stored.runtime.ledger_source, "harbour")
    one = AlertSender(lambda: outbox, [Webhook(hook.url)], Counters())
    outbox.fails = True
    assert not one.send_waiting()
    assert not one.send_waiting()
    assert len(hook.received) == 1
    outbox.fails = False
    assert one.send_waiting()
    (row,) = stored.rows(AlertDelivery)
    assert row.delivered_at is not None
    assert len(hook.received) == 1


class _Forgetful(LedgerOutbox):
    """A database that goes away between the claim and the note."""

    fails = False

    def delivered(self, delivery: Any) -> None:
        if self.fails:
            raise ConnectionError
        super().delivered(delivery)


KILLED = """
import sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_llm_cost import Budget, LLMCostTracker, Usage
from flask_llm_cost.runtime import runtime_of

app = Flask("harbour")
app.config.update(
    SQLALCHEMY_DATABASE_URI=sys.argv[1], LLM_COST_DASHBOARD=False, LLM_COST_ALERT_WEBHOOK_URL=sys.argv[2],
    LLM_COST_INSTRUMENT=None,
)
db = SQLAlchemy(app)
tracker = LLMCostTracker(app, db, budgets=[Budget("chat", "0.0001", "total", thresholds=(1.0,))])
with app.app_context():
    tracker.track(provider="openai", model="gpt-5", usage=Usage(input_tokens=1000, output_tokens=10))
    tracker.flush()
print("written", flush=True)
sys.stdin.read()
"""


def test_an_alert_of_a_killed_process_is_sent_by_another(
    stored: BudgetApp, hook: HookServer, tmp_path: Path
) -> None:
    hook.may_answer.clear()
    url = stored.flask.config["SQLALCHEMY_DATABASE_URI"]
    shown = url.render_as_string(hide_password=False) if hasattr(url, "render_as_string") else str(url)
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    arguments = [sys.executable, str(script), shown, hook.url]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert hook.arrived.acquire(timeout=60), "it never sent"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
    hook.may_answer.set()
    hook.received.clear()  # it arrived, but nobody heard the answer: the process was killed before
    one = sender(stored, hook)
    assert one.send_waiting()
    assert hook.received == []  # still the killed one's
    pass_time(stored)
    assert one.send_waiting()
    assert len(hook.received) == 1
    (row,) = stored.rows(AlertDelivery)
    assert row.attempts == 2
    assert row.delivered_at is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_worker_sends_with_a_thread_of_its_own(tmp_path: Path, hook: HookServer) -> None:
    script = tmp_path / "forking.py"
    script.write_text(FORKING)
    url = f"sqlite:///{tmp_path / 'app.sqlite'}"
    arguments = [sys.executable, str(script), url, hook.url]
    done = subprocess.run(
        arguments, capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    assert sorted(payload["alert"]["budget"] for payload in hook.received) == ["child", "parent"]


FORKING = """
import os, sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_llm_cost import Budget, LLMCostTracker, Usage

app = Flask("harbour")
app.config.update(
    SQLALCHEMY_DATABASE_URI=sys.argv[1], LLM_COST_DASHBOARD=False, LLM_COST_ALERT_WEBHOOK_URL=sys.argv[2],
    LLM_COST_INSTRUMENT=None,
)
db = SQLAlchemy(app)
budgets = [
    Budget(name, "0.0001", "total", where={"tag:process": name}, thresholds=(1.0,))
    for name in ("parent", "child")
]
tracker = LLMCostTracker(app, db, budgets=budgets)

def call(process):
    with app.app_context(), tracker.with_tags(process=process):
        tracker.track(provider="openai", model="gpt-5", usage=Usage(input_tokens=1000, output_tokens=10))
        tracker.flush()

with app.app_context():
    db.create_all()
call("parent")
child = os.fork()
if child == 0:
    call("child")
    with app.app_context():
        tracker.shutdown()
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_channel_that_is_away_does_not_hold_up_the_others_and_tells_no_address(
    stored: BudgetApp, hook: HookServer, caplog: pytest.LogCaptureFixture
) -> None:
    put(stored, timedelta(0))

    class Other(Webhook):
        name = "other"

    away = Other(f"http://127.0.0.1:{closed_port()}/{SECRET}")
    source, counters = stored.runtime.ledger_source, Counters()
    assert source is not None
    one = AlertSender(lambda: LedgerOutbox(source, "harbour"), [away, Webhook(hook.url)], counters)
    assert not one.send_waiting()
    assert len(hook.received) == 1
    assert counters["alert_errors"] == 1
    assert SECRET not in caplog.text
    assert all(record.exc_info is None for record in caplog.records if record.name == "flask_llm_cost")
    assert {row.channel: row.failure for row in stored.rows(AlertDelivery)} == {
        "other": "ConnectionRefusedError",
        "webhook": None,
    }


def test_calls_do_not_wait_for_a_channel(
    make_sqlite_app: MakeBudgetApp, openai_client: openai.OpenAI, hook: HookServer, provider: LoopbackProvider
) -> None:
    hook.may_answer.clear()
    app = make_sqlite_app(budget(COST, thresholds=(1.0,)), config=keys(hook))
    with app.flask.app_context():
        ask(openai_client)
        app.runtime.flush()
        assert hook.arrived.acquire(timeout=60)
        ask(openai_client)  # while the webhook has not answered
        assert app.runtime.flush()
    assert len(app.calls) == 2
    hook.may_answer.set()
