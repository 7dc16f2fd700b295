"""Whatever was used and however it was priced: its line items tell what it costs by any other price list."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_llm_cost.events import Iteration
from flask_llm_cost.maintenance import used_by
from flask_llm_cost.maintenance.judgement import Recorded
from flask_llm_cost.maintenance.judgement import Repriced
from flask_llm_cost.maintenance.judgement import judge
from flask_llm_cost.usage import Usage
from tests.made_events import NOON
from tests.maintenance.priced_calls import catalog
from tests.pricing.test_properties import usages

LARGE = {"input": "3", "cache_read_input": "0.3", "output": "15", "tiers": [{"over": 200_000, "input": "6"}]}
LISTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "one": {"house/m": {"input": "1", "output": "5"}},
    "all": {"house/m": LARGE, "house/small": {"input": "0.1", "output": "0.5", "web_search_request": "10"}},
}
iterations = st.lists(
    st.builds(Iteration, model=st.sampled_from(["small", "m", "unheard-of"]), usage=usages()), max_size=3
)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(LISTS)), st.one_of(st.none(), usages()), iterations)
def test_a_recorded_call_costs_what_a_new_one_would(
    before: str, usage: Usage | None, further: list[Iteration]
) -> None:
    asked: dict[str, Any] = {
        "provider": "house", "model": "m", "usage": usage, "iterations": tuple(further), "at": NOON,
    }  # fmt: skip
    price, expected = (catalog(LISTS[name]).price(**asked) for name in (before, "all"))
    call = {
        "provider": "house",
        "model": "m",
        "pricing_mode": None,
        "occurred_at": NOON,
        "total_cost": price.total_cost,
        "cost_status": price.cost_status,
        "cost_source": price.cost_source,
        "pricing_snapshot": price.snapshot,
    }
    items = tuple(asdict(item) for item in price.line_items)
    judged = judge(Recorded(call, items), catalog(LISTS["all"]), fill_only=False)
    if isinstance(judged, Repriced):
        rates = [(item.component, item.quantity, item.rate, item.cost) for item in judged.price.line_items]
        assert rates == [
            (item.component, item.quantity, item.rate, item.cost) for item in expected.line_items
        ]
        assert (judged.price.total_cost, judged.price.cost_status) == (
            expected.total_cost,
            expected.cost_status,
        )
    elif judged == "same":
        assert (expected.total_cost, expected.cost_status) == (price.total_cost, price.cost_status)
    else:
        # Nothing to multiply, no price for any of it, or a quantity too small to be stored.
        assert judged in ("no_usage", "no_price", "not_rebuilt", "would_lose")
        if judged == "not_rebuilt":
            assert any(not item.quantity for item in price.line_items)
        if judged == "would_lose":
            assert any(item.cost is not None for item in price.line_items)


def line(component: str, quantity: int = 1) -> dict[str, Any]:
    return {"component": component, "quantity": quantity}


@pytest.mark.parametrize(
    ("snapshot", "items"),
    [
        (None, [line("input"), line("input")]),
        (None, [line("a component of a later version")]),
        ({"iterations": 12}, [line("input")]),
        ({"iterations": [{"model": "small"}]}, [line("input")]),
        ({"iterations": [{"model": "small"}], "lines": [1, 1]}, [line("input")]),
        ({"iterations": [{"model": "small"}], "lines": [1]}, [line("input")]),
        ({"iterations": [{"model": "s" * 100}], "lines": [1, 0]}, [line("input")]),
        ({"iterations": [{"key": "house/small"}], "lines": [1, 0]}, [line("input")]),
    ],
    ids=["twice", "component", "number only", "no lines", "too many", "too few", "cut name", "no name"],
)
def test_what_does_not_tell_the_quantities_is_not_guessed(
    snapshot: dict[str, Any] | None, items: list[dict[str, Any]]
) -> None:
    assert used_by(snapshot, items) is None
