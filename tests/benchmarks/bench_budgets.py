"""What budgets cost, and by how much they are crossed by many processes at one limit. ``make bench-budgets``.

Each worker is a process with an app of its own; all share one database and one budget, whose limit is what
200 calls cost. A call goes through the tracker's own transport of httpx to a provider that takes 20 ms and
bills every call alike; its estimate is 1.43 times that. A worker goes on until it is refused over and over.
Overshoot is what was spent over the limit once everything is written, in calls; it must be 0 for ``reserve``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine
from sqlalchemy import make_url
from sqlalchemy import text

from flask_llm_cost import Budget
from flask_llm_cost import BudgetExceededError
from flask_llm_cost import BudgetUnavailableError
from flask_llm_cost import LLMCostTracker
from flask_llm_cost.budgets.reconciling import reconcile
from flask_llm_cost.runtime import runtime_of

CALLS = 200
#: What a call costs: 1,000 tokens of input and 500 of output.
PRICES = {"openai/harbour-1": {"input": "1", "output": "2"}}
COST = Decimal("0.002")
ESTIMATE = COST * Decimal("1.43")
PROVIDER_SECONDS = 0.02
#: A worker ends after so many refusals in a row, a moment apart.
REFUSALS = 4
PAUSE = 0.05
MODES = ("none", "notify", "raise", "block", "reserve")
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "harbour-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500},
}


class Provider(httpx.BaseTransport):
    """Takes its time and bills every call alike."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        time.sleep(PROVIDER_SECONDS)
        return httpx.Response(200, json=ANSWER)


@dataclass(frozen=True)
class Worker:
    """What one process saw. Times are in milliseconds, without the provider's."""

    sent: int
    refused: int
    unavailable: int
    added_ms: list[float]


def make_app(url: str, mode: str, folder: str) -> tuple[Flask, SQLAlchemy, LLMCostTracker]:
    app = Flask("harbour", instance_path=folder)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        LLM_COST_DASHBOARD=False,
        LLM_COST_INSTRUMENT=[],
        LLM_COST_PRICING_OVERRIDES=PRICES,
    )
    db = SQLAlchemy(app)
    budgets = []
    if mode != "none":
        enforcement: Any = mode
        limit = COST * CALLS
        budgets = [
            Budget("bench", limit, "total", enforcement=enforcement, estimate=lambda request: ESTIMATE)
        ]
    return app, db, LLMCostTracker(app, db, budgets=budgets)


def work(url: str, mode: str, folder: str, calls: int, barrier: Any, results: Any) -> None:
    """One process: ask until refused for good, or for so many calls where nobody refuses."""
    app, _, tracker = make_app(url, mode, folder)
    sent = refused = unavailable = in_a_row = 0
    added: list[float] = []
    with app.app_context(), httpx.Client(transport=tracker.http_transport(Provider())) as client:
        runtime_of(app).ledger  # type: ignore[union-attr]  # noqa: B018  # made before the clock starts
        barrier.wait()
        while in_a_row < REFUSALS and (sent < calls or mode not in ("none", "notify")):
            began = time.perf_counter()
            try:
                client.post(
                    "https://api.openai.com/v1/chat/completions", json={"model": "harbour-1", "messages": []}
                )
            except BudgetExceededError as error:
                refused, in_a_row = refused + 1, in_a_row + 1
                sent += error.stage == "after"
                if error.stage == "after":
                    break
                time.sleep(PAUSE)
                continue
            except BudgetUnavailableError:
                unavailable += 1
                continue
            sent, in_a_row = sent + 1, 0
            added.append((time.perf_counter() - began - PROVIDER_SECONDS) * 1000)
        ended = time.perf_counter()
        tracker.flush(60)
        tracker.shutdown(60)
    results.put((Worker(sent, refused, unavailable, added), ended))


def run(url: str, mode: str, workers: int) -> dict[str, Any]:
    """One line of the table."""
    folder = tempfile.mkdtemp(prefix="llm-cost-bench-")
    try:
        app, db, _ = make_app(url, mode, folder)
        with app.app_context():
            db.drop_all()
            db.create_all()
            db.engine.dispose()
        context = multiprocessing.get_context("fork")
        barrier, results = context.Barrier(workers + 1), context.Queue()
        each = max(1, CALLS * 5 // 4 // workers)
        processes = [
            context.Process(target=work, args=(url, mode, folder, each, barrier, results))
            for _ in range(workers)
        ]
        for process in processes:
            process.start()
        barrier.wait()
        began = time.perf_counter()
        found = [results.get() for _ in processes]
        for process in processes:
            process.join()
        return summary(
            app, mode, workers, [each for each, _ in found], max(ended for _, ended in found) - began
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def summary(app: Flask, mode: str, workers: int, found: list[Worker], seconds: float) -> dict[str, Any]:
    runtime = runtime_of(app)
    assert runtime is not None
    runtime.flush(30)
    added = sorted(ms for worker in found for ms in worker.added_ms) or [0.0]
    line = {
        "mode": mode,
        "workers": workers,
        "sent": sum(worker.sent for worker in found),
        "refused": sum(worker.refused for worker in found),
        "unavailable": sum(worker.unavailable for worker in found),
        "per_second": round(sum(worker.sent for worker in found) / seconds),
        "p50_ms": round(statistics.median(added), 1),
        "p99_ms": round(added[int(len(added) * 0.99)], 1),
    }
    with app.app_context():
        spent = runtime.calls.total_cost() or Decimal(0)
    line["overshoot"] = round(max(Decimal(0), spent - COST * CALLS) / COST) if mode != "none" else ""
    if runtime.budgets is not None:
        (status,) = runtime.budgets.statuses(datetime.now(UTC))
        drift = [
            each for each in reconcile(runtime.budgets.ledger(), runtime.budgets.budgets) if each.is_changed
        ]
        line["exact"] = "yes" if status.spent == spent and not status.reserved and not drift else "NO"
        runtime.budgets.close()
    if (ledger := runtime.ledger) is not None:
        ledger.engine.dispose()
    return line


@contextmanager
def database(kind: str, address: str | None) -> Iterator[str]:
    """The URL of a database of our own."""
    if address is None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "bench.sqlite")
            engine = create_engine(f"sqlite:///{path}")
            with engine.connect() as connection:
                connection.execute(text("PRAGMA journal_mode = WAL"))
            engine.dispose()
            yield f"sqlite:///{path}"
        return
    name = f"llm_cost_bench_{uuid4().hex[:8]}"
    admin = create_engine(address, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(address).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}{' WITH (FORCE)' if kind == 'postgresql' else ''}"))
        admin.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="16,64,128", help="each needs two connections of the server")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--databases", default="sqlite,postgresql,mariadb")
    asked = parser.parse_args()
    columns = ("mode", "workers", "overshoot", "sent", "refused", "unavailable", "per_second", "p50_ms")
    columns += ("p99_ms", "exact")
    failed = False
    for kind in asked.databases.split(","):
        address = os.environ.get(f"LLM_COST_TEST_{kind.upper()}_URL")
        if kind != "sqlite" and not address:
            print(f"{kind}: set LLM_COST_TEST_{kind.upper()}_URL")
            continue
        print(f"\n{kind}, load {os.getloadavg()[0]:.1f}")
        print("  ".join(f"{column:>11}" for column in columns))
        for mode in asked.modes.split(","):
            for workers in map(int, asked.workers.split(",")):
                with database(kind, address if kind != "sqlite" else None) as url:
                    line = run(url, mode, workers)
                failed |= (mode == "reserve" and bool(line["overshoot"])) or line.get("exact") == "NO"
                print("  ".join(f"{line.get(column, '')!s:>11}" for column in columns), flush=True)
    if failed:
        sys.exit("A hard budget was crossed, or a window does not equal its calls.")


if __name__ == "__main__":
    main()
