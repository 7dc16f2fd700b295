"""What budgets cost, and by how much they are crossed by many processes at one limit.

``make bench-budgets``. Each worker is a process with an app of its own that has made and stored one call
before; all share one database and one budget, whose limit is what 200 further calls cost (``--calls``). A
call goes through the tracker's own transport of httpx to a provider that takes 20 ms and bills every call
alike; its estimate is 1.43 times that. A worker goes on until it is refused over and over. Overshoot is
what was spent over the limit once everything is written, in calls; it must be 0 for ``reserve``. ``gone`` are
calls that were refused because the database did not tell. With ``--held`` somebody keeps all who count calls
waiting for so many seconds meanwhile.

Each server is one of the benchmark's own, which takes as many connections as are needed; with ``--shared``
those of ``LLM_COST_TEST_POSTGRESQL_URL`` and ``..._MARIADB_URL`` are used.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
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
from tests.faults.outage import SERVERS
from tests.faults.servers import running

#: What a call costs: 1,000 tokens of input and 500 of output.
PRICES = {"openai/harbour-1": {"input": "1", "output": "2"}}
COST = Decimal("0.002")
ESTIMATE = COST * Decimal("1.43")
PROVIDER_SECONDS = 0.02
#: What holds up whoever counts calls.
HOLDING = {"sqlite": "BEGIN IMMEDIATE"}
HOLDING_THE_ROW = "UPDATE llm_cost_budgets SET calls = calls"
#: A worker ends after so many refusals in a row, a moment apart.
REFUSALS = 4
PAUSE = 0.05
#: Modes in which nobody is refused: each worker makes its share of the calls, and a quarter more.
UNLIMITED = ("none", "notify")
MODES = ("none", "notify", "raise", "block", "reserve")
#: That a worker may need at a time: its writer's, that of its budgets, and one of whoever looks after leases.
CONNECTIONS = 4
COLUMNS = ("mode", "workers", "overshoot", "sent", "refused", "gone", "per_second", "p50_ms", "p99_ms")
COLUMNS += ("exact",)
ROUTE = "https://api.openai.com/v1/chat/completions"
QUESTION = {"model": "harbour-1", "messages": []}
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
class Load:
    """How many processes there are, how many calls the limit is for, and how long writing is held up."""

    workers: int
    calls: int
    held_seconds: float

    @property
    def limit(self) -> Decimal:
        """In USD. Each worker has made one call before."""
        return COST * (self.calls + self.workers)


@dataclass(frozen=True)
class Worker:
    """What one process saw. Times are in milliseconds, without the provider's."""

    sent: int
    refused: int
    gone: Counter[str]
    added_ms: list[float]


def make_app(url: str, mode: str, folder: str, limit: Decimal) -> tuple[Flask, SQLAlchemy, LLMCostTracker]:
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
        budgets = [
            Budget("bench", limit, "total", enforcement=enforcement, estimate=lambda request: ESTIMATE)
        ]
    return app, db, LLMCostTracker(app, db, budgets=budgets)


def work(url: str, mode: str, folder: str, load: Load, barrier: Any, results: Any) -> None:
    """One process: ask until refused for good, or for its share of calls where nobody refuses."""
    app, _, tracker = make_app(url, mode, folder, load.limit)
    calls = max(1, load.calls * 5 // 4 // load.workers)
    sent = refused = in_a_row = 0
    gone: Counter[str] = Counter()
    added: list[float] = []
    with app.app_context(), httpx.Client(transport=tracker.http_transport(Provider())) as client:
        # Statements are compiled and connections made before the clock starts.
        warm = False
        while not warm:
            with suppress(BudgetUnavailableError):
                warm = client.post(ROUTE, json=QUESTION).is_success
        assert tracker.flush(300)
        barrier.wait()
        while in_a_row < REFUSALS and (sent < calls or mode not in UNLIMITED):
            began = time.perf_counter()
            try:
                client.post(ROUTE, json=QUESTION)
            except BudgetExceededError as error:
                refused, in_a_row = refused + 1, in_a_row + 1
                sent += error.stage == "after"
                if error.stage == "after":
                    break
                time.sleep(PAUSE)
                continue
            except BudgetUnavailableError as error:
                gone.update(re.findall(r"\((.*?)\)", str(error))[:1])  # the error's class and code
                continue
            sent, in_a_row = sent + 1, 0
            added.append((time.perf_counter() - began - PROVIDER_SECONDS) * 1000)
        ended = time.perf_counter()
        tracker.flush(60)
        tracker.shutdown(60)
    results.put((Worker(sent, refused, gone, added), ended))


def run(url: str, mode: str, load: Load) -> dict[str, Any]:
    """One line of the table."""
    folder = tempfile.mkdtemp(prefix="llm-cost-bench-")
    try:
        app, db, _ = make_app(url, mode, folder, load.limit)
        with app.app_context():
            db.drop_all()
            db.create_all()
            db.engine.dispose()
        context = multiprocessing.get_context("fork")
        barrier, results = context.Barrier(load.workers + 1), context.Queue()
        processes = [
            context.Process(target=work, args=(url, mode, folder, load, barrier, results))
            for _ in range(load.workers)
        ]
        for process in processes:
            process.start()
        barrier.wait()
        began = time.perf_counter()
        if load.held_seconds:
            hold_up(url, load.held_seconds)
        found = [results.get() for _ in processes]
        for process in processes:
            process.join()
        seconds = max(ended for _, ended in found) - began
        return summary(app, mode, load, [each for each, _ in found], seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hold_up(url: str, seconds: float) -> None:
    """Keep whoever counts calls waiting for so long."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT" if url.startswith("sqlite") else None)
    with engine.connect() as connection:
        connection.execute(text(HOLDING.get(engine.dialect.name, HOLDING_THE_ROW)))
        time.sleep(seconds)
    engine.dispose()


def summary(app: Flask, mode: str, load: Load, found: list[Worker], seconds: float) -> dict[str, Any]:
    runtime = runtime_of(app)
    assert runtime is not None
    runtime.flush(30)
    added = sorted(ms for worker in found for ms in worker.added_ms) or [0.0]
    line = {
        "mode": mode,
        "workers": load.workers,
        "sent": sum(worker.sent for worker in found),
        "refused": sum(worker.refused for worker in found),
        "gone": sum(worker.gone.total() for worker in found),
        "why": sum((worker.gone for worker in found), Counter()),
        "per_second": round(sum(worker.sent for worker in found) / seconds),
        "p50_ms": round(statistics.median(added), 1),
        "p99_ms": round(added[int(len(added) * 0.99)], 1),
    }
    with app.app_context():
        spent = runtime.calls.total_cost() or Decimal(0)
    line["overshoot"] = round(max(Decimal(0), spent - load.limit) / COST) if mode not in UNLIMITED else ""
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
def server(kind: str, shared: bool, connections: int) -> Iterator[str]:
    """The address of a server, ``""`` of SQLite, which has none."""
    if kind == "sqlite":
        yield ""
    elif shared:
        yield os.environ[f"LLM_COST_TEST_{kind.upper()}_URL"]
    else:
        with running(SERVERS[kind], connections=connections) as own:
            yield own.url


@contextmanager
def database(kind: str, address: str) -> Iterator[str]:
    """The URL of a database of our own."""
    if kind == "sqlite":
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
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--workers", default="16,64,128")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--databases", default="sqlite,postgresql,mariadb")
    parser.add_argument("--calls", type=int, default=200, help="what so many calls cost is the limit")
    parser.add_argument("--held", type=float, default=0, help="seconds")
    parser.add_argument("--shared", action="store_true", help="use the servers that the tests use")
    asked = parser.parse_args()
    logging.getLogger("flask_llm_cost").disabled = True  # each of many processes would say the same
    workers = [int(each) for each in asked.workers.split(",")]
    failed = False
    for kind in asked.databases.split(","):
        print(f"\n{kind}, load {os.getloadavg()[0]:.1f}")
        print("".join(f"{column:>12}" for column in COLUMNS), flush=True)
        with server(kind, asked.shared, max(workers) * CONNECTIONS + 20) as address:
            for mode in asked.modes.split(","):
                for number in workers:
                    with database(kind, address) as url:
                        line = run(url, mode, Load(number, asked.calls, asked.held))
                    failed |= (mode == "reserve" and bool(line["overshoot"])) or line.get("exact") == "NO"
                    print("".join(f"{line.get(column, '')!s:>12}" for column in COLUMNS), flush=True)
                    if line["why"]:
                        print(f"{'':12}gone: {dict(line['why'])}", flush=True)
    if failed:
        sys.exit("A hard budget was crossed, or a window does not equal its calls.")


if __name__ == "__main__":
    main()
