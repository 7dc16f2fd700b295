"""How many numbers are missing or doubtful."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import create_engine

from flask_llm_cost.analytics import DataQuality
from tests.analytics.ledgers import START
from tests.analytics.ledgers import call
from tests.analytics.ledgers import filled
from tests.analytics.ledgers import memory_ledger
from tests.analytics.ledgers import query

CALLS = [
    call(input_tokens=5),  # no price
    call(input_tokens=5, cost_status="partial", total_cost=Decimal(1)),
    call(usage_source="unknown"),  # no usage
    call(usage_source="unknown", cost_status="free"),  # refused: nothing is missing
    call(input_tokens=5, usage_source="estimated", total_cost=Decimal(1)),
    call(input_tokens=5, output_tokens=2, total_tokens=7, total_cost=Decimal(1)),  # adds up
    call(input_tokens=5, output_tokens=2, total_tokens=9, total_cost=Decimal(1)),
    call(START + timedelta(hours=1), cache_read_input_tokens=5, total_tokens=0, total_cost=Decimal(1)),
    call(total_tokens=9, usage_source="response", cost_status="free"),  # a total without its parts
]


def test_missing_and_doubtful_numbers_are_counted() -> None:
    with memory_ledger(CALLS) as ledger:
        assert query(ledger).data_quality() == DataQuality(
            calls=9, unpriced=1, partial=1, untold=1, estimated=1, disagreeing=2
        )
        assert query(ledger).where(model="another").data_quality().calls == 0


def test_calls_whose_totals_disagree_are_listed_latest_first() -> None:
    with memory_ledger(CALLS) as ledger:
        assert [found.total_tokens for found in query(ledger).disagreeing_calls()] == [0, 9]
        assert len(query(ledger).disagreeing_calls(limit=1)) == 1


def test_every_database_counts_alike(database_url: str) -> None:
    engine = create_engine(database_url)
    try:
        asked = query(filled(engine, CALLS))
        assert (asked.data_quality().disagreeing, asked.data_quality().calls) == (2, 9)
        assert [model.tokens_in for model in asked.unpriced_models()] == [10]
    finally:
        engine.dispose()
