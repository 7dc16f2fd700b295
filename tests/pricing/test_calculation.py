from __future__ import annotations

import decimal
import json
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from datetime import timezone
from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.events import Iteration
from flask_llm_cost.money import MONEY_LIMIT
from flask_llm_cost.usage import Usage
from tests.pricing.asking import AT
from tests.pricing.asking import MILLION
from tests.pricing.asking import ask
from tests.pricing.asking import catalog
from tests.pricing.asking import costs
from tests.pricing.asking import rates

D = Decimal
ONE = Usage(input_tokens=MILLION, output_tokens=MILLION)


def one(entry: dict[str, Any], **more: Any) -> Decimal | None:
    """What a million tokens in and a million out cost."""
    return ask({"acme/m1": entry}, ONE, **more).total_cost


def test_each_component_is_billed_at_its_own_rate_and_the_lines_add_up() -> None:
    entry = {
        "input": "3",
        "cache_read_input": "0.3",
        "cache_write_input": "3.75",
        "cache_write_extended_input": "6",
        "output": "15",
        "web_search_request": "10",
        "transcription_minute": "0.006",
    }
    usage = Usage(
        input_tokens=1,
        cache_read_input_tokens=10,
        cache_write_input_tokens=100,
        cache_write_extended_input_tokens=1000,
        output_tokens=10_000,
        reasoning_tokens=9_000,
        charges={"web_search_request": D(3), "transcription_minute": D("0.5")},
    )
    price = ask({"acme/m1": entry}, usage)

    assert costs(price) == {
        "input": D("0.000003"),
        "cache_read_input": D("0.000003"),
        "cache_write_input": D("0.000375"),
        "cache_write_extended_input": D("0.006"),
        "output": D("0.15"),
        "web_search_request": D("0.03"),
        "transcription_minute": D("0.003"),
    }
    assert price.total_cost == D("0.189381")
    assert (price.cost_status, price.cost_source) == ("complete", "computed")
    assert price.snapshot == {
        "key": "acme/m1",
        "step": "exact",
        "source": "overrides",
        "version": price.snapshot["version"] if price.snapshot else "",
        "rates": {name: str(rate) for name, rate in entry.items()},
    }


def test_a_line_is_rounded_once_and_money_has_twelve_digits() -> None:
    usage = Usage(input_tokens=1, charges={"transcription_minute": D(1) / 3})
    price = ask({"acme/m1": {"input": "0.000001234567", "transcription_minute": "1"}}, usage)

    assert costs(price) == {"input": D("0.000000000001"), "transcription_minute": D("0.333333333333")}
    assert str(price.total_cost) == "0.333333333334"


@pytest.mark.parametrize(
    ("seconds", "total"),
    [
        ("10", "0.001"),
        ("1", "0.0001"),
        ("8.47", "0.000847"),
        ("0.0001", "0.00000001"),
        ("3599.9999", "0.35999999"),
    ],
)
def test_a_recording_is_billed_by_its_seconds_to_the_last_digit(seconds: str, total: str) -> None:
    usage = Usage(charges={"transcription_minute": D(seconds) / 60})
    price = ask({"acme/m1": {"transcription_minute": "0.006"}}, usage)
    assert price.total_cost == D(total)

    stored = Usage(charges={"transcription_minute": price.line_items[0].quantity})
    assert ask({"acme/m1": {"transcription_minute": "0.006"}}, stored) == price


def test_the_hosts_decimal_context_changes_nothing() -> None:
    usage = Usage(input_tokens=123_456_789, output_tokens=987_654_321)
    entry = {"acme/m1": {"input": "1.234567", "output": "7.654321"}}
    expected = ask(entry, usage)

    with decimal.localcontext() as context:
        context.prec = 3
        context.rounding = decimal.ROUND_UP
        assert ask(entry, usage) == expected
    assert str(expected.total_cost) == str(D("123.456789") * D("1.234567") + D("987.654321") * D("7.654321"))


TIERED = {
    "input": "1",
    "output": "2",
    "cache_read_input": "0.1",
    "tiers": [{"over": 1000, "input": "10", "output": "20"}, {"over": 5000, "input": "100"}],
}


@pytest.mark.parametrize(
    ("tokens", "rate", "tier"),
    [(1000, "1", None), (1001, "10", 1000), (5000, "10", 1000), (5001, "100", 5000)],
)
def test_a_tier_bills_the_whole_call_once_its_threshold_is_passed(
    tokens: int, rate: str, tier: int | None
) -> None:
    price = ask({"acme/m1": TIERED}, Usage(input_tokens=tokens))

    assert rates(price) == {"input": D(rate)}
    assert price.total_cost == tokens * D(rate) / MILLION
    assert (price.snapshot or {}).get("tier") == tier


def test_a_tier_is_measured_by_all_input_and_falls_back_to_the_entry() -> None:
    price = ask(
        {"acme/m1": TIERED},
        Usage(input_tokens=1, cache_read_input_tokens=998, audio_input_tokens=2, output_tokens=1),
    )

    # 1001 tokens in all. The tier has no cached rate: the entry's holds.
    assert rates(price) == {
        "input": D(10),
        "cache_read_input": D("0.1"),
        "audio_input": D(10),
        "output": D(20),
    }


def test_a_key_missing_in_the_highest_tier_falls_back_to_the_entry_not_to_the_tier_below() -> None:
    price = ask({"acme/m1": TIERED}, Usage(input_tokens=6000, output_tokens=1))

    assert rates(price) == {"input": D(100), "output": D(2)}


@pytest.mark.parametrize(("tokens", "rate"), [(199_999, "1"), (200_000, "2")])
def test_an_inclusive_tier_begins_at_its_threshold(tokens: int, rate: str) -> None:
    entry = {"input": "1", "tiers": [{"over": 200_000, "inclusive": True, "input": "2"}]}

    assert rates(ask({"acme/m1": entry}, Usage(input_tokens=tokens))) == {"input": D(rate)}


MODES = {
    "input": "8",
    "output": "16",
    "cache_read_input": "1",
    "web_search_request": "10",
    "tiers": [{"over": 1000, "input": "80", "output": "160", "cache_read_input": "10"}],
    "modes": {
        "batch": {"input": "4", "output": "8", "tiers": [{"over": 1000, "input": "40"}]},
        "priority": {"input": "16"},
        "data_residency": {"multiplier": "1.1"},
        "priority_batch": {"input": "9"},
    },
}


@pytest.mark.parametrize(
    ("mode", "tokens", "expected"),
    [
        (None, 1000, {"input": "8", "output": "16", "cache_read_input": "1"}),
        ("standard", 1000, {"input": "8", "output": "16", "cache_read_input": "1"}),
        ("batch", 1000, {"input": "4", "output": "8", "cache_read_input": "1"}),
        # Its own tier for input; its own rate for output, whatever the size; the entry's tier for the rest.
        ("batch", 1001, {"input": "40", "output": "8", "cache_read_input": "10"}),
        ("priority", 1000, {"input": "16", "output": "16", "cache_read_input": "1"}),
        ("priority", 1001, {"input": "16", "output": "160", "cache_read_input": "10"}),
        ("data_residency", 1000, {"input": "8.8", "output": "17.6", "cache_read_input": "1.1"}),
        ("batch_data_residency", 1000, {"input": "4.4", "output": "8.8", "cache_read_input": "1.1"}),
        ("data-residency-batch", 1001, {"input": "44", "output": "8.8", "cache_read_input": "11"}),
        ("batch_priority", 1000, {"input": "9", "output": "16", "cache_read_input": "1"}),
        (
            "data_residency_priority_batch",
            1000,
            {"input": "9.9", "output": "17.6", "cache_read_input": "1.1"},
        ),
    ],
)
def test_a_mode_has_its_own_rates_and_tiers_and_falls_back_to_the_entry(
    mode: str | None, tokens: int, expected: dict[str, str]
) -> None:
    usage = Usage(
        input_tokens=tokens - 10,
        cache_read_input_tokens=10,
        output_tokens=1,
        charges={"web_search_request": D(1)},
    )
    price = ask({"acme/m1": MODES}, usage, pricing_mode=mode)

    # A surcharge on tokens leaves searches alone.
    wanted = {name: D(rate) for name, rate in expected.items()} | {"web_search_request": D(10)}
    assert rates(price) == wanted
    assert price.cost_status == "complete"


@pytest.mark.parametrize("mode", ["flex", "batch_flex", "made_up", "scale"])
def test_a_mode_that_the_entry_does_not_have_is_unknown_not_standard(mode: str) -> None:
    price = ask({"acme/m1": MODES}, ONE, pricing_mode=mode)

    assert (price.total_cost, price.cost_status, price.cost_source) == (None, "unknown", None)
    assert price.snapshot is not None
    assert price.snapshot["missing"] == ["input", "output"]


@pytest.mark.parametrize(
    ("modes", "mode", "rate"),
    [
        # One rate for all sizes, where none is named.
        ({}, "1024x1792_hd", "4"),
        ({"batch": {"image": "2"}}, "batch_1080p", "2"),
        ({"batch": {"image": "2"}}, "flex_1080p", None),
        # Where one is named, all that are used must be.
        ({"hd": {"image": "8"}}, "hd", "8"),
        ({"hd": {"image": "8"}}, "1024x1024", None),
        ({"hd": {"image": "8"}, "1024x1792_hd": {"image": "12"}}, "hd_1024x1792", "12"),
        ({"hd": {"image": "8"}}, None, "4"),
        # A kind is no size: it may cost anything.
        ({}, "silent", None),
        ({}, "4g", None),
        ({}, "annotated", None),
        ({"silent": {"image": "3"}}, "4k_silent", "3"),
    ],
)
def test_a_size_matters_where_the_entry_names_sizes(
    modes: dict[str, Any], mode: str | None, rate: str | None
) -> None:
    usage = Usage(charges={"image": Decimal(1)})
    price = ask({"acme/m1": {"image": "4", "modes": modes}}, usage, pricing_mode=mode)

    assert rates(price) == {"image": None if rate is None else Decimal(rate)}


def test_sizes_that_do_not_matter_take_no_memory() -> None:
    prices = catalog({"acme/m1": {"image": "4"}})
    for width in range(100, 400):
        usage = Usage(charges={"image": Decimal(1)})
        assert ask(prices, usage, pricing_mode=f"{width}x{width}").total_cost == 4

    match = prices.find("acme", "m1")
    assert match is not None
    assert len(match.entry._cards) == 1


@pytest.mark.parametrize(
    ("entry", "mode", "total"),
    [
        ({"input": "2"}, "data_residency", "2"),
        ({"input": "2", "batch_input": "1"}, "batch_data_residency", "1"),
        ({"input": "2"}, "flex_data_residency", None),
        # The record knows of regions: what it does not list is not known.
        ({"input": "2", "batch_input": "1", "data_residency_input": "3"}, "batch_data_residency", None),
    ],
)
def test_a_region_costs_nothing_where_the_record_has_no_surcharge_for_it(
    entry: dict[str, Any], mode: str, total: str | None
) -> None:
    price = ask({"acme/m1": entry}, Usage(input_tokens=MILLION), pricing_mode=mode)

    assert price.total_cost == (None if total is None else D(total))


def test_anthropics_priority_tier_is_billed_at_standard_rates() -> None:
    prices = catalog({"anthropic/m1": {"input": "3"}, "acme/m1": {"input": "3"}})
    usage = Usage(input_tokens=MILLION)

    assert ask(prices, usage, provider="anthropic", pricing_mode="priority").total_cost == 3
    assert ask(prices, usage, provider="acme", pricing_mode="priority").total_cost is None


PERIODS = {
    "input": "1",
    "output": "10",
    "batch_input": "0.5",
    "tiers": [{"over": 5 * MILLION, "input": "3"}],
    "periods": [
        {"from": "2026-12-01", "input": "2"},
        {"from": "2027-01-01", "until": "2027-02-01", "output": "20"},
        {"from": "2027-03-01", "tiers": [], "batch_input": "1"},
    ],
}


@pytest.mark.parametrize(
    ("moment", "total"),
    [
        ("2020-01-01T00:00:00+00:00", "11"),
        ("2026-11-30T23:59:59.999999+00:00", "11"),
        ("2026-12-01T00:00:00+00:00", "12"),
        ("2026-12-01T00:30:00+01:00", "11"),
        ("2026-12-31T23:59:59+00:00", "12"),
        ("2027-01-15T00:00:00+00:00", "22"),
        ("2027-02-01T00:00:00+00:00", "12"),
        ("2030-01-01T00:00:00+00:00", "12"),
    ],
)
def test_dated_changes_hold_from_their_day_on_and_add_up(moment: str, total: str) -> None:
    assert one(PERIODS, at=datetime.fromisoformat(moment)) == D(total)


def test_a_dated_change_leaves_modes_and_tiers_that_it_does_not_name() -> None:
    usage = Usage(input_tokens=6 * MILLION)
    prices = catalog({"acme/m1": PERIODS})

    assert ask(prices, usage, at=datetime(2026, 12, 2, tzinfo=UTC)).total_cost == 18
    assert ask(prices, usage, at=datetime(2027, 3, 2, tzinfo=UTC)).total_cost == 12
    batch = Usage(input_tokens=MILLION)
    assert ask(prices, batch, pricing_mode="batch", at=datetime(2026, 12, 2, tzinfo=UTC)).total_cost == D(
        "0.5"
    )
    assert ask(prices, batch, pricing_mode="batch", at=datetime(2027, 3, 2, tzinfo=UTC)).total_cost == 1


WINDOWS = {
    "input": "1",
    "time_windows": [
        {"from": "01:00", "until": "04:00", "days": ["mon", "tue", "wed", "thu", "fri"], "input": "2"},
        {"from": "22:00", "until": "00:30", "input": "3"},
    ],
}


@pytest.mark.parametrize(
    ("moment", "rate"),
    [
        ("2026-11-20T00:59:59+00:00", "1"),
        ("2026-11-20T01:00:00+00:00", "2"),
        ("2026-11-20T12:00:00+10:00", "2"),
        ("2026-11-20T04:00:00+00:00", "1"),
        ("2026-11-21T02:00:00+00:00", "1"),
        ("2026-11-21T22:00:00+00:00", "3"),
        ("2026-11-22T00:29:00+00:00", "3"),
        ("2026-11-22T00:30:00+00:00", "1"),
    ],
)
def test_rates_may_depend_on_the_hour_in_utc(moment: str, rate: str) -> None:
    price = ask({"acme/m1": WINDOWS}, Usage(input_tokens=1), at=datetime.fromisoformat(moment))

    assert rates(price) == {"input": D(rate)}


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        ask({"acme/m1": {"input": "1"}}, ONE, at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_parts_without_a_rate_are_billed_at_the_rate_they_are_part_of_and_that_is_said() -> None:
    usage = Usage(
        input_tokens=1,
        cache_read_input_tokens=30,
        cache_read_audio_input_tokens=10,
        audio_input_tokens=5,
        image_output_tokens=7,
    )
    entry = {
        "input": "1",
        "cache_read_input": "0.1",
        "output": "4",
        "batch_input": "0.5",
        "image_output": "9",
    }
    price = ask({"acme/m1": entry}, usage)

    assert rates(price) == {
        "input": D(1),
        "cache_read_input": D("0.1"),
        "audio_input": D(1),
        "cache_read_audio_input": D("0.1"),
        "image_output": D(9),
    }
    assert price.snapshot is not None
    assert price.snapshot["lent"] == {"audio_input": "input", "cache_read_audio_input": "cache_read_input"}
    assert ask({"acme/m1": entry}, usage, pricing_mode="batch").snapshot != price.snapshot


def test_a_used_component_without_a_rate_makes_the_price_partial() -> None:
    price = ask({"acme/m1": {"input": "1"}}, ONE)

    assert (price.total_cost, price.cost_status, price.cost_source) == (D(1), "partial", "computed")
    assert [(item.component, item.cost_status) for item in price.line_items] == [
        ("input", "complete"),
        ("output", "unknown"),
    ]
    assert price.snapshot is not None
    assert price.snapshot["missing"] == ["output"]


def test_anthropics_long_cache_writes_are_never_billed_at_the_short_rate() -> None:
    usage = Usage(input_tokens=1, cache_write_extended_input_tokens=MILLION)
    price = ask({"acme/m1": {"input": "3", "cache_write_input": "3.75"}}, usage)

    assert price.cost_status == "partial"
    assert costs(price)["cache_write_extended_input"] is None


@pytest.mark.parametrize(
    "usage",
    [
        None,
        Usage(),
        Usage(total_tokens=5),
        Usage(output_tokens=MILLION),
        Usage(input_tokens=0, output_tokens=MILLION),
        Usage(input_tokens=0, output_tokens=0, total_tokens=77),
        Usage(output_tokens=1, charges={"web_fetch_request": D(5)}),
    ],
    ids=["none", "empty", "total only", "no rate", "zero priced", "total without parts", "only a free part"],
)
def test_nothing_priced_is_unknown_and_never_zero(usage: Usage | None) -> None:
    price = ask({"acme/m1": {"input": "1", "web_fetch_request": "0"}}, usage)

    assert (price.total_cost, price.cost_status, price.cost_source) == (None, "unknown", None)


def test_an_unknown_model_is_unknown_and_its_quantities_are_kept() -> None:
    price = ask({"acme/other": {"input": "1"}}, ONE)

    assert (price.total_cost, price.cost_status, price.snapshot) == (None, "unknown", None)
    assert [(item.component, item.quantity, item.rate, item.cost) for item in price.line_items] == [
        ("input", D(MILLION), None, None),
        ("output", D(MILLION), None, None),
    ]


@pytest.mark.parametrize("model", ["m1", "not-listed"])
def test_zero_quantities_cost_nothing_and_need_no_rate(model: str) -> None:
    usage = Usage(input_tokens=0, output_tokens=0, cache_write_input_tokens=0, total_tokens=0)
    price = ask({"acme/m1": {"input": "1"}}, usage, model=model)

    assert (price.total_cost, price.cost_status, price.line_items) == (D(0), "free", ())


def test_a_free_model_costs_nothing_even_where_nothing_was_told() -> None:
    prices = catalog({"acme/m1": {"free": True}})

    for usage in (ONE, None, Usage(charges={"container_session": D(1)})):
        price = ask(prices, usage, pricing_mode="batch")
        assert (price.total_cost, price.cost_status) == (D(0), "free")
        assert all(item.cost == 0 and item.cost_status == "free" for item in price.line_items)


def test_a_component_with_a_rate_of_zero_is_free_beside_others() -> None:
    usage = Usage(input_tokens=MILLION, charges={"web_fetch_request": D(2)})
    price = ask({"acme/m1": {"input": "1", "web_fetch_request": 0}}, usage)

    assert [(item.cost, item.cost_status) for item in price.line_items] == [
        (D(1), "complete"),
        (D(0), "free"),
    ]
    assert price.cost_status == "complete"


@pytest.mark.parametrize(
    ("tokens", "status"), [(10**9 - 1, "complete"), (10**9, "unknown"), (10**12, "unknown")]
)
def test_a_result_at_the_limit_is_not_believed(tokens: int, status: str) -> None:
    price = ask({"acme/m1": {"input": "1000"}}, Usage(input_tokens=tokens))

    assert price.cost_status == status
    assert price.total_cost is None or price.total_cost < MONEY_LIMIT
    assert (price.line_items[0].cost is None) is (status == "unknown")


def test_a_discount_lowers_every_rate_of_its_provider_and_is_frozen() -> None:
    entries = {"acme/m1": {"input": "3", "web_search_request": "10"}, "other/m1": {"input": "3"}}
    prices = catalog(entries, discounts={"Acme": D("0.15")})
    usage = Usage(input_tokens=MILLION, charges={"web_search_request": D(1)})
    price = ask(prices, usage)

    assert rates(price) == {"input": D("2.55"), "web_search_request": D("8.5")}
    assert price.total_cost == D("2.5585")
    assert price.snapshot is not None
    assert price.snapshot["discount"] == "0.15"
    assert price.snapshot["rates"] == {"input": "3", "web_search_request": "10"}
    assert ask(prices, Usage(input_tokens=MILLION), provider="other").total_cost == 3


def test_a_discount_of_everything_is_free() -> None:
    prices = catalog({"acme/m1": {"input": "3"}}, discounts={"acme": D(1)})

    assert ask(prices, Usage(input_tokens=5)).cost_status == "free"


def test_iterations_are_billed_at_their_own_model_with_lines_of_their_own() -> None:
    prices = catalog({"acme/m1": TIERED, "acme/small": {"input": "0.5"}})
    price = ask(
        prices,
        Usage(input_tokens=600),
        iterations=[
            Iteration(model="small", usage=Usage(input_tokens=MILLION)),
            # Tiers are measured per iteration, not by the sum.
            Iteration(model=None, usage=Usage(input_tokens=600)),
        ],
    )

    assert [(item.component, item.rate, item.quantity) for item in price.line_items] == [
        ("input", D(1), D(600)),
        ("input", D("0.5"), D(MILLION)),
        ("input", D(1), D(600)),
    ]
    assert price.total_cost == D("0.5012")
    assert price.snapshot is not None
    assert [item["model"] for item in price.snapshot["iterations"]] == ["small", "m1"]
    assert price.snapshot["iterations"][0]["rates"] == {"input": "0.5"}


def test_an_iteration_that_cannot_be_priced_makes_the_call_partial() -> None:
    price = ask(
        {"acme/m1": {"input": "1"}},
        Usage(input_tokens=MILLION),
        iterations=[Iteration(model="not-listed", usage=Usage(input_tokens=5))],
    )

    assert (price.total_cost, price.cost_status) == (D(1), "partial")


@pytest.mark.parametrize("provider", ["openrouter", "perplexity", "xai", "x-ai"])
def test_the_charge_that_an_authoritative_provider_tells_stands(provider: str) -> None:
    prices = catalog({"m1": {"input": "1", "output": "2"}}, discounts={provider: D("0.5")})
    price = ask(
        prices,
        ONE,
        provider=provider,
        provider_cost=D("0.1234567890125"),
        provider_fields={"request": "usage.cost"},
    )

    assert (price.total_cost, price.cost_status, price.cost_source) == (
        D("0.123456789012"),
        "complete",
        "provider",
    )
    assert [(item.component, item.quantity, item.rate, item.cost) for item in price.line_items] == [
        ("request", D(1), None, D("0.123456789012"))
    ]
    assert price.line_items[0].provider_field == "usage.cost"
    assert price.snapshot is not None
    assert price.snapshot["source"] == "provider"
    assert price.snapshot["estimate"]["total_cost"] == "1.5"


def test_the_charge_of_an_authoritative_provider_needs_neither_usage_nor_a_price() -> None:
    price = ask({"acme/m1": {"input": "1"}}, None, provider="openrouter", provider_cost=D("0.5"))

    assert (price.total_cost, price.cost_source) == (D("0.5"), "provider")


@pytest.mark.parametrize(
    ("provider", "told"),
    [
        ("openai", D("0.5")),
        ("xai", D("-1")),
        ("xai", D("NaN")),
        ("xai", D("Infinity")),
        ("xai", MONEY_LIMIT),
    ],
)
def test_other_charges_are_not_believed(provider: str, told: Decimal) -> None:
    price = ask({"m1": {"input": "1", "output": "2"}}, ONE, provider=provider, provider_cost=told)

    assert (price.total_cost, price.cost_source) == (D(3), "computed")


def test_a_charge_of_zero_is_free() -> None:
    price = ask({"acme/m1": {"input": "1"}}, ONE, provider="openrouter", provider_cost=D(0))

    assert (price.total_cost, price.cost_status) == (D(0), "free")


def test_lines_name_the_providers_own_fields() -> None:
    fields = {"input_tokens": "usage.prompt_tokens", "output": "usage.completion_tokens"}
    price = ask({"acme/m1": {"input": "1", "output": "1"}}, ONE, provider_fields=fields)

    assert [item.provider_field for item in price.line_items] == list(fields.values())


def test_a_snapshot_is_json_and_stays_under_a_kilobyte() -> None:
    names = [f"cache_read_{kind}" for kind in ("input", "audio_input", "image_input")]
    names += ["input", "output", "audio_input", "audio_output", "image_input", "image_output"]
    name = "x" * 200
    entries = {f"acme/{name}{n}": {rate: "123.123456789012" for rate in names} for n in range(30)}
    usage = Usage(
        input_tokens=1,
        cache_read_input_tokens=9,
        cache_read_audio_input_tokens=3,
        cache_read_image_input_tokens=3,
        audio_input_tokens=1,
        image_input_tokens=1,
        output_tokens=1,
        audio_output_tokens=1,
        image_output_tokens=1,
        charges={"web_search_request": D(1), "container_session": D(1)},
    )
    turns = [Iteration(model=f"{name}{n}", usage=usage) for n in range(30)]
    prices = catalog(entries, discounts={"acme": D("0.123456789")})
    at = datetime(2026, 11, 22, tzinfo=timezone(timedelta(hours=5)))

    for count in (0, 1, 2, 5, 30):
        price = ask(prices, usage, model=f"{name}0", iterations=turns[:count], at=at)
        assert len(json.dumps(price.snapshot)) <= 1000
        assert price.snapshot is not None
        assert price.snapshot["rates"]["input"] == "123.123456789012"
        told = price.snapshot.get("iterations", [])
        assert count == (told if isinstance(told, int) else len(told))
        assert len(price.line_items) == 11 * (count + 1)


def test_the_price_of_a_moment_does_not_depend_on_what_was_asked_before() -> None:
    prices = catalog({"acme/m1": PERIODS})
    later = datetime(2027, 1, 15, tzinfo=UTC)

    assert [ask(prices, ONE, at=at).total_cost for at in (AT, later, AT, later)] == [11, 22, 11, 22]
