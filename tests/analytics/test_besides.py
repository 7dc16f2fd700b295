"""Calls with none of some values are all the others, whatever answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_llm_cost.errors import InvalidFilterError
from flask_llm_cost.events import Event
from tests.analytics.ledgers import ledgers
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query
from tests.analytics.test_sums import assert_costs_of
from tests.analytics.test_sums import value_of


@settings(max_examples=25, deadline=None)
@given(
    events=ledgers(),
    dimension=st.sampled_from(("model", "provider", "user_id", "cost_status", "tag:feature", "tag:tenant")),
    taken=st.integers(1, 3),
)
def test_some_values_and_the_others_are_all_calls(events: list[Event], dimension: str, taken: int) -> None:
    known = sorted({value_of(event, dimension) for event in events}, key=str)[:taken]
    mine = [event for event in events if value_of(event, dimension) not in known]
    with memory_ledger(events) as ledger:
        others = query(ledger).besides(dimension, known)
        assert_costs_of(others.totals(), mine)
        assert {row.value for row in others.cost_by(dimension).rows} == {value_of(e, dimension) for e in mine}


@settings(max_examples=10, deadline=None)
@given(events=ledgers())
def test_calls_that_lack_a_tag_or_a_duration(events: list[Event]) -> None:
    with memory_ledger(events) as ledger:
        assert query(ledger).untagged().count() == sum(not event.tags for event in events)
        assert query(ledger).without_latency().count() == sum(each.latency_ms is None for each in events)


@pytest.mark.parametrize("dimension", ["failed", "weather", "tag:a b"])
def test_what_has_no_values_cannot_be_left_out(dimension: str) -> None:
    with memory_ledger([]) as ledger:
        asked = query(ledger)
        with pytest.raises(InvalidFilterError):
            asked.besides(dimension, ["a"])
