"""What the start of an app loads: every worker of every host pays for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Needed by some apps, commands or requests only, and slow to import.
RARELY_NEEDED = {
    "celery",
    "multiprocessing",
    "rich",
    "yaml",
    "flask_llm_cost.analytics",
    "flask_llm_cost.cli.report",
    "flask_llm_cost.doctor",
    "flask_llm_cost.maintenance",
    "flask_llm_cost.pricing.explanation",
    "flask_llm_cost.pricing.refresh",
    "sqlalchemy.dialects.postgresql",
}
#: Slow too, and loaded by ``init_app`` where an app has them.
OF_AN_APP = {
    "flask_llm_cost.dashboard",
    "flask_llm_cost.ingest.choice",
    "flask_llm_cost.journal",
    "flask_llm_cost.ledger",
    "sqlalchemy.dialects.mysql",
}
APP = """
import flask, flask_sqlalchemy, flask_llm_cost
app = flask.Flask("app")
app.config.update({config})
flask_llm_cost.LLMCostTracker(app, flask_sqlalchemy.SQLAlchemy(app))
"""
STORED = APP.format(config="SQLALCHEMY_DATABASE_URI='sqlite://'")
LOGGED = APP.format(
    config="SQLALCHEMY_DATABASE_URI='sqlite://', LLM_COST_STORAGE='log', LLM_COST_DASHBOARD=False"
)


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def test_an_import_loads_nothing_that_not_every_worker_needs() -> None:
    loaded = loaded_by("import flask_llm_cost")

    assert "flask_llm_cost.extension" in loaded
    assert not loaded & (RARELY_NEEDED | OF_AN_APP)


def test_init_app_loads_nothing_that_only_some_requests_or_commands_need() -> None:
    loaded = loaded_by(STORED)

    assert loaded >= OF_AN_APP
    assert not loaded & RARELY_NEEDED


def test_an_app_without_ledger_and_dashboard_loads_neither() -> None:
    assert not loaded_by(LOGGED) & (RARELY_NEEDED | OF_AN_APP)


@pytest.mark.parametrize("app", [STORED, LOGGED], ids=["stored", "logged"])
def test_the_first_call_finds_everything_loaded(app: str) -> None:
    call = "\nwith app.app_context(): flask_llm_cost.track(provider='openai', model='gpt-5', input_tokens=1)"

    ours = {name for name in loaded_by(app + call) - loaded_by(app) if name.startswith("flask_llm_cost")}

    assert not ours


def test_the_models_are_public_names_though_they_are_loaded_late() -> None:
    code = (
        "import flask_llm_cost; from flask_llm_cost import *;"
        "assert [it.__name__ for it in (LlmCall, LineItem, CallTag)] == ['LlmCall', 'LineItem', 'CallTag'];"
        "assert not hasattr(flask_llm_cost, 'Rollup')"
    )

    assert "flask_llm_cost.ledger.models" in loaded_by(code)
