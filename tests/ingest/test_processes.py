"""However a process begins and ends in the ordinary way, its calls are in the ledger once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SCRIPT = """
    import os, sys, time
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from flask_llm_cost import LLMCostTracker, track

    app = Flask("script", instance_path=os.path.dirname(sys.argv[1]))
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///" + sys.argv[1]
    app.config["LLM_COST_INGESTION"] = sys.argv[2]
    db = SQLAlchemy(app)
    tracker = LLMCostTracker(app)
    with app.app_context():
        db.create_all()
"""


@pytest.fixture(params=["inline", "journal"])
def ingestion(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(path: Path, ingestion: str, body: str) -> int:
    """Run a script that uses the tracker and count the rows it left."""
    script = textwrap.dedent(SCRIPT) + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(path), ingestion],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(path) as connection:
        count = int(connection.execute("SELECT count(*) FROM llm_cost_calls").fetchone()[0])
    connection.close()
    return count


def test_a_script_without_any_context_is_written_at_exit(tmp_path: Path, ingestion: str) -> None:
    rows = run(
        tmp_path / "app.db", ingestion, 'track(provider="openai", model="gpt-4o-mini", input_tokens=1)'
    )
    assert rows == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_parent_and_forked_children_each_write_their_own_calls_once(tmp_path: Path, ingestion: str) -> None:
    body = """
        def call():
            track(provider="openai", model="gpt-4o-mini", input_tokens=1)
        call()
        children = []
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                call()
                os._exit(0 if tracker.flush(timeout=20) else 1)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)
    """
    assert run(tmp_path / "app.db", ingestion, body) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_of_multiprocessing_write_their_calls_when_they_end(
    tmp_path: Path, ingestion: str, method: str
) -> None:
    worker = """
        import sys
        from flask import Flask
        from flask_llm_cost import LLMCostTracker, track
        from flask_sqlalchemy import SQLAlchemy
        import os
        app = Flask("shop", instance_path=os.path.dirname(sys.argv[1]))
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{sys.argv[1]}"
        app.config["LLM_COST_INGESTION"] = sys.argv[2]
        tracker = LLMCostTracker(app, SQLAlchemy(app))
        def call():
            track(provider="openai", model="gpt-4o-mini", input_tokens=1)
    """
    (tmp_path / "worker.py").write_text(textwrap.dedent(worker))
    body = f"""
        import multiprocessing
        sys.path.insert(0, {str(tmp_path)!r})
        tracker.shutdown()
        from worker import call
        workers = [multiprocessing.get_context({method!r}).Process(target=call) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    """
    assert run(tmp_path / "app.db", ingestion, body) == 2
