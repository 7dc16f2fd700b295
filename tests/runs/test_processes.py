"""Child processes, however they are made: each writes its own calls, with the tags it was forked with."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.runs.conftest import LedgerReader

SCRIPT = """
    import multiprocessing
    import os
    import sys
    from concurrent.futures import ProcessPoolExecutor

    from flask import Flask
    from flask_llm_cost import LLMCostTracker, track, with_tags
    from flask_sqlalchemy import SQLAlchemy

    app = Flask("shop", instance_path=os.environ["SHOP_INSTANCE"])
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SHOP_DATABASE"]
    tracker = LLMCostTracker(app, SQLAlchemy(app))

    def call(made_by):
        with with_tags(made_by=made_by):
            track(provider="openai", model="gpt-4o-mini", input_tokens=1)

    if __name__ == "__main__":
        with with_tags(feature="import"):
            call("nobody")
            for method in ("fork", "spawn"):
                child = multiprocessing.get_context(method).Process(target=call, args=(method,))
                child.start()
                child.join()
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
                list(pool.map(call, ["pool", "pool"]))
            if os.fork() == 0:
                call("os.fork")
                os._exit(0 if tracker.flush(timeout=10) else 1)
            assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_every_process_writes_its_own_calls(ledger: LedgerReader, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(textwrap.dedent(SCRIPT), "utf-8")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "work.py")],
        env={**os.environ, "SHOP_DATABASE": ledger.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "flask_llm_cost" not in done.stderr, done.stderr
    found = [(row["tags"]["made_by"], row["tags"].get("feature")) for row in ledger.rows()]
    assert found == [
        ("nobody", "import"),
        ("fork", "import"),
        ("spawn", None),
        ("pool", "import"),
        ("pool", "import"),
        ("os.fork", "import"),
    ]
    assert ledger.sums_are_those_of_the_calls()
