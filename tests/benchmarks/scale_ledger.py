"""A year of believable calls in any number, the same every time, for ``make bench-scale``.

One week is made call by call and written by the ledger's own writer; the other weeks are copies of it, made
by the database with their rollups, each seven days later. So a working day looks like one, and ten million
calls take minutes. ``flask llm-cost doctor --deep`` holds the copied rollups against the copied calls.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import Table
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import literal
from sqlalchemy import select
from sqlalchemy import text

from flask_llm_cost.events import Event
from flask_llm_cost.events import PricedItem
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import RollupChoice
from flask_llm_cost.ledger.rows import CALLS
from flask_llm_cost.ledger.rows import LINE_ITEMS
from flask_llm_cost.ledger.rows import ROLLUPS
from flask_llm_cost.ledger.rows import TAGS

SEED = 20
WEEKS = 52
_WEEK = timedelta(weeks=1)
END = datetime(2026, 11, 2, tzinfo=UTC)
BEGIN = END - timedelta(weeks=WEEKS)
#: Without clock changes, so that a week's sums are those of any other.
ZONE = ZoneInfo("UTC")
ROLLUPS_KEPT = RollupChoice(ZONE, ("tenant", "feature"))

#: Provider, model, how often, and USD per million tokens of input, cached input and output.
MODELS = (
    ("openai", "gpt-5-mini", 34, "0.25", "0.025", "2"),
    ("openai", "gpt-5", 12, "1.25", "0.125", "10"),
    ("openai", "gpt-5-nano", 9, "0.05", "0.005", "0.4"),
    ("openai", "text-embedding-3-small", 8, "0.02", "0.02", "0"),
    ("anthropic", "claude-sonnet-4-5", 14, "3", "0.3", "15"),
    ("anthropic", "claude-haiku-4-5", 9, "1", "0.1", "5"),
    ("anthropic", "claude-opus-4-5", 1, "5", "0.5", "25"),
    ("google", "gemini-2.5-flash", 8, "0.3", "0.03", "2.5"),
    ("google", "gemini-2.5-pro", 3, "1.25", "0.125", "10"),
    ("groq", "openai/gpt-oss-120b", 2, "0.15", "0.075", "0.6"),
)
#: How the hours of a day share its calls, and the days of a week, Monday first.
HOURS = (1, 1, 1, 1, 1, 2, 6, 18, 40, 55, 60, 52, 38, 50, 58, 52, 42, 28, 14, 8, 5, 3, 2, 1)
DAYS = (20, 21, 21, 20, 18, 6, 4)
FEATURES = {"support_chat": 44, "triage": 22, "search": 18, "summarise": 10, "translate": 4, "report": 2}
TENANTS = 200
USERS = 5_000
RELEASES = 40
_IN_HASTE = (
    "session_replication_role = replica",
    "synchronous_commit = off",
    "maintenance_work_mem = '1GB'",
)
_NEXT_ID = "SELECT setval(pg_get_serial_sequence('llm_cost_calls', 'id'), max(id)) FROM llm_cost_calls"


def events_of_week(count: int, seed: int = SEED) -> Iterator[Event]:
    """The calls of the first week, in order of time."""
    rng = random.Random(seed)
    hours = [(day, hour) for day in range(7) for hour in range(24)]
    weights = [DAYS[day] * HOURS[hour] for day, hour in hours]
    moments = sorted(
        timedelta(days=day, hours=hour, microseconds=rng.randrange(3_600_000_000))
        for day, hour in rng.choices(hours, weights, k=count)
    )
    tenants = [1 / (place + 3) for place in range(TENANTS)]
    for moment in moments:
        yield _event(rng, BEGIN + moment, tenants)


def _event(rng: random.Random, moment: datetime, tenants: list[float]) -> Event:
    provider, model, _, *rates = rng.choices(MODELS, [model[2] for model in MODELS])[0]
    tenant = rng.choices(range(TENANTS), tenants)[0]
    failed = rng.random() < 0.015
    unknown = not failed and rng.random() < 0.004
    quantities = {
        "input_tokens": int(rng.lognormvariate(7, 1.1)),
        "cache_read_input_tokens": int(rng.lognormvariate(6, 1)) if rng.random() < 0.4 else 0,
        "output_tokens": int(rng.lognormvariate(5.3, 0.9)) if rates[2] != "0" else 0,
    }
    told = {} if failed or unknown else quantities
    items = tuple(
        PricedItem(
            component=name.removesuffix("_tokens"),
            quantity=Decimal(quantity),
            unit="token",
            rate=Decimal(rate),
            rate_basis="per_million",
            cost=quantity * Decimal(rate) / 1_000_000,
            cost_status="complete",
            provider_field=f"usage.{name}",
        )
        for (name, quantity), rate in zip(told.items(), rates, strict=False)
        if quantity
    )
    tags = {
        "tenant": f"tenant-{tenant:03}",
        "feature": rng.choices(list(FEATURES), list(FEATURES.values()))[0],
    }
    if rng.random() < 0.5:
        tags["release"] = f"2026.{rng.randrange(RELEASES)}"
    return Event(
        event_id=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        occurred_at=moment,
        service="support-desk",
        provider=provider,
        model=model,
        requested_model=model,
        operation="embeddings" if rates[2] == "0" else "chat",
        status="error" if failed else "ok",
        http_status=503 if failed else 200,
        error_type="InternalServerError" if failed else None,
        stream=rng.random() < 0.3,
        usage_source="unknown" if failed or unknown else "response",
        provider_response_id=f"chatcmpl-{rng.getrandbits(64):016x}",
        total_tokens=sum(told.values()) if told else None,
        total_cost=sum((item.cost for item in items if item.cost), Decimal(0)) if told else None,
        cost_status="complete" if told else "free" if failed else "unknown",
        cost_source="computed" if told else None,
        pricing_snapshot={
            "source": "bundled", "version": "2026-10-30", "key": f"{provider}/{model}", "step": "exact",
            "rates": dict(zip(("input", "cache_read_input", "output"), rates, strict=True)),
        } if told else None,
        latency_ms=int(rng.lognormvariate(7, 0.7)),
        time_to_first_token_ms=int(rng.lognormvariate(5.5, 0.5)),
        user_id=str(int(USERS * rng.random() ** 2)),
        endpoint=rng.choice(("desk.ask", "desk.triage", "desk.search", "tasks.summarise")),
        tags=tags,
        line_items=items,
        **told,
    )  # fmt: skip


def fill(ledger: Ledger, rows: int) -> int:
    """A year of calls, about ``rows`` of them, with all that depends on them; how many there are."""
    week = list(events_of_week(max(1, rows // WEEKS)))
    for first in range(0, len(week), 500):
        ledger.write(week[first : first + 500])
    with ledger.engine.connect() as connection:
        step = connection.execute(select(func.max(CALLS.c.id))).scalar_one()
    # Faster without indexes, which are made at the end.
    indexes = [index for table in (CALLS, LINE_ITEMS, TAGS, ROLLUPS) for index in table.indexes]
    for index in indexes:
        index.drop(ledger.engine)
    for number in range(1, WEEKS):
        ledger.transaction(partial(_copy_week, number=number, step=step))
    with ledger.engine.begin() as connection:
        _hurry(connection)
        for index in indexes:
            index.create(connection)
    if ledger.engine.dialect.name == "postgresql":
        with ledger.engine.begin() as connection:
            connection.execute(text(_NEXT_ID))
    _analyze(ledger)
    return len(week) * WEEKS


def _hurry(connection: Connection) -> None:
    """Until this transaction ends. Made-up calls that a crash takes away are made again."""
    if connection.dialect.name == "postgresql":
        for setting in _IN_HASTE:
            connection.execute(text(f"SET LOCAL {setting}"))


def _copy_week(connection: Connection, number: int, step: int) -> None:
    later = _later(connection.dialect.name, number)
    _hurry(connection)
    prefix = f"{number:08x}"
    _copy(
        connection,
        CALLS,
        {
            "id": CALLS.c.id + number * step,
            "event_id": literal(prefix) + func.substr(CALLS.c.event_id, 9),
            "batch_id": literal(prefix) + func.substr(CALLS.c.batch_id, 9),
            "occurred_at": later(CALLS.c.occurred_at),
        },
        CALLS.c.id <= step,
    )
    for table in (LINE_ITEMS, TAGS):
        changed: dict[str, ColumnElement[Any]] = {"call_id": table.c.call_id + number * step}
        if table is TAGS:
            changed["occurred_at"] = later(TAGS.c.occurred_at)
        _copy(connection, table, changed, table.c.call_id <= step)
    _copy(connection, ROLLUPS, {"bucket": later(ROLLUPS.c.bucket)}, ROLLUPS.c.bucket < BEGIN + _WEEK)


def _copy(
    connection: Connection, table: Table, changed: dict[str, ColumnElement[Any]], *where: ColumnElement[bool]
) -> None:
    source = select(*(changed.get(column.name, column) for column in table.columns)).where(*where)
    connection.execute(insert(table).from_select([column.name for column in table.columns], source))


def _later(dialect: str, weeks: int) -> Any:
    days = 7 * weeks
    if dialect == "sqlite":
        # Text, as the driver writes a moment; only the part without microseconds is counted with.
        return lambda column: func.strftime(
            "%Y-%m-%d %H:%M:%S", func.substr(column, 1, 19), f"+{days} days"
        ).concat(func.substr(column, 20))
    if dialect == "postgresql":
        return lambda column: column + literal(timedelta(days=days))
    return lambda column: func.timestampadd(text("DAY"), days, column)


def _analyze(ledger: Ledger) -> None:
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = connection.dialect.name
        if name == "sqlite":
            connection.exec_driver_sql("ANALYZE")
        for table in (CALLS, LINE_ITEMS, TAGS, ROLLUPS):
            if name == "postgresql":
                connection.execute(text(f"VACUUM (ANALYZE) {table.name}"))
            elif name != "sqlite":
                connection.execute(text(f"ANALYZE TABLE {table.name}"))
