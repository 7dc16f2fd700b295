"""How long each question of the dashboard takes, and how fast calls are stored, for ``make bench-scale``.

    python -m tests.benchmarks.bench_scale --rows 1000000 [URL ...]

A ledger with a year of calls is made in each database, once: a second run finds it. Every question is asked
several times; shown are the fastest, which a busy machine changes least, and the processor time; "month" is
the last 30 days, "year" everything. Storing is compared with the very same rows (calls, line items, tags,
rollups) written by hand in batches of 500 through Core. Times depend on the machine; the ratio and how times
grow from one number of calls to the next do so much less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine
from sqlalchemy import create_engine
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import select
from sqlalchemy import text

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.budgets import Budget
from flask_llm_cost.budgets.limits import Limits
from flask_llm_cost.budgets.listing import open_window
from flask_llm_cost.budgets.matching import Claim
from flask_llm_cost.budgets.store import LedgerStore
from flask_llm_cost.counters import Counters
from flask_llm_cost.events import Event
from flask_llm_cost.ledger import Base
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import create_ledger_engine
from flask_llm_cost.ledger.coverage import kept_kinds
from flask_llm_cost.ledger.rollups import SUMS
from flask_llm_cost.ledger.rollups import rollups_of
from flask_llm_cost.ledger.rows import CALLS
from flask_llm_cost.ledger.rows import LINE_ITEMS
from flask_llm_cost.ledger.rows import ROLLUPS
from flask_llm_cost.ledger.rows import TAGS
from flask_llm_cost.ledger.rows import rows_of
from flask_llm_cost.ledger.statements import insert_adding
from tests.benchmarks.processor import database_seconds
from tests.benchmarks.scale_ledger import END
from tests.benchmarks.scale_ledger import ROLLUPS_KEPT
from tests.benchmarks.scale_ledger import TENANTS
from tests.benchmarks.scale_ledger import ZONE
from tests.benchmarks.scale_ledger import events_of_week
from tests.benchmarks.scale_ledger import fill

ASKED = 7
ROUNDS = 5
BATCH = 500
STORED = 2_000
DIRECTORY = Path("build/benchmarks")

Question = Callable[[], object]


def questions(ledger: Ledger) -> Iterator[tuple[str, Question]]:
    """What the pages ask, by the name in the table."""
    now = END - timedelta(hours=9, minutes=20)
    everything = CallQuery(ledger, ZONE, lambda: None, lambda: now)
    month = everything.last_days(30)
    second = month.page().next
    far = everything.between(END.replace(year=2025, month=12), END.replace(month=1)).page().next
    yield "totals, month", month.totals
    yield "totals, year", everything.totals
    yield "totals, ragged edges", month.between(now - timedelta(days=29, minutes=17), now).totals
    yield "days by model, month", lambda: month.series("day", by="model")
    yield "months by provider, year", lambda: everything.series("month", by="provider")
    yield "models, month", lambda: month.cost_by("model")
    yield "models, year", lambda: everything.cost_by("model")
    yield "declared tag, month", lambda: month.spend_by("tag:tenant", 10)
    yield "declared tag, year", lambda: everything.spend_by("tag:tenant", 10)
    yield (
        "one tenant's days by model, month",
        lambda: month.tagged(tenant="tenant-003").series("day", by="model"),
    )
    yield "undeclared tag, month", lambda: month.spend_by("tag:release", 10)
    yield "page of calls, first", month.page
    yield "page of calls, second", lambda: month.page(cursor=second)
    yield "page of calls, a year back", lambda: everything.page(cursor=far)
    yield "page of one model's calls", month.where(provider="anthropic", model="claude-opus-4-5").page
    yield "page of one tenant's calls", month.tagged(tenant="tenant-003").page
    yield "filter options: models", lambda: month.distinct("model")
    yield "tag keys, month", month.tag_keys
    yield "latency, month", month.latency
    yield "unpriced models, month", month.unpriced_models
    yield "users, month", lambda: month.spend_by("user_id", 10)
    yield "endpoints, month", lambda: month.spend_by("endpoint", 10)
    yield "budgets, all and by tenant", _budgets(ledger, now)
    yield (
        "calls that were not sent",
        everything.last_days(31).where(cost_status="free", status="blocked").page,
    )


def _budgets(ledger: Ledger, now: datetime) -> Question:
    """Where a limit for all calls and one for each tenant stand; their windows are counted before."""
    together = Budget("together", "50000", "month", tz=ZONE.key)
    each = Budget("each", "500", "month", per="tenant", tz=ZONE.key)
    store = LedgerStore(lambda: ledger, (together, each), Limits(Counters()))
    claims = [Claim(together, "", open_window(together, now))]
    tenants = [Claim(each, f"tenant-{place:03}", open_window(each, now)) for place in range(TENANTS)]
    store.standing([*claims, *tenants])
    return lambda: (store.standing(claims), store.listed([each], now, TENANTS))


def report(ledger: Ledger, rows: int) -> None:
    """Print the time of each question."""
    print(f"\n{ledger.engine.dialect.name}, {rows:,} calls: milliseconds, the fastest of {ASKED},")
    print("and processor time on average, of this process and of the database; the machine's load")
    for name, ask in questions(ledger):
        ask()
        here, there = time.process_time(), database_seconds(ledger.engine)
        fastest = min(_milliseconds(ask) for _ in range(ASKED))
        here, there = time.process_time() - here, database_seconds(ledger.engine) - there
        spent = (f"{seconds / ASKED * 1_000:8.1f}" for seconds in (here, there))
        print(f"  {name:36}{fastest:10.1f}{''.join(spent)}{os.getloadavg()[0]:8.1f}", flush=True)


def _milliseconds(ask: Question) -> float:
    started = time.perf_counter()
    ask()
    return (time.perf_counter() - started) * 1_000


def report_size(engine: Engine, rows: int) -> None:
    """Print how many bytes a call takes with its line items, tags, share of the rollups, and indexes."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            pages = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("page_count", "page_size")
            ]
            print(f"  bytes a call, all tables and indexes{int(pages[0] * pages[1] / rows):10,}")
            return
        if engine.dialect.name == "postgresql":
            sizes = (
                "SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class WHERE relname = '{0}'"
            )
        else:
            sizes = (
                "SELECT table_name, data_length, index_length FROM information_schema.tables "
                "WHERE table_name = '{0}' AND table_schema = database()"
            )
        total = 0
        for table in (CALLS, LINE_ITEMS, TAGS, ROLLUPS):
            name, held, indexed = connection.execute(text(sizes.format(table.name))).one()
            print(f"  bytes a call, {name:22}{held / rows:10,.0f}{indexed / rows:10,.0f} in indexes")
            total += held + indexed
        print(f"  bytes a call, all{'':19}{total / rows:10,.0f}")


def report_storing(ledger: Ledger) -> None:
    """Print how fast the ledger stores calls, beside the same rows written by hand."""
    events = list(events_of_week(STORED, seed=3))
    ours, by_hand = [], []
    for _ in range(ROUNDS):
        ours.append(_stored_a_second(ledger, events, lambda batch: ledger.write(batch)))
        by_hand.append(_stored_a_second(ledger, events, lambda batch: _write_by_hand(ledger.engine, batch)))
    ratio = statistics.median(one / other for one, other in zip(ours, by_hand, strict=True))
    print(
        f"\n{ledger.engine.dialect.name}: {statistics.median(ours):,.0f} calls a second are stored; the same "
        f"rows by hand {statistics.median(by_hand):,.0f}: {ratio:.2f} of it"
    )


def _stored_a_second(ledger: Ledger, events: list[Event], write: Callable[[list[Event]], object]) -> float:
    now = datetime.now(UTC)
    fresh = [replace(event, event_id=str(uuid4()), occurred_at=now) for event in events]
    started = time.perf_counter()
    for first in range(0, len(fresh), BATCH):
        write(fresh[first : first + BATCH])
    return len(fresh) / (time.perf_counter() - started)


def _write_by_hand(engine: Engine, events: list[Event]) -> None:
    """What somebody would write who needs no exactly-once: the rows of a batch in one transaction."""
    rows = rows_of(events)
    batch_id, now = token_urlsafe(9), datetime.now(UTC)
    with engine.begin() as connection:
        calls: list[dict[str, Any]] = [{**row.call, "batch_id": batch_id, "created_at": now} for row in rows]
        returning = insert(CALLS).returning(CALLS.c.id, sort_by_parameter_order=True)
        ids = connection.execute(returning, calls).scalars().all()
        items = [
            {"call_id": call_id, **item}
            for call_id, row in zip(ids, rows, strict=True)
            for item in row.line_items
        ]
        tags = [
            {"call_id": call_id, **tag} for call_id, row in zip(ids, rows, strict=True) for tag in row.tags
        ]
        connection.execute(insert(LINE_ITEMS), items)
        connection.execute(insert(TAGS), tags)
        summed = rollups_of(calls, kept_kinds(connection))
        connection.execute(insert_adding(ROLLUPS, SUMS, connection.dialect.name), summed)


def opened(url: str) -> Ledger:
    """The ledger at ``url``, with its tables."""
    host = create_engine(url)
    Base.metadata.create_all(host)
    return Ledger(create_ledger_engine(host), rollups=ROLLUPS_KEPT)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--storing", action="store_true", help="only how fast calls are stored")
    parser.add_argument("urls", nargs="*", metavar="URL", help="databases of your own; a file if left out")
    arguments = parser.parse_args()
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for url in arguments.urls or [f"sqlite:///{DIRECTORY.resolve()}/{arguments.rows}.sqlite"]:
        _measure(url, arguments.rows, storing=arguments.storing)


def _measure(url: str, rows: int, *, storing: bool) -> None:
    ledger = opened(url)
    if not storing:
        with ledger.engine.connect() as connection:
            present = connection.execute(select(func.count()).select_from(CALLS)).scalar_one()
        if not present:
            started = time.perf_counter()
            present = fill(ledger, rows)
            print(f"{present:,} calls made in {time.perf_counter() - started:,.0f} s")
        report(ledger, present)
        report_size(ledger.engine, present)
    else:
        report_storing(ledger)
    ledger.engine.dispose()


if __name__ == "__main__":
    main()
