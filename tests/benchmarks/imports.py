"""What ``import flask_llm_cost`` and ``init_app`` add to the start of an app that has all they need.

As an installed package has it, bytecode is there: a first run, which is not counted, writes it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

_START = """
import time
import flask, flask_sqlalchemy, openai
app = flask.Flask("bench")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///bench.sqlite"
db = flask_sqlalchemy.SQLAlchemy(app)
with app.app_context():
    db.engine  # loads the dialect, as every app does
begun = time.process_time()
import flask_llm_cost
imported = time.process_time()
flask_llm_cost.LLMCostTracker(app, db)
print((imported - begun) * 1e3, (time.process_time() - imported) * 1e3)
"""
_RUNS = 15


def report_imports() -> None:
    """Print milliseconds of processor time in fresh processes."""
    runs = [_run() for _ in range(_RUNS + 1)][1:]
    for number, what in enumerate(("import", "init_app", "both")):
        times = sorted(run[number] for run in runs)
        print(
            f"{what:<25}cpu   median {statistics.median(times):4.0f} ms, best {times[0]:.0f} ms of {_RUNS} "
            "(beyond Flask, Flask-SQLAlchemy and openai)",
            flush=True,
        )


def _run() -> tuple[float, ...]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    told = subprocess.check_output([sys.executable, "-c", _START], env=environment, text=True)
    imported, initialised = map(float, told.split())
    return imported, initialised, imported + initialised
