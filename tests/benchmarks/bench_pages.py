"""How long whole pages of the dashboard take, for ``make bench-pages``: the server's time, without a network.

    python -m tests.benchmarks.bench_pages URL ...

The databases are those that ``make bench-scale`` has filled. Each page is asked for the last 30 days of their
year, through the app as a server would call it: access, questions, template. Shown are the median and the
95th percentile of ``--times`` requests, after two that warm up, and the load of the machine. Others' work
makes both longer; the processor time of a request, of the app and of PostgreSQL's processes on the same
machine, tells what is left without them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import timedelta

from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import func
from sqlalchemy import select

from flask_llm_cost.extension import LLMCostTracker
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger.rows import CALLS
from tests.benchmarks.bench_scale import opened
from tests.benchmarks.processor import database_seconds
from tests.benchmarks.scale_ledger import END
from tests.benchmarks.scale_ledger import ROLLUPS_KEPT
from tests.benchmarks.scale_ledger import ZONE

TIMES = 20
_WARM_UP = 2
_LAST = (END - timedelta(days=1)).date()
MONTH = {"from": (_LAST - timedelta(days=29)).isoformat(), "to": _LAST.isoformat()}
#: As many days, with the fewest whole weeks and most single days that there can be.
MIDWEEK = {
    "from": (_LAST - timedelta(days=32)).isoformat(),
    "to": (_LAST - timedelta(days=3)).isoformat(),
}
YEAR = {"from": (_LAST - timedelta(days=364)).isoformat(), "to": _LAST.isoformat()}
Arguments = Mapping[str, str]


def pages(call_id: int) -> Iterator[tuple[str, str, Arguments]]:
    """Name, path and arguments of every page, and of some that people come to by a click."""
    yield "overview", "/", MONTH
    yield "overview, up to a Thursday", "/", MIDWEEK
    yield "insight", "/insight", MONTH
    yield "what if", "/insight/what-if", {**MONTH, "as": "anthropic/claude-haiku-4-5"}
    yield "models", "/models", MONTH
    yield "tags", "/tags", MONTH
    yield "a declared tag (200 values)", "/tags/tenant", MONTH
    yield "a tag without sums", "/tags/release", MONTH
    yield "a value of a tag", "/tags/feature/value", {**MONTH, "tag.feature": "search"}
    yield "a tenant", "/tags/tenant/value", {**MONTH, "tag.tenant": "tenant-003"}
    yield "users (5,000)", "/users", MONTH
    yield "users, up to a Thursday", "/users", MIDWEEK
    yield "endpoints", "/endpoints", MONTH
    yield "two dimensions: model and tenant", "/crosstab", {**MONTH, "rows": "model", "columns": "tag.tenant"}
    yield "two dimensions: user and endpoint", "/crosstab", {**MONTH, "rows": "user", "columns": "endpoint"}
    yield "calls", "/calls", MONTH
    yield "a tenant's calls", "/calls", {**MONTH, "tag.tenant": "tenant-003"}
    yield "calls, the dearest first", "/calls", {**MONTH, "sort": "cost"}
    yield "a call", f"/calls/{call_id}", {}
    yield "budgets", "/budgets", {}
    yield "data quality", "/quality", MONTH
    yield "reconciliation", "/reconciliation", {}
    yield "pricing", "/pricing", {}
    yield "health", "/health", {}
    yield "overview of one model", "/", {**MONTH, "provider": "openai", "model": "gpt-5-mini"}
    yield "overview of one user", "/", {**MONTH, "user": "17"}
    yield "overview of failed calls", "/", {**MONTH, "failed": "yes"}
    yield "overview of streams", "/", {**MONTH, "stream": "yes"}
    yield "overview, year", "/", YEAR
    yield "models, year", "/models", YEAR
    yield "a declared tag, year", "/tags/tenant", YEAR
    yield "users, year", "/users", YEAR


def app_at(url: str) -> Flask:
    """An app whose dashboard anybody may see."""
    app = Flask("support-desk")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=url,
        LLM_COST_INSTRUMENT=(),
        LLM_COST_INGESTION="inline",
        LLM_COST_TIMEZONE=ZONE.key,
        LLM_COST_ROLLUP_TAGS=ROLLUPS_KEPT.tags,
    )
    LLMCostTracker(app, SQLAlchemy(app), authorize=lambda: True)
    return app


def measure(url: str, times: int) -> None:
    """Print the times of each page."""
    ledger = opened(url)
    count, call_id = _calls(ledger)
    client = app_at(url).test_client()
    print(f"\n{ledger.engine.dialect.name}, {count:,} calls: milliseconds of {times} requests")
    print(f"  {'':36}{'p50':>8}{'p95':>8}{'app':>8}{'database':>10}{'load':>8}")
    for name, path, arguments in pages(call_id):
        for _ in range(_WARM_UP):
            _milliseconds(client, path, arguments)
        app, database = time.process_time(), database_seconds(ledger.engine)
        found = sorted(_milliseconds(client, path, arguments) for _ in range(times))
        app = (time.process_time() - app) / times * 1_000
        database = (database_seconds(ledger.engine) - database) / times * 1_000
        p50, p95 = found[len(found) // 2], found[-(-len(found) * 95 // 100) - 1]
        load = os.getloadavg()[0]
        print(f"  {name:36}{p50:8.0f}{p95:8.0f}{app:8.0f}{database:10.0f}{load:8.1f}", flush=True)
    ledger.engine.dispose()


def _calls(ledger: Ledger) -> tuple[int, int]:
    """How many there are, and the id of the last one."""
    with ledger.engine.connect() as connection:
        row = connection.execute(select(func.count(), func.max(CALLS.c.id))).one()
        return int(row[0]), int(row[1])


def _milliseconds(client: FlaskClient, path: str, arguments: Arguments) -> float:
    started = time.perf_counter()
    answer = client.get(f"/llm-costs{path}", query_string=dict(arguments))
    elapsed = (time.perf_counter() - started) * 1_000
    if answer.status_code != 200:
        raise SystemExit(f"{path} answered {answer.status}")
    return elapsed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=TIMES)
    parser.add_argument("urls", nargs="+", metavar="URL")
    arguments = parser.parse_args()
    for url in arguments.urls:
        measure(url, arguments.times)


if __name__ == "__main__":
    main()
