from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.events import Iteration
from flask_llm_cost.pricing import Catalog
from flask_llm_cost.pricing.explanation import Explanation
from flask_llm_cost.usage import Usage
from tests.pricing.asking import AT
from tests.pricing.asking import catalog

ENTRY = {
    "input": "1.25",
    "output": "10",
    "batch_input": "0.5",
    "tiers": [{"over": 1000, "input": "2.5"}],
    "source": "our contract",
}


def explain(prices: Catalog, usage: Usage | None, model: str = "m1", **more: Any) -> Explanation:
    return prices.explain(**{"provider": "acme", "model": model, "usage": usage, "at": AT, **more})


def test_it_shows_record_step_and_every_line() -> None:
    prices = catalog({"acme/m1": ENTRY})
    told = explain(prices, Usage(input_tokens=1200, output_tokens=300), model="m1-2026-01-31")

    assert (told.key, told.step, told.source, told.tier) == ("acme/m1", "dated", "overrides", 1000)
    assert told.provenance == {"source": "our contract"}
    assert [(line.component, line.quantity, line.rate, line.cost) for line in told.lines] == [
        ("input", 1200, Decimal("2.5"), Decimal("0.003")),
        ("output", 300, Decimal(10), Decimal("0.003")),
    ]
    assert (told.total_cost, told.cost_status, told.is_complete) == (Decimal("0.006"), "complete", True)
    text = " ".join(told.notes)
    assert "priced by acme/m1" in text
    assert "the trailing date was taken off the name" in text
    assert "the tier over 1000 tokens" in text


def test_it_shows_the_rates_in_force_without_any_usage() -> None:
    told = explain(catalog({"acme/m1": ENTRY}), None, pricing_mode="batch")

    assert {name: told.rates[name] for name in ("input", "output")} == {"input": "0.5", "output": "10"}
    assert told.mode == "batch"
    assert (told.total_cost, told.cost_status) == (None, "unknown")
    assert "no usage" in " ".join(told.notes)


def test_it_names_what_is_missing_and_what_was_borrowed() -> None:
    usage = Usage(input_tokens=1, cache_write_input_tokens=5, audio_input_tokens=3)
    told = explain(catalog({"acme/m1": ENTRY}), usage)

    assert told.missing == ("cache_write_input",)
    assert not told.is_complete
    assert "No rate for cache_write_input" in " ".join(told.notes)
    lines = {line.component: (line.quantity, line.rate, line.cost, line.note) for line in told.lines}
    assert lines["cache_write_input"] == (5, None, None, None)
    borrowed = "no rate of its own: billed at the input rate"
    assert lines["audio_input"] == (3, Decimal("1.25"), Decimal("0.00000375"), borrowed)


def test_it_names_the_modes_that_a_record_has() -> None:
    told = explain(catalog({"acme/m1": ENTRY}), Usage(input_tokens=1), pricing_mode="flex")

    assert "acme/m1 has no rates for the mode flex (known: batch)." in told.notes


def test_it_names_the_nearest_keys_where_nothing_matches() -> None:
    told = explain(Catalog.load(), Usage(input_tokens=1), model="gpt-5-minni", provider="openai")

    assert told.key is None
    assert "openai/gpt-5-mini" in told.nearest
    text = " ".join(told.notes)
    assert "No price entry for openai/gpt-5-minni" in text
    assert "Add 'openai/gpt-5-minni' to LLM_COST_PRICING_OVERRIDES" in text


def test_it_says_when_the_provider_told_the_charge() -> None:
    told = explain(
        catalog({"m1": ENTRY}), Usage(input_tokens=1), provider="openrouter", provider_cost=Decimal("0.5")
    )

    assert (told.total_cost, told.cost_source) == (Decimal("0.5"), "provider")
    assert "stands above the computed lines" in " ".join(told.notes)


def test_it_shows_discounts_and_every_model_of_a_call() -> None:
    prices = catalog({"acme/m1": ENTRY, "acme/small": {"free": True}}, discounts={"acme": Decimal("0.15")})
    told = explain(
        prices,
        Usage(input_tokens=1000),
        iterations=[Iteration(model="small", usage=Usage(input_tokens=7))],
    )

    assert told.discount == Decimal("0.15")
    assert [line.model for line in told.lines] == ["m1", "small"]
    assert (told.lines[0].rate, told.lines[0].cost) == (Decimal("1.0625"), Decimal("0.0010625"))
    text = " ".join(told.notes)
    assert "A discount of 15% is taken off" in text
    assert "this model is free" in text


@pytest.mark.parametrize(
    ("at", "rate", "notes"),
    [
        ("2026-03-13T12:00:00+00:00", "1", ["Dated prices: these hold until 2026-03-14."]),
        ("2026-03-14T00:00:00+00:00", "4", ["Dated prices: these hold from 2026-03-14 until 2026-05-01."]),
        (
            "2026-05-04T03:30:00+02:00",
            "6",
            [
                "Dated prices: these hold from 2026-05-01.",
                "The rates of the hours 01:00 to 04:00 UTC, Mon Tue apply.",
            ],
        ),
        ("2026-05-06T02:00:00+00:00", "5", ["Dated prices: these hold from 2026-05-01."]),
    ],
    ids=["before", "first day", "in the window", "another weekday"],
)
def test_it_names_the_dates_and_hours_that_hold(at: str, rate: str, notes: list[str]) -> None:
    entry = {
        "input": "1",
        "periods": [
            {"from": "2026-03-14", "input": "4"},
            {
                "from": "2026-05-01",
                "input": "5",
                "time_windows": [{"from": "01:00", "until": "04:00", "days": ["mon", "tue"], "input": "6"}],
            },
        ],
    }
    told = explain(catalog({"acme/m1": entry}), Usage(input_tokens=1), at=datetime.fromisoformat(at))

    assert told.rates["input"] == rate
    assert [note for note in told.notes if "hold" in note or "hours" in note] == notes


def test_the_arithmetic_of_a_line_can_be_checked_by_hand() -> None:
    prices = catalog({"acme/m1": {"input": "1.25", "page": "0.5"}}, discounts={"acme": Decimal("0.2")})
    usage = Usage(input_tokens=1_234_567, output_tokens=3, charges={"page": Decimal(2)})
    told = explain(prices, usage)

    assert [(line.arithmetic, line.note) for line in told.lines] == [
        ("1,234,567 x 1 / 1,000,000 = 1.234567", "list rate 1.25"),
        ("3 x unknown / 1,000,000 = unknown", None),
        ("2 x 0.4 = 0.8", "list rate 0.5"),
    ]


def test_it_names_thresholds_and_modes_of_the_entry() -> None:
    told = explain(catalog({"acme/m1": ENTRY}), Usage(input_tokens=1))
    assert (told.thresholds, told.known_modes) == ((1001,), ("batch",))
