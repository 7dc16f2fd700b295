"""Percentiles are exact: the value at the rank, as a sorted list in Python has it."""

from __future__ import annotations

import math
import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from flask_llm_cost.analytics import Latency
from flask_llm_cost.analytics import latency
from tests.analytics.ledgers import START
from tests.analytics.ledgers import call
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query
from tests.analytics.ledgers import seeded_calls


def expected(latencies: list[int | None]) -> Latency:
    known = sorted(value for value in latencies if value is not None)
    if not known:
        return Latency(count=0, average_ms=None, p50_ms=None, p95_ms=None)
    return Latency(
        count=len(known),
        average_ms=sum(known) / len(known),
        p50_ms=known[math.ceil(len(known) * 50 / 100) - 1],
        p95_ms=known[math.ceil(len(known) * 95 / 100) - 1],
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 5), st.integers(0, 10**6)), max_size=45))
def test_percentiles_equal_those_of_a_sorted_list(latencies: list[int | None]) -> None:
    with memory_ledger(call(latency_ms=value) for value in latencies) as ledger:
        assert query(ledger).latency() == expected(latencies)


@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 21, 40, 100])
def test_a_percentile_at_a_whole_rank_is_that_rank(count: int) -> None:
    latencies: list[int | None] = list(range(1, count + 1))
    with memory_ledger(call(latency_ms=value) for value in latencies) as ledger:
        assert query(ledger).latency() == expected(latencies)


def test_percentiles_are_of_the_filtered_calls_on_every_database(database_url: str) -> None:
    engine = create_engine(database_url)
    events = seeded_calls(150)
    try:
        asked = query(filled(engine, events))
        assert asked.latency() == expected([event.latency_ms for event in events])
        mine = [event.latency_ms for event in events if event.tags.get("tenant") == "50%"]
        assert asked.tagged(tenant="50%").latency() == expected(mine)
    finally:
        engine.dispose()


def test_percentiles_of_very_many_calls_come_from_a_sample(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Average and count stay exact; a filter keeps the percentiles exact too."""
    monkeypatch.setattr(latency, "EXACT_UP_TO", 1_000)
    monkeypatch.setattr(latency, "_IDS_IN_SPAN", 10)
    rng = random.Random(1)
    took = [int(rng.lognormvariate(6, 0.5)) for _ in range(2_400)]
    events = [call(START + timedelta(seconds=number), latency_ms=each) for number, each in enumerate(took)]
    exact = expected(list(took))
    engine = create_engine(database_url)
    try:
        asked = query(filled(engine, events))
        found = asked.latency()
        assert (found.count, found.average_ms, found.sampled) == (exact.count, exact.average_ms, True)
        for name in ("p50_ms", "p95_ms"):
            assert getattr(found, name) in took
            assert getattr(found, name) == pytest.approx(getattr(exact, name), rel=0.2)
        assert asked.where(provider="openai").latency() == exact
        assert asked.between(START, START + timedelta(minutes=5)).latency() == expected(list(took[:300]))
    finally:
        engine.dispose()
