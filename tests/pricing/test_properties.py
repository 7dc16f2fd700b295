"""What holds for every price, found out with made-up entries and usage."""

from __future__ import annotations

import json
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_llm_cost.components import components
from flask_llm_cost.money import MONEY_LIMIT
from flask_llm_cost.pricing import Price
from flask_llm_cost.usage import Usage
from tests.pricing.asking import ask

COUNTED = [component for component in components().values() if component.usage]
CHARGED = [component.name for component in components().values() if not component.usage]
# Cached audio and images are parts of cached input; the other counts are free to vary.
FREE_FIELDS = [item.usage for item in COUNTED if item.usage and not item.name.startswith("cache_read_")]

rate = st.decimals(min_value=0, max_value=1000, places=6, allow_nan=False).map(lambda value: f"{value:f}")
rates = st.dictionaries(st.sampled_from(list(components())), rate, min_size=1, max_size=6).filter(
    lambda found: any(Decimal(value) for value in found.values())
)


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    entry: dict[str, Any] = dict(draw(rates))
    thresholds = sorted(draw(st.sets(st.integers(1, 2_000_000), max_size=3)))
    if thresholds:
        entry["tiers"] = [{"over": over, **draw(rates)} for over in thresholds]
    modes = {name: dict(draw(rates)) for name in draw(st.sets(st.sampled_from(["batch", "flex"])))}
    if draw(st.booleans()):
        modes["data_residency"] = {"multiplier": "1.1"}
    if modes:
        entry["modes"] = modes
    return entry


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    count = st.one_of(st.none(), st.integers(0, 3_000_000))
    found: dict[str, Any] = {name: draw(count) for name in FREE_FIELDS}
    cached = draw(count)
    found["cache_read_input_tokens"] = cached
    if cached:
        found["cache_read_audio_input_tokens"] = draw(st.integers(0, cached // 2))
        found["cache_read_image_input_tokens"] = draw(st.integers(0, cached // 2))
    found["charges"] = draw(
        st.dictionaries(st.sampled_from(CHARGED), st.decimals(0, 1000, places=8).map(abs), max_size=3)
    )
    return Usage(**found)


modes = st.sampled_from([None, "batch", "flex", "priority", "batch_data_residency", "data_residency"])
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
discounts = st.decimals(0, 1, places=4)


def asked(entry: dict[str, Any], usage: Usage, mode: str | None, discount: Decimal = Decimal(0)) -> Price:
    from flask_llm_cost.pricing import Catalog

    return ask(
        Catalog.load(overrides={"acme/m1": entry}, discounts={"acme": abs(discount)}),
        usage,
        pricing_mode=mode,
    )


@settings(max_examples=60, deadline=None)
@given(entries(), usages(), modes, discounts)
def test_lines_add_up_to_the_total_and_nothing_is_negative(
    entry: dict[str, Any], usage: Usage, mode: str | None, discount: Decimal
) -> None:
    price = asked(entry, usage, mode, discount)
    known = [item.cost for item in price.line_items if item.cost is not None]

    assert all(cost >= 0 for cost in known)
    if price.total_cost is not None:
        assert sum(known, Decimal(0)) == price.total_cost
        assert 0 <= price.total_cost < MONEY_LIMIT
        assert -price.total_cost.as_tuple().exponent == 12  # type: ignore[operator]
    for item in price.line_items:
        if item.cost is not None:
            divisor = components()[item.component].rate_basis.divisor
            assert item.rate is not None
            # A minute's quantity has six digits; its cost is that of the seconds.
            seconds = item.rate * Decimal("8.4e-7") if item.unit == "minute" else 0
            assert abs(item.quantity * item.rate / divisor - item.cost) <= Decimal("5e-13") + seconds


@settings(max_examples=60, deadline=None)
@given(entries(), usages(), modes)
def test_the_status_says_what_the_lines_say(entry: dict[str, Any], usage: Usage, mode: str | None) -> None:
    price = asked(entry, usage, mode)
    unknown = [item for item in price.line_items if item.cost is None]

    assert (price.total_cost is None) is (price.cost_status == "unknown")
    assert (price.cost_status in ("complete", "free")) is (price.total_cost is not None and not unknown)
    assert (price.cost_status == "free") is (price.total_cost == 0)
    assert (price.cost_status == "partial") is bool(unknown and price.total_cost)
    counted = [item for item in price.line_items if components()[item.component].usage]
    assert all(item.quantity > 0 for item in counted)
    assert len(json.dumps(price.snapshot)) <= 1000


@st.composite
def rising_entries(draw: st.DrawFn) -> dict[str, Any]:
    """Entries whose tiers are dearer than what is below, as every provider's are."""
    names = ("input", "output", "cache_read_input", "cache_write_input", "audio_input", "web_search_request")
    plain = {name: draw(st.integers(1, 10**8)) for name in names}
    entry: dict[str, Any] = {name: _per_million(rate) for name, rate in plain.items()}
    factor, entry["tiers"] = 1, []
    for over in sorted(draw(st.sets(st.integers(1, 3_000_000), max_size=3))):
        factor += draw(st.integers(0, 3))
        dearer = {name: _per_million(rate * factor) for name, rate in plain.items()}
        entry["tiers"].append({"over": over, "inclusive": draw(st.booleans()), **dearer})
    entry["modes"] = {
        "batch": {"input": _per_million(plain["input"] // 2)},
        "data_residency": {"multiplier": "1.1"},
    }
    return entry


def _per_million(millionths: int) -> str:
    return f"{Decimal(millionths).scaleb(-6):f}"


PARTS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "audio_input_tokens",
    "output_tokens",
)
counts = st.lists(st.integers(0, 10**6), min_size=len(PARTS), max_size=len(PARTS))


def used(numbers: list[int], searches: int = 0) -> Usage:
    counted = dict(zip(PARTS, numbers, strict=True))
    return Usage(**counted, charges={"web_search_request": Decimal(searches)})


@settings(max_examples=80, deadline=None)
@given(rising_entries(), counts, counts, st.integers(0, 50), modes)
def test_more_of_anything_never_costs_less(
    entry: dict[str, Any], base: list[int], more: list[int], searches: int, mode: str | None
) -> None:
    small = asked(entry, used(base), mode).total_cost
    large = asked(entry, used([a + b for a, b in zip(base, more, strict=True)], searches), mode).total_cost

    assert (small is None) is (large is None) or mode in ("flex", "priority")
    if small is not None and large is not None:
        assert small <= large


@settings(max_examples=80, deadline=None)
@given(rising_entries(), counts, st.integers(2, 1000), st.sampled_from([None, "batch", "data_residency"]))
def test_a_thousand_times_the_usage_costs_a_thousand_times_as_much(
    entry: dict[str, Any], numbers: list[int], times: int, mode: str | None
) -> None:
    plain = {**entry, "tiers": []}
    one = asked(plain, used(numbers, 1), mode).total_cost
    many = asked(plain, used([number * times for number in numbers], times), mode).total_cost

    assert one is not None
    assert many is not None
    if many < MONEY_LIMIT:
        # A surcharge makes a seventh digit of a rate, which one token cannot show in twelve.
        assert abs(many - one * times) <= (Decimal("5e-13") * 6 * times if mode == "data_residency" else 0)


@settings(max_examples=60, deadline=None)
@given(entries(), usages(), modes, moments)
def test_an_explanation_never_disagrees_with_the_price(
    entry: dict[str, Any], usage: Usage, mode: str | None, at: datetime
) -> None:
    from tests.pricing.asking import catalog

    prices = catalog({"acme/m1": entry})
    price = ask(prices, usage, at=at, pricing_mode=mode)
    told = prices.explain(provider="acme", model="m1", usage=usage, at=at, pricing_mode=mode)

    assert (told.total_cost, told.cost_status) == (price.total_cost, price.cost_status)
    assert [line.cost for line in told.lines] == [item.cost for item in price.line_items]
    assert told.notes
