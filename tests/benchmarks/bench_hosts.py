"""Two hosts of four processes each store calls in one database at once, for ``make bench-hosts``.

    python -m tests.benchmarks.bench_hosts URL [--calls 2000]

Each host has a journal directory of its own and each process an app of its own, as on two machines; they meet
in the database only. Every process records its calls, and is done when its journal is empty. Then calls, tags
and rollups are counted: not one may be missing or there twice. Use an empty database.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy import func
from sqlalchemy import select

from flask_llm_cost.ledger import Base
from flask_llm_cost.ledger import CallTag
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import create_ledger_engine
from flask_llm_cost.ledger import rollup_drift

HOSTS, PROCESSES = 2, 4

PROCESS = """
import sys
import time
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_llm_cost import LLMCostTracker, with_tags

url, journal, number, calls = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
app = Flask("host")
app.config.update(
    SQLALCHEMY_DATABASE_URI=url,
    LLM_COST_INSTRUMENT=None,
    LLM_COST_DASHBOARD=False,
    LLM_COST_INGESTION="journal",
    LLM_COST_JOURNAL_DIR=journal,
    LLM_COST_ROLLUP_TAGS=["tenant"],
)
db = SQLAlchemy(app)
tracker = LLMCostTracker(app, db)
print("ready", flush=True)
sys.stdin.readline()
for n in range(calls):
    with app.app_context(), with_tags(tenant=f"t{n % 20}", feature="chat"):
        tracker.track(
            provider="openai", model=("gpt-5", "gpt-5-mini", "gpt-5-nano")[n % 3],
            input_tokens=100, output_tokens=n % 50,
        )
recorded = time.monotonic()
with app.app_context():
    assert tracker.flush(timeout=600)
print("recorded", recorded, "stored", time.monotonic(), flush=True)
"""


def run(url: str, calls: int) -> None:
    """Let all processes store ``calls`` each, and print what came of it."""
    host = create_engine(url)
    Base.metadata.create_all(host)
    with tempfile.TemporaryDirectory() as directory:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", PROCESS, url, str(Path(directory) / f"host{number % HOSTS}"),
                 str(number), str(calls)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for number in range(HOSTS * PROCESSES)
        ]  # fmt: skip
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        started = time.monotonic()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [process.communicate()[0].split() for process in processes]
        assert all(process.returncode == 0 for process in processes)
    recorded, stored = (max(float(line[place]) for line in told) - started for place in (1, 3))
    total = calls * HOSTS * PROCESSES
    print(
        f"{host.dialect.name}: {total:,} calls of {HOSTS} hosts with {PROCESSES} processes each; recorded in "
        f"{recorded:.1f} s, stored in {stored:.1f} s: {total / stored:,.0f} calls a second"
    )
    _check(Ledger(create_ledger_engine(host)), total)


def _check(ledger: Ledger, total: int) -> None:
    with ledger.session() as session:
        calls = session.scalar(select(func.count()).select_from(LlmCall))
        tags = session.scalar(select(func.count()).select_from(CallTag))
    with ledger.session() as session:
        wrong = len(rollup_drift(session))
    exact = (calls, tags, wrong) == (total, 2 * total, 0)
    print(
        f"  {calls:,} calls and {tags:,} tags are there, {wrong} rollups differ: "
        f"{'exact' if exact else 'WRONG'}"
    )
    ledger.engine.dispose()
    if not exact:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--calls", type=int, default=2_000, help="of each process")
    arguments = parser.parse_args()
    for url in arguments.urls:
        run(url, arguments.calls)


if __name__ == "__main__":
    main()
