"""Ledgers for the questions' tests: small random ones by hypothesis, and a fixed large-ish one by seed."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.pool import StaticPool

from flask_llm_cost.analytics import CallQuery
from flask_llm_cost.events import Event
from flask_llm_cost.events import PricedItem
from flask_llm_cost.ledger import Base
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import RollupChoice

_ALL_CALLS = RollupChoice()
BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")
ZONES = tuple(
    ZoneInfo(name)
    for name in (
        "UTC",
        "Europe/Berlin",
        "Asia/Kolkata",
        "America/St_Johns",
        "Pacific/Apia",
        "Australia/Lord_Howe",
    )
)
#: Around the day on which Berlin puts its clocks back.
START = datetime(2026, 10, 23, 21, 30, tzinfo=UTC)
SPAN = timedelta(days=5)
NOW = START + SPAN

#: Values that a careless query takes for wildcards, quotes, paths or nothing.
ODD = ("plain", "Plain", "50%", "a_b", "O'Brien", '"quoted"', "back\\slash", "ärger", "日本", ";--")


def query(
    ledger: Ledger,
    zone: ZoneInfo = BERLIN,
    now: datetime = NOW,
    before_read: Callable[[], object] = lambda: None,
) -> CallQuery:
    """All calls of ``ledger``, asked at ``now``."""
    return CallQuery(ledger, zone, before_read, lambda: now)


def call(at: datetime = START, **values: object) -> Event:
    """One call; a cost that is given is its only line item's."""
    given: dict[str, object] = {
        "event_id": str(uuid.uuid4()),
        "occurred_at": at,
        "service": "shop",
        "provider": "openai",
        "model": "gpt-5-mini",
        "operation": "chat",
        "usage_source": "response",
        **values,
    }
    cost = given.get("total_cost")
    given.setdefault("cost_status", "unknown" if cost is None else "complete")
    return Event(**given)  # type: ignore[arg-type]


@contextmanager
def memory_ledger(events: Iterable[Event], rollups: RollupChoice = _ALL_CALLS) -> Iterator[Ledger]:
    """A ledger in memory that holds ``events``; one at a time, as they share a database."""
    engine = _memory_engine()
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
    yield filled(engine, list(events), rollups)


@cache
def _memory_engine() -> Engine:
    # One for all tests: an engine of its own for each example would compile every statement anew.
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    return engine


def filled(engine: Engine, events: Sequence[Event], rollups: RollupChoice = _ALL_CALLS) -> Ledger:
    """A ledger with fresh tables that holds ``events``."""
    Base.metadata.create_all(engine)
    ledger = Ledger(engine, rollups=rollups)
    assert ledger.write(events) == len(events)
    return ledger


def moments() -> st.SearchStrategy[datetime]:
    """Instants within :data:`SPAN`, many of them at the edges of hours and quarters of an hour."""
    anywhere = st.integers(0, SPAN // timedelta(microseconds=1) - 1).map(
        lambda microseconds: START + timedelta(microseconds=microseconds)
    )
    quarters = st.integers(0, SPAN // timedelta(minutes=15) - 1).map(
        lambda n: START + timedelta(minutes=15 * n)
    )
    return st.one_of(anywhere, quarters, quarters.map(lambda at: at + timedelta(microseconds=1)))


def costs() -> st.SearchStrategy[Decimal | None]:
    """Costs down to the last stored digit, zero among them, and none."""
    return st.one_of(
        st.none(),
        st.just(Decimal(0)),
        st.integers(0, 10**13).map(lambda units: Decimal(units).scaleb(-12)),
        st.sampled_from((Decimal("0.1"), Decimal("0.2"), Decimal("1E-12"))),
    )


def tokens() -> st.SearchStrategy[int | None]:
    """Token counts with ties, zero and "not told"."""
    return st.one_of(st.none(), st.integers(0, 3), st.integers(0, 10**9))


@st.composite
def calls(draw: st.DrawFn) -> Event:
    """One call of any kind."""
    cost = draw(costs())
    statuses = ("unknown", "free") if cost is None else ("complete", "partial", "free")
    item = PricedItem(
        component="input",
        quantity=Decimal(draw(st.integers(0, 1000))),
        unit="token",
        rate=None,
        rate_basis="per_million",
        cost=cost,
        cost_status="unknown" if cost is None else "complete",
    )
    return call(
        draw(moments()),
        event_id=str(draw(st.uuids())),
        provider=draw(st.sampled_from(("openai", "anthropic"))),
        model=draw(st.sampled_from(ODD[:4])),
        status=draw(st.sampled_from(("ok", "ok", "error", "aborted"))),
        stream=draw(st.booleans()),
        user_id=draw(st.sampled_from((None, *ODD))),
        endpoint=draw(st.sampled_from((None, "chat.ask"))),
        input_tokens=draw(tokens()),
        cache_read_input_tokens=draw(tokens()),
        output_tokens=draw(tokens()),
        total_cost=cost,
        cost_status=draw(st.sampled_from(statuses)),
        latency_ms=draw(st.one_of(st.none(), st.integers(0, 4), st.integers(0, 10**6))),
        tags=draw(st.dictionaries(st.sampled_from(("feature", "tenant")), st.sampled_from(ODD), max_size=2)),
        line_items=(item,),
    )


def ledgers(max_size: int = 25) -> st.SearchStrategy[list[Event]]:
    """The events of one small ledger."""
    return st.lists(calls(), max_size=max_size, unique_by=lambda event: event.event_id)


def seeded_calls(count: int, seed: int = 7) -> list[Event]:
    """The same random calls every time, for databases that are too slow for hypothesis."""
    rng = random.Random(seed)
    return [_seeded_call(rng) for _ in range(count)]


def _seeded_call(rng: random.Random) -> Event:
    cost = rng.choice((None, Decimal(0), Decimal("0.1"), Decimal(rng.randrange(10**13)).scaleb(-12)))
    return call(
        START + timedelta(microseconds=rng.randrange(SPAN // timedelta(microseconds=1))),
        event_id=str(uuid.UUID(int=rng.getrandbits(128))),
        provider=rng.choice(("openai", "anthropic")),
        model=rng.choice(ODD[:4]),
        status=rng.choice(("ok", "ok", "ok", "error")),
        user_id=rng.choice((None, *ODD)),
        input_tokens=rng.choice((None, 0, 5, rng.randrange(10**9))),
        output_tokens=rng.choice((None, 0, 5, rng.randrange(10**9))),
        total_cost=cost,
        cost_status=rng.choice(("unknown", "free") if cost is None else ("complete", "partial")),
        latency_ms=rng.choice((None, 7, 7, rng.randrange(10**5))),
        tags={key: rng.choice(ODD) for key in ("feature", "tenant") if rng.random() < 0.7},
    )
