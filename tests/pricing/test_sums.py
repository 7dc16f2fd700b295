"""Sums of tokens cost what their calls cost one by one, tiers and cached tokens included."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC
from datetime import datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_llm_cost.pricing import Catalog
from flask_llm_cost.pricing.sums import price_sums
from flask_llm_cost.pricing.sums import thresholds
from flask_llm_cost.usage import Usage

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CATALOG = Catalog.load(
    overrides={
        "shop/plain": {"input": "1.25", "output": "10", "cache_read_input": "0.125"},
        "shop/tiered": {
            "input": "1.25",
            "output": "10",
            "cache_read_input": "0.3",
            "tiers": [{"over": 1000, "input": "2.5", "output": "15"}, {"over": 5000, "input": "4"}],
        },
    },
    discounts={"shop": Decimal("0.1")},
)
COUNTS = ("input_tokens", "cache_read_input_tokens", "output_tokens")
CALLS = st.lists(
    st.fixed_dictionaries({name: st.integers(1, 4000) for name in COUNTS}), min_size=1, max_size=30
)


@settings(max_examples=100, deadline=None)
@given(calls=CALLS, model=st.sampled_from(("plain", "tiered")))
def test_sums_by_size_cost_what_the_calls_cost(calls: list[dict[str, int]], model: str) -> None:
    edges = thresholds(CATALOG, "shop", model, NOW)
    groups: dict[int, list[dict[str, int]]] = defaultdict(list)
    for call in calls:
        tokens_in = call["input_tokens"] + call["cache_read_input_tokens"]
        groups[sum(tokens_in >= edge for edge in edges)].append(call)
    expected = sum(
        CATALOG.price(provider="shop", model=model, usage=Usage(**call), at=NOW).total_cost or 0
        for call in calls
    )
    found = Decimal(0)
    for mine in groups.values():
        tokens = {name: sum(call[name] for call in mine) for name in COUNTS}
        cost = price_sums(CATALOG, provider="shop", model=model, tokens=tokens, calls=len(mine), at=NOW)
        assert cost is not None
        found += cost
    assert found == expected


def test_the_sizes_are_those_of_the_price_list() -> None:
    assert thresholds(CATALOG, "shop", "plain", NOW) == ()
    assert len(thresholds(CATALOG, "shop", "tiered", NOW)) == 2
    assert thresholds(CATALOG, "nobody", "nothing", NOW) == ()


def test_a_rate_that_is_missing_makes_the_sum_unknown_and_nothing_used_is_zero() -> None:
    def cost(tokens: dict[str, int], model: str = "plain") -> Decimal | None:
        return price_sums(CATALOG, provider="shop", model=model, tokens=tokens, calls=3, at=NOW)

    assert cost({"input_tokens": 100, "audio_input_tokens": 5}) is not None  # at the text rate
    assert cost({"input_tokens": 100, "cache_write_input_tokens": 5}) is None
    assert cost({"input_tokens": 100}, "nothing") is None
    assert cost({"input_tokens": 0}) == 0
