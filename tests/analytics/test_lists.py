"""Filter options, tag keys, components and unpriced models of a slice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import create_engine

from flask_llm_cost.analytics import ComponentCost
from flask_llm_cost.analytics import TagKey
from flask_llm_cost.analytics import UnpricedModel
from flask_llm_cost.errors import InvalidFilterError
from flask_llm_cost.events import PricedItem
from flask_llm_cost.ledger import RollupChoice
from tests.analytics.ledgers import START
from tests.analytics.ledgers import call
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query


def item(component: str, quantity: str, cost: str | None) -> PricedItem:
    return PricedItem(
        component=component,
        quantity=Decimal(quantity),
        unit="minute" if component == "transcription_minute" else "token",
        rate=None,
        rate_basis="per_million",
        cost=None if cost is None else Decimal(cost),
        cost_status="unknown" if cost is None else "complete",
    )


def test_components_add_up_exactly_and_keep_unknown_apart(database_url: str) -> None:
    engine = create_engine(database_url)
    try:
        events = [
            call(line_items=(item("input", "10", "0.1"), item("output", "5", None))),
            call(line_items=(item("input", "20", "0.2"), item("transcription_minute", "0.333333", "0.006"))),
            call(START - timedelta(days=1), line_items=(item("input", "1", "1"),)),
        ]
        asked = query(filled(engine, events)).between(START, START + timedelta(hours=1))
        assert asked.components() == (
            ComponentCost(
                component="input",
                unit="token",
                lines=2,
                unknown_lines=0,
                quantity=Decimal(30),
                cost=Decimal("0.3"),
            ),
            ComponentCost(
                component="output", unit="token", lines=1, unknown_lines=1, quantity=Decimal(5), cost=None
            ),
            ComponentCost(
                component="transcription_minute",
                unit="minute",
                lines=1,
                unknown_lines=0,
                quantity=Decimal("0.333333"),
                cost=Decimal("0.006"),
            ),
        )
    finally:
        engine.dispose()


def test_options_are_the_most_frequent_values_in_alphabetical_order() -> None:
    events = [call(model=model, tags={"feature": model}) for model in "dddccba"] + [call(endpoint="x")]
    with memory_ledger(events) as ledger:
        asked = query(ledger)
        assert asked.distinct("model", limit=2) == ("c", "d")
        assert asked.where(status="ok").distinct("model", limit=2) == ("c", "d")
        assert asked.distinct("tag:feature", limit=2) == ("c", "d")
        assert asked.where(status="ok").distinct("tag:feature", limit=2) == ("c", "d")
        assert asked.distinct("endpoint") == ("x",)
        assert asked.distinct("user_id") == ()
        with pytest.raises(InvalidFilterError, match="column"):
            asked.distinct("tags")
        with pytest.raises(InvalidFilterError, match="limit"):
            asked.distinct("model", limit=-1)


def test_tag_keys_are_counted_within_the_filter() -> None:
    events = [
        call(tags={"feature": "a", "tenant": "x"}, user_id="1"),
        call(tags={"feature": "b"}),
        call(START - timedelta(days=1), tags={"feature": "c", "old": "1"}),
    ]
    with memory_ledger(events) as ledger:
        asked = query(ledger).between(START, START + timedelta(hours=1))
        assert asked.tag_keys() == (
            TagKey(key="feature", calls=2, values=2),
            TagKey(key="tenant", calls=1, values=1),
        )
        assert asked.where(user_id="1").tag_keys(limit=1) == (TagKey(key="feature", calls=1, values=1),)
        assert asked.tagged(tenant="x").tag_keys()[0].calls == 1


def test_tag_keys_with_sums_of_their_own_are_counted_from_these() -> None:
    events = [call(START + timedelta(hours=n), tags={"feature": f"f{n % 3}"}) for n in range(30)]
    with memory_ledger([*events, call()], RollupChoice(tags=("feature",))) as ledger:
        everything = query(ledger)
        ragged = everything.between(START + timedelta(minutes=1), START + timedelta(hours=29))
        assert everything.tag_keys() == (TagKey(key="feature", calls=30, values=3),)
        assert ragged.tag_keys() == (TagKey(key="feature", calls=28, values=3),)
        assert everything.where(model="gpt-5-mini").tag_keys() == everything.tag_keys()
        assert everything.where(model="other").tag_keys() == ()


def test_unpriced_models_are_those_whose_usage_has_no_complete_price() -> None:
    events = [
        *[
            call(
                START + timedelta(hours=n),
                model="new",
                input_tokens=100,
                cache_read_input_tokens=n,
                output_tokens=7,
            )
            for n in (2, 0, 1)
        ],
        call(model="half", cost_status="partial", total_cost=Decimal(1), usage_source="response"),
        call(model="priced", total_cost=Decimal(1), usage_source="response"),
        call(model="refused", cost_status="free"),
        call(model="cut off", usage_source="unknown"),
    ]
    with memory_ledger(events) as ledger:
        assert query(ledger).unpriced_models() == (
            UnpricedModel(
                provider="openai",
                model="new",
                unknown_cost_calls=3,
                partial_cost_calls=0,
                first_seen=START,
                last_seen=START + timedelta(hours=2),
                tokens_in=303,
                tokens_out=21,
            ),
            UnpricedModel(
                provider="openai",
                model="half",
                unknown_cost_calls=0,
                partial_cost_calls=1,
                first_seen=START,
                last_seen=START,
                tokens_in=0,
                tokens_out=0,
            ),
        )
        assert len(query(ledger).unpriced_models(limit=1)) == 1
