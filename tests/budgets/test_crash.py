"""A worker that is killed in the middle: what it had set aside is free after its time, and sums are exact."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flask_llm_cost import BudgetExceededError
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.conftest import reserve
from tests.budgets.test_reserve import ask
from tests.loopback import LoopbackProvider

pytestmark = pytest.mark.slow

WORKER = """
import os, signal, sys
import openai
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_llm_cost import LLMCostTracker
from tests.budgets.conftest import reserve

url, folder, provider, moment = sys.argv[1:]
app = Flask("harbour", instance_path=folder)
app.config.update(SQLALCHEMY_DATABASE_URI=url, LLM_COST_DASHBOARD=False)
db = SQLAlchemy(app)
LLMCostTracker(app, db, budgets=[reserve("0.015", lease=3)])
client = openai.OpenAI(api_key="loopback", base_url=provider + "/v1")
stream = client.chat.completions.create(
    model="gpt-5-mini", messages=[{"role": "user", "content": "Open?"}], stream=True,
    stream_options={"include_usage": True},
)
if moment == "settled":
    list(stream)
os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_one(url: str, folder: Path, provider: LoopbackProvider, moment: str) -> None:
    """Run a worker that is killed while its call is under way, or right after it has returned."""
    done = subprocess.run(
        [sys.executable, "-c", WORKER, url, str(folder), provider.url, moment],
        capture_output=True, text=True, timeout=120, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == -9, done.stderr


def test_a_worker_killed_in_the_middle_of_a_call_holds_its_reservation_until_its_time_is_over(
    make_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider, database_url: str, tmp_path: Path
) -> None:
    app = make_app(reserve("0.015", lease=3))
    kill_one(database_url, tmp_path, provider, "under way")
    (lease,) = app.reservations
    assert app.window.reserved == lease.amount

    deadline = time.monotonic() + 60
    while True:
        try:
            ask(openai_client)
            break
        except BudgetExceededError:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    (call,) = (call for call in app.calls if call.status == "ok")
    assert (app.window.spent, app.window.reserved, app.reservations) == (call.total_cost, 0, [])


def test_a_worker_killed_after_its_call_returned_has_spent_what_it_cost(
    make_app: MakeBudgetApp, provider: LoopbackProvider, database_url: str, tmp_path: Path
) -> None:
    options = {"TESTING": False, "LLM_COST_JOURNAL_DIR": str(tmp_path / "llm_cost")}
    app = make_app(reserve("0.015", lease=3600), config=options)
    kill_one(database_url, tmp_path, provider, "settled")

    (call,) = app.calls  # who asks adopts the journals of the dead

    assert call.total_cost
    assert (app.window.spent, app.window.reserved, app.reservations) == (call.total_cost, 0, [])
