"""The maintainer's command, on made-up source data: what it takes over, merges and refuses."""

from __future__ import annotations

import json
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.pricing.build.merge import Disagreement
from flask_llm_cost.pricing.build.merge import Merged
from flask_llm_cost.pricing.build.merge import Second
from flask_llm_cost.pricing.build.merge import merge
from flask_llm_cost.pricing.build.report import report
from flask_llm_cost.pricing.build.sources import GENAI_PRICES
from flask_llm_cost.pricing.parse import parse_entries
from flask_llm_cost.pricing.parse import parse_entry
from flask_llm_cost.pricing.published.genai import read_genai
from flask_llm_cost.pricing.published.litellm import candidates
from flask_llm_cost.pricing.published.litellm import read_litellm
from flask_llm_cost.pricing.published.litellm import regional_multipliers
from flask_llm_cost.pricing.published.litellm import retirements
from flask_llm_cost.pricing.render import entry_body
from flask_llm_cost.pricing.render import render
from flask_llm_cost.pricing.sanity import broken_rules
from flask_llm_cost.pricing.table_body import table_body

D = Decimal
RATES = {"input_mtok": "2", "output_mtok": "8"}


def model(name: str, rates: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    prices = more.pop("prices", [{"rates": rates if rates is not None else RATES}])
    return {"id": name, "names": [], "prices": prices, "variants": [], **more}


def genai(*models: dict[str, Any], provider: str = "openai", matches: dict[str, str] | None = None) -> Any:
    return read_genai(
        {
            "providers": [{"id": provider, "models": list(models), "comments": ["Verified on 2026-10-14."]}],
            "matches": {provider: matches or {}},
        }
    )


def row(**costs: str | Decimal) -> dict[str, Any]:
    found: dict[str, Any] = {"litellm_provider": "openai", "mode": "chat"}
    return {**found, **{key: D(value) for key, value in costs.items()}}


PLAIN = {"input_cost_per_token": "0.000002", "output_cost_per_token": "0.000008"}


def merged(first: Any, rows: dict[str, Any]) -> Merged:
    return merge(first, Second(read_litellm(rows), retirements(rows), regional_multipliers(rows)))


def body(found: Merged, key: str) -> dict[str, Any]:
    return entry_body(found.entries[key])


def test_tiers_modes_and_units_of_the_first_source_are_taken_over() -> None:
    table = genai(
        model(
            "m",
            {
                "input_mtok": {"base": "2", "tiers": [[199_999, "4"]]},
                "output_mtok": "8",
                "cache_write_1h_mtok": "5",
                "web_searches_kcount": "10",
                "audio_hours": "0.36",
                "output_citation_mtok": "1",
            },
            variants=[
                {"when": {"service_tier": "default"}, "rates": {}},
                {"when": {"processing": "batch"}, "start": "2026-10-14", "rates": {"input_mtok": "1"}},
                {"when": {"route": "eu"}, "rates": {"input_mtok": "3"}},
            ],
        )
    )

    assert entry_body(table.entries["openai/m"]) == {
        "input": "2",
        "cache_write_extended_input": "5",
        "output": "8",
        "web_search_request": "10",
        "transcription_minute": "0.006",
        "tiers": [{"over": 200_000, "inclusive": True, "input": "4"}],
        "modes": {"batch": {"input": "1"}},
        "confidence": "single",
        "source": "genai-prices",
    }


def test_dated_prices_become_changes_and_a_mode_belongs_to_the_period_it_was_seen_in() -> None:
    table = genai(
        model(
            "m",
            prices=[
                {"rates": {**RATES, "cache_read_mtok": "0.2"}},
                {"start": "2026-09-01", "rates": {**RATES, "input_mtok": "3", "cache_read_mtok": "0.2"}},
                {"start": "2026-12-01", "rates": {**RATES, "input_mtok": "6", "cache_read_mtok": "0.2"}},
            ],
            variants=[
                {"when": {"processing": "batch"}, "start": "2026-12-01", "rates": {"input_mtok": "3"}},
                {"when": {"processing": "batch"}, "start": "2026-10-14", "rates": {"input_mtok": "1.5"}},
            ],
        )
    )

    assert entry_body(table.entries["openai/m"])["periods"] == [
        {"from": "2026-09-01", "input": "3", "modes": {"batch": {"input": "1.5"}}},
        {"from": "2026-12-01", "input": "6", "modes": {"batch": {"input": "3"}}},
    ]
    assert "modes" not in entry_body(table.entries["openai/m"])


def test_a_tier_that_ends_is_taken_away() -> None:
    tiered = {**RATES, "input_mtok": {"base": "2", "tiers": [[200_000, "4"]]}}
    table = genai(model("m", prices=[{"rates": tiered}, {"start": "2026-03-13", "rates": RATES}]))
    entry = table.entries["openai/m"]

    assert entry_body(entry)["periods"] == [{"from": "2026-03-13", "tiers": []}]
    card = entry.card((), datetime(2026, 3, 13, tzinfo=UTC))
    assert card is not None
    assert card.level(10**6).rates["input"].amount == 2


def test_only_models_that_are_known_to_be_free_are_free() -> None:
    table = genai(model("moderation", {}), model("x:free", {}), model("unpriced", {}))

    assert sorted(key for key, entry in table.entries.items() if entry.free) == [
        "openai/moderation",
        "openai/x:free",
    ]
    assert table.remarks == ["left out, no price: openai/unpriced"]


def test_aliases_that_a_lookup_finds_by_itself_are_left_out() -> None:
    table = genai(model("m", names=["m", "m-2025-08-07", "m-latest", "n"]), model("n"))

    assert table.entries["openai/m"].aliases == ("openai/m-latest",)


def test_float_noise_of_the_second_source_is_rounded_away() -> None:
    rows = {
        "m": row(input_cost_per_token="7.999999999999999e-07", output_cost_per_token="2.4000000000000003e-06")
    }
    entry = read_litellm(rows)["openai/m"]

    assert entry.sheet.rates == {"input": D("0.8"), "output": D("2.4")}


def test_suffixes_of_the_second_source_become_tiers_and_modes() -> None:
    costs = {
        **PLAIN,
        "input_cost_per_token_above_272k_tokens": "0.000004",
        "input_cost_per_token_priority": "0.000003",
        "input_cost_per_token_above_272k_tokens_priority": "0.000006",
        "cache_creation_input_token_cost_above_12hr": "0.000009",
        "regional_processing_uplift_multiplier_us": "1.1",
    }

    assert entry_body(read_litellm({"m": row(**costs)})["openai/m"]) == {
        "input": "2",
        "cache_write_extended_input": "9",
        "output": "8",
        "tiers": [{"over": 272_000, "input": "4"}],
        "modes": {
            "data_residency": {"multiplier": "1.1"},
            "priority": {"input": "3", "tiers": [{"over": 272_000, "input": "6"}]},
        },
        "confidence": "single",
        "source": "litellm",
    }


def film(provider: str, **costs: str) -> dict[str, Any]:
    return {**row(**costs), "litellm_provider": provider, "mode": "video_generation"}


def test_resolutions_of_a_video_become_modes() -> None:
    told = film("gemini", output_cost_per_second="0.1", output_cost_per_second_4k="0.3")

    assert entry_body(read_litellm({"gemini/veo-1": told})["google/veo-1"]) == {
        "video_second": "0.1",
        "modes": {
            "4k": {"video_second": "0.3"},
            "720p": {"video_second": "0.1"},
            "1080p": {"video_second": "0.1"},
        },
        "confidence": "single",
        "source": "litellm",
    }


def test_a_row_of_larger_videos_becomes_modes_of_the_model() -> None:
    found = read_litellm(
        {
            "sora-2-pro": film("openai", output_cost_per_video_per_second="0.3"),
            "sora-2-pro-high-res": film("openai", output_cost_per_video_per_second="0.5"),
        }
    )

    assert list(found) == ["openai/sora-2-pro"]
    modes = entry_body(found["openai/sora-2-pro"])["modes"]
    assert modes["1792x1024"] == {"video_second": "0.5"}
    assert modes["1280x720"] == {"video_second": "0.3"}


def test_a_video_whose_first_picture_is_billed_too_is_left_out() -> None:
    told = film("xai", output_cost_per_second="0.05", input_cost_per_image="0.002")

    assert read_litellm({"xai/film": told}) == {}


def test_pictures_have_a_price_each_where_they_are_not_billed_by_tokens() -> None:
    drawn = {"output_cost_per_image": "0.04", "input_cost_per_image": "0.001"}
    rows = {
        "imagen": {**row(**drawn), "mode": "image_generation"},
        "tokens": {**row(**PLAIN, **drawn), "mode": "image_generation"},
    }
    found = read_litellm(rows)

    assert found["openai/imagen"].sheet.rates == {"image": D("0.04")}
    assert "image" not in found["openai/tokens"].sheet.rates


def test_a_fee_by_how_much_of_the_web_is_taken_in_becomes_modes() -> None:
    sizes = {f"search_context_size_{size}": D(cost) for size, cost in [("low", "0.005"), ("high", "0.012")]}
    told = {**row(**PLAIN), "litellm_provider": "perplexity", "search_context_cost_per_query": sizes}

    assert entry_body(read_litellm({"sonar": told})["perplexity/sonar"])["modes"] == {
        "high": {"request": "12"},
        "low": {"request": "5"},
    }


def test_rows_that_price_a_region_or_a_size_are_not_models() -> None:
    rows = {
        "m": row(**PLAIN),
        "1024-x-1024/m": row(**PLAIN),
        "audited": {**row(**PLAIN), "mode": "guardrail"},
    }

    assert candidates(rows) == {"openai": ["m"]}


def test_agreement_is_noted_and_completes_a_record() -> None:
    found = merged(
        genai(model("m")),
        {"m": row(**PLAIN, cache_read_input_token_cost="0.0000002", input_cost_per_token_batches="0.000001")},
    )

    assert body(found, "openai/m") == {
        "input": "2",
        "cache_read_input": "0.2",
        "output": "8",
        "modes": {"batch": {"input": "1"}},
        "confidence": "agreed",
        "source": "genai-prices+litellm",
    }
    assert found.disagreements == []


def test_disagreement_is_reported_and_the_first_source_stands() -> None:
    found = merged(
        genai(model("m")), {"m": row(input_cost_per_token="0.000003", output_cost_per_token="0.000008")}
    )

    assert found.disagreements == [Disagreement("openai/m", "input", D(2), D(3), "kept")]
    assert body(found, "openai/m")["input"] == "2"
    assert body(found, "openai/m")["confidence"] == "single"


@pytest.mark.parametrize(
    ("input_rate", "output_rate", "remark"),
    [
        ("0.000001", "0.000004", None),
        # A fifth off, and cents that were rounded.
        ("0.0000016", "0.0000064", None),
        ("0.00000111", "0.000004", None),
        ("0.000002", "0.000008", "left out, 1.00 of the standard rate: openai/m: batch"),
        ("0.0000005", "0.000002", "left out, 0.25 of the standard rate: openai/m: batch"),
        (
            "0.000001",
            "0.000006",
            "left out, input and output at 0.50 and 0.75 of the standard rates: openai/m: batch",
        ),
    ],
)
def test_a_published_batch_rate_is_taken_unless_it_cannot_be_true(
    input_rate: str, output_rate: str, remark: str | None
) -> None:
    costs = {"input_cost_per_token_batches": input_rate, "output_cost_per_token_batches": output_rate}
    found = merged(genai(model("m")), {"m": row(**PLAIN, **costs)})

    assert ("modes" in body(found, "openai/m")) == (remark is None)
    assert found.remarks == ([remark] if remark else [])


def test_flex_has_the_tiers_of_batch_where_it_costs_the_same() -> None:
    tiered = {**RATES, "input_mtok": {"base": "2", "tiers": [[200_000, "4"]]}}
    batch = {
        "when": {"processing": "batch"},
        "rates": {"input_mtok": {"base": "1", "tiers": [[200_000, "2"]]}, "output_mtok": "4"},
    }
    costs = {
        **PLAIN,
        "input_cost_per_token_flex": "0.000001",
        "output_cost_per_token_flex": "0.000004",
        "input_cost_per_token_priority": "0.000004",
    }
    found = merged(genai(model("m", tiered, variants=[batch])), {"m": row(**costs)})

    modes = body(found, "openai/m")["modes"]
    assert modes["flex"] == modes["batch"]
    assert "priority" not in modes
    assert len(found.remarks) == 2


def test_a_moving_name_costs_what_the_version_costs_whose_price_the_second_source_states() -> None:
    new = {"input_mtok": "0.5", "output_mtok": "1.5"}
    cheap = {"input_cost_per_token": "0.0000005", "output_cost_per_token": "0.0000015"}
    first = genai(model("big", names=["big", "big-latest", "big-2411"]), model("big-2512", new))
    found = merged(first, {"big-latest": row(**cheap), "big-2411": row(**cheap), "big-2512": row(**cheap)})

    assert body(found, "openai/big-latest")["input"] == "0.5"
    # A version is no moving name.
    assert found.entries["openai/big"].aliases == ("openai/big-2411",)
    assert {item.key: item.decision for item in found.disagreements} == {
        "openai/big-latest": "moved: at the price of openai/big-2512, on which both sources agree",
        "openai/big-2411": "kept",
    }


def test_a_retired_name_costs_what_the_model_costs_that_it_leads_to() -> None:
    new = {"input_mtok": "1", "output_mtok": "2"}
    cheap = {"input_cost_per_token": "0.000001", "output_cost_per_token": "0.000002"}
    first = genai(model("fast-1"), model("build-1", new))
    retired = {**row(**cheap), "deprecation_date": "2026-05-15"}
    found = merged(first, {"fast-1": retired, "build-1": row(**cheap)})

    assert body(found, "openai/fast-1")["input"] == "2"
    assert body(found, "openai/fast-1")["periods"] == [{"from": "2026-05-15", "input": "1", "output": "2"}]


def test_a_price_that_the_first_source_knows_as_past_is_no_reason() -> None:
    first = genai(
        model(
            "m-1", prices=[{"rates": RATES}, {"start": "2026-09-01", "rates": {**RATES, "input_mtok": "3"}}]
        )
    )
    found = merged(first, {"m-1": row(**PLAIN)})

    assert found.disagreements[0].decision == "kept: litellm states the price before 2026-09-01"


def test_a_regional_endpoint_has_its_surcharge() -> None:
    rows = {"vertex_ai/gem@001": {"regional_endpoint_uplift_multiplier": D("1.1")}}
    found = merged(genai(model("gem"), provider="google"), rows)

    assert body(found, "google/gem")["modes"] == {"data_residency": {"multiplier": "1.1"}}


def test_what_is_sold_at_list_price_gets_no_record_but_a_data_zone_does() -> None:
    azure = {**row(**PLAIN), "litellm_provider": "azure"}
    rows = {"azure/m": azure, "azure/eu/m": azure, "azure/us/m": azure, "azure/own": azure}
    found = merged(genai(model("m")), rows)

    assert sorted(found.entries) == ["azure/eu/m", "azure/own", "openai/m"]
    assert found.entries["azure/eu/m"].aliases == ("azure/us/m",)


def test_videos_images_and_searches_are_priced_by_their_own_units() -> None:
    google = {"litellm_provider": "gemini"}
    rows = {
        "gemini/veo": {
            **google,
            "mode": "video_generation",
            "output_cost_per_second": D("0.4"),
            "output_cost_per_second_4k": D("0.6"),
        },
        "gemini/imagen": {**google, "mode": "image_generation", "output_cost_per_image": D("0.04")},
        "xai/pic": {
            "litellm_provider": "xai",
            "mode": "image_generation",
            "input_cost_per_image": D("0.02"),
        },
        "rank": {"litellm_provider": "cohere", "mode": "rerank", "input_cost_per_query": D("0.002")},
    }
    found = merged(genai(), rows)

    assert body(found, "google/veo")["video_second"] == "0.4"
    assert body(found, "google/veo")["modes"] == {
        "1080p": {"video_second": "0.4"},
        "4k": {"video_second": "0.6"},
        "720p": {"video_second": "0.4"},
    }
    assert body(found, "google/imagen")["image"] == "0.04"
    assert body(found, "xai/pic")["image"] == "0.02"
    assert body(found, "cohere/rank")["search_unit"] == "2"


def test_a_cache_write_cheaper_than_input_is_left_out_and_reported() -> None:
    found = merged(genai(), {"m": row(**PLAIN, cache_creation_input_token_cost="0.000001")})

    assert "cache_write_input" not in body(found, "openai/m")
    assert "mixed up" in found.remarks[0]


def test_a_name_that_only_the_first_sources_loose_rules_know_must_agree_to_become_an_alias() -> None:
    rows = {
        "m-x": row(**PLAIN),
        "m-y": row(input_cost_per_token="0.000005", output_cost_per_token="0.000008"),
    }
    found = merged(genai(model("m"), matches={"m-x": "m", "m-y": "m"}), rows)

    assert found.entries["openai/m"].aliases == ("openai/m-x",)
    assert body(found, "openai/m-y")["source"] == "litellm"
    assert "a record of its own" in found.disagreements[0].decision


def test_rates_are_taken_over_up_to_the_change_that_is_ahead() -> None:
    first = genai(
        model("m", prices=[{"rates": RATES}, {"start": "2027-01-01", "rates": {**RATES, "input_mtok": "4"}}])
    )
    costs = {
        **PLAIN,
        "input_cost_per_token_flex": "0.000001",
        "regional_processing_uplift_multiplier_us": "1.1",
    }
    entry = merged(first, {"m": row(**costs)}).entries["openai/m"]

    def knows(day: datetime) -> list[str]:
        return [mode for mode in ("flex", "data_residency") if entry.card((mode,), day)]

    assert knows(datetime(2026, 12, 31, tzinfo=UTC)) == ["flex", "data_residency"]
    # Nobody said what the change does to the flex rate; a surcharge follows the rates.
    assert knows(datetime(2027, 1, 1, tzinfo=UTC)) == ["data_residency"]


def test_the_report_lists_every_decision() -> None:
    found = merged(
        genai(model("m-1"), model("n-latest")),
        {
            "m-1": row(input_cost_per_token="0.000003", output_cost_per_token="0.000008"),
            "n-latest": row(input_cost_per_token="0.000003", output_cost_per_token="0.000008"),
        },
    )
    text = report(found, [GENAI_PRICES.as_source()], "2026-10-14")
    moving, others = text.partition("## Names that move")[2].split("## Other disagreements")

    assert "| `openai/n-latest` | input | 2 | 3 | kept |" in moving
    assert "| `openai/m-1` | input | 2 | 3 | kept |" in others
    assert GENAI_PRICES.sha256 in text


def test_the_rendered_table_is_read_back_as_it_was_and_always_the_same() -> None:
    entry = {
        "input": "1.5",
        "output": "10",
        "tiers": [{"over": 200_000, "inclusive": True, "input": "3"}],
        "modes": {"batch": {"input": "0.75", "tiers": []}, "data_residency": {"multiplier": "1.1"}},
        "time_windows": [{"from": "22:00", "until": "06:00", "days": ["sat"], "input": "1"}],
        "periods": [{"from": "2026-12-01", "input": "3"}],
        "aliases": ["b", "a"],
        "source": "litellm",
        "confidence": "single",
    }
    entries = {key: parse_entry("t", key, entry) for key in ("acme/z", "other/x", "acme/m")}
    entries["acme/z"] = parse_entry("t", "acme/z", {"free": True})
    bodies = {key: entry_body(item) for key, item in entries.items()}
    text = render(bodies, [GENAI_PRICES.as_source()], "2026-11-03")
    read = parse_entries("t", table_body("t", json.loads(text)).entries)

    assert text == render(dict(reversed(bodies.items())), [GENAI_PRICES.as_source()], "2026-11-03")
    assert {key: item.sheet for key, item in read.items()} == {
        key: item.sheet for key, item in entries.items()
    }
    assert read["acme/m"].periods == entries["acme/m"].periods
    assert list(read) == ["acme/m", "acme/z", "other/x"]


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ({"input": "1", "cache_read_input": "2"}, "cache_read"),
        ({"input": "2", "cache_write_input": "1"}, "cache_write"),
        ({"input": "1", "cache_write_input": "3", "cache_write_extended_input": "2"}, "cache_write_extended"),
        ({"input": "2", "tiers": [{"over": 5, "input": "1"}]}, "tier"),
        ({"input": "1", "output": "0"}, "zero"),
        ({"input": "1", "batch_input": "0.1"}, "mode batch"),
        ({"input": "1", "batch_input": "2"}, "mode batch"),
        ({"input": "1", "priority_input": "0.5"}, "mode priority"),
        ({"input": "1", "priority_input": "7"}, "mode priority"),
        ({"input": "1", "periods": [{"from": "2027-01-01", "cache_read_input": "2"}]}, "cache_read"),
    ],
)
def test_insane_prices_break_a_rule(entry: dict[str, Any], rule: str) -> None:
    found = broken_rules({"acme/m": parse_entry("t", "acme/m", entry)})

    assert [line.split(": ")[1] for line in found] == [rule]
