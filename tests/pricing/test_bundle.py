"""The bundled table: its rules, and well-known models checked by hand against the providers' price pages."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest

from flask_llm_cost.pricing import Catalog
from flask_llm_cost.pricing.entry import PriceEntry
from flask_llm_cost.pricing.parse import parse_entries
from flask_llm_cost.pricing.sanity import ALLOWED
from flask_llm_cost.pricing.sanity import broken_rules
from flask_llm_cost.pricing.table_body import table_body
from flask_llm_cost.usage import Usage
from tests.pricing.asking import AT
from tests.pricing.asking import ask
from tests.pricing.asking import rates


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("flask_llm_cost.pricing").joinpath("prices.json").read_bytes())
    return found


@pytest.fixture(scope="module")
def entries(document: dict[str, Any]) -> dict[str, PriceEntry]:
    return parse_entries("prices.json", table_body("prices.json", document).entries)


@pytest.fixture(scope="module")
def bundled() -> Catalog:
    return Catalog.load()


def test_it_says_where_it_comes_from(document: dict[str, Any]) -> None:
    assert document["schema_version"] == 1
    assert document["currency"] == "USD"
    datetime.fromisoformat(document["generated_at"])
    assert [(source["name"], source["licence"]) for source in document["sources"]] == [
        ("genai-prices", "MIT"),
        ("litellm", "MIT"),
    ]
    assert all(len(source["sha256"]) == 64 for source in document["sources"])


def test_every_entry_passes_the_parser_that_reads_the_hosts_entries(
    document: dict[str, Any], entries: dict[str, PriceEntry]
) -> None:
    assert entries.keys() == document["models"].keys()


def test_it_is_sorted_and_of_one_size_with_its_promise(document: dict[str, Any]) -> None:
    keys = list(document["models"])
    providers = Counter(key.partition("/")[0] for key in keys)

    assert keys == sorted(keys)
    assert len(keys) >= 750
    assert len(files("flask_llm_cost.pricing").joinpath("prices.json").read_bytes()) < 225_000
    assert {"openai", "anthropic", "google", "azure", "bedrock", "groq", "mistral", "xai"} <= providers.keys()
    assert providers["openai"] > 100
    assert providers["anthropic"] >= 30
    assert providers["google"] >= 70


def test_money_is_text_everywhere(document: dict[str, Any]) -> None:
    def numbers(value: object) -> list[object]:
        if isinstance(value, dict):
            counts = ("over", "max_input_tokens", "max_output_tokens")
            return [found for key, item in value.items() if key not in counts for found in numbers(item)]
        if isinstance(value, list):
            return [found for item in value for found in numbers(item)]
        return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []

    assert numbers(document["models"]) == []


def test_every_entry_names_its_source_and_confidence(entries: dict[str, PriceEntry]) -> None:
    told = {(entry.provenance["source"], entry.provenance["confidence"]) for entry in entries.values()}

    assert told <= {
        ("genai-prices", "agreed"),
        ("genai-prices", "single"),
        ("genai-prices+litellm", "agreed"),
        ("genai-prices+litellm", "single"),
        ("litellm", "single"),
    }


def test_no_rule_of_sane_prices_is_broken_but_the_allowed_ones(entries: dict[str, PriceEntry]) -> None:
    assert broken_rules(entries) == []
    assert all(key in entries for key, _ in ALLOWED)


def test_every_entry_prices_a_call_in_each_of_its_modes(entries: dict[str, PriceEntry]) -> None:
    for entry in entries.values():
        for mode in ((), *entry.modes()):
            assert entry.free or entry.card(mode, AT) is not None, (entry.key, mode)


KNOWN: list[tuple[str, str, str | None, dict[str, str]]] = [
    ("openai", "gpt-5", None, {"input": "1.25", "cache_read_input": "0.125", "output": "10"}),
    ("openai", "gpt-5", "batch", {"input": "0.625", "cache_read_input": "0.0625", "output": "5"}),
    ("openai", "gpt-5", "flex", {"input": "0.625", "cache_read_input": "0.0625", "output": "5"}),
    ("openai", "gpt-5", "priority", {"input": "2.5", "cache_read_input": "0.25", "output": "20"}),
    ("openai", "gpt-5-mini", None, {"input": "0.25", "cache_read_input": "0.025", "output": "2"}),
    ("openai", "gpt-5-mini", "batch", {"input": "0.125", "cache_read_input": "0.0125", "output": "1"}),
    ("openai", "gpt-5-mini", "priority", {"input": "0.45", "cache_read_input": "0.045", "output": "3.6"}),
    ("openai", "gpt-4o", None, {"input": "2.5", "cache_read_input": "1.25", "output": "10"}),
    # OpenAI publishes no cached rate for batches of gpt-4o: cached input stays at the standard one.
    ("openai", "gpt-4o", "batch", {"input": "1.25", "cache_read_input": "1.25", "output": "5"}),
    ("openai", "gpt-4o", "priority", {"input": "4.25", "cache_read_input": "2.125", "output": "17"}),
    ("openai", "text-embedding-3-small", None, {"input": "0.02"}),
    ("openai", "text-embedding-3-small", "batch", {"input": "0.01"}),
    (
        "anthropic",
        "claude-sonnet-4-5",
        None,
        {
            "input": "3",
            "cache_read_input": "0.3",
            "cache_write_input": "3.75",
            "cache_write_extended_input": "6",
            "output": "15",
        },
    ),
    (
        "anthropic",
        "claude-sonnet-4-5",
        "batch",
        {
            "input": "1.5",
            "cache_read_input": "0.15",
            "cache_write_input": "1.875",
            "cache_write_extended_input": "3",
            "output": "7.5",
        },
    ),
    (
        "anthropic",
        "claude-opus-4-8",
        None,
        {
            "input": "5",
            "cache_read_input": "0.5",
            "cache_write_input": "6.25",
            "cache_write_extended_input": "10",
            "output": "25",
        },
    ),
    ("anthropic", "claude-opus-4-8", "fast", {"input": "10", "cache_read_input": "1", "output": "50"}),
    (
        "anthropic",
        "claude-opus-4-8",
        "batch_data_residency",
        {"input": "2.75", "cache_read_input": "0.275", "output": "13.75"},
    ),
    # Cached reads are a twentieth of the input here, not the usual tenth.
    ("anthropic", "claude-sonnet-5-5", None, {"input": "2", "cache_read_input": "0.1", "output": "10"}),
    ("google", "gemini-2.5-pro", None, {"input": "1.25", "cache_read_input": "0.125", "output": "10"}),
    # Google halves input and output in batches; cached reads stay.
    ("google", "gemini-2.5-pro", "batch", {"input": "0.625", "cache_read_input": "0.125", "output": "5"}),
    ("google", "gemini-2.5-flash", None, {"input": "0.3", "audio_input": "1", "output": "2.5"}),
]
BY_FIELD = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read_input": "cache_read_input_tokens",
    "cache_write_input": "cache_write_input_tokens",
    "cache_write_extended_input": "cache_write_extended_input_tokens",
    "audio_input": "audio_input_tokens",
}


@pytest.mark.parametrize(("provider", "model", "mode", "expected"), KNOWN)
def test_well_known_models_cost_what_their_price_pages_say(
    bundled: Catalog, provider: str, model: str, mode: str | None, expected: dict[str, str]
) -> None:
    usage = Usage(**{BY_FIELD[component]: 1000 for component in expected})
    price = ask(bundled, usage, provider=provider, model=model, pricing_mode=mode)

    assert price.cost_status == "complete"
    assert rates(price) == {component: Decimal(rate) for component, rate in expected.items()}


@pytest.mark.parametrize(
    ("provider", "model", "mode", "tokens", "rate"),
    [
        ("google", "gemini-2.5-pro", None, 200_000, "1.25"),
        ("google", "gemini-2.5-pro", None, 200_001, "2.5"),
        ("google", "gemini-2.5-pro", "batch", 200_001, "1.25"),
        ("anthropic", "claude-sonnet-4-5", None, 200_001, "6"),
        ("openai", "gpt-6.1-sol", "flex", 272_001, "2"),
        ("openai", "gpt-6.1-sol", None, 272_001, "4"),
        # The only provider whose threshold belongs to the tier.
        ("xai", "grok-4.3", None, 199_999, "1.25"),
        ("xai", "grok-4.3", None, 200_000, "2.5"),
    ],
)
def test_context_tiers_begin_where_their_providers_say(
    bundled: Catalog, provider: str, model: str, mode: str | None, tokens: int, rate: str
) -> None:
    usage = Usage(input_tokens=tokens)
    price = ask(bundled, usage, provider=provider, model=model, pricing_mode=mode)

    assert rates(price) == {"input": Decimal(rate)}


@pytest.mark.parametrize(
    ("model", "day", "tokens", "rate"),
    [
        ("claude-sonnet-4-6", datetime(2026, 3, 12, tzinfo=UTC), 300_000, "6"),
        ("claude-sonnet-4-6", datetime(2026, 3, 13, tzinfo=UTC), 300_000, "3"),
    ],
)
def test_a_dated_change_of_the_bundle_holds_from_its_day_on(
    bundled: Catalog, model: str, day: datetime, tokens: int, rate: str
) -> None:
    price = ask(bundled, Usage(input_tokens=tokens), provider="anthropic", model=model, at=day)

    assert rates(price) == {"input": Decimal(rate)}


@pytest.mark.parametrize(
    ("provider", "model", "factor"),
    [
        ("openai", "gpt-6.1-sol", "1.1"),
        ("openai", "gpt-4o", "1"),
        ("anthropic", "claude-opus-5-5", "1.1"),
        ("vertex", "claude-opus-4-7", "1.1"),
        ("vertex", "gemini-3.5-flash", "1.1"),
        ("vertex", "gemini-2.5-flash", "1"),
        ("bedrock", "us.anthropic.claude-sonnet-5-5", "1"),
    ],
)
def test_a_region_costs_what_its_provider_says(
    bundled: Catalog, provider: str, model: str, factor: str
) -> None:
    usage = Usage(input_tokens=1_000_000)
    plain = ask(bundled, usage, provider=provider, model=model).total_cost
    regional = ask(bundled, usage, provider=provider, model=model, pricing_mode="data_residency").total_cost

    assert plain is not None
    assert regional == plain * Decimal(factor)


@pytest.mark.parametrize(
    ("provider", "model", "charges", "mode", "total"),
    [
        ("google", "veo-3.1-generate-001", {"video_second": 8}, None, "3.2"),
        ("google", "veo-3.1-generate-001", {"video_second": 8}, "4k", "4.8"),
        ("openai", "sora-2-pro", {"video_second": 4}, "1792x1024", "2"),
        ("google", "imagen-3.0-generate-001", {"image": 2}, None, "0.08"),
        ("cohere", "rerank-v3.5", {"search_unit": 1}, None, "0.002"),
        ("mistral", "mistral-ocr-2512", {"page": 1000}, None, "2"),
        ("xai", "grok-imagine-image", {"image": 1}, None, "0.02"),
    ],
)
def test_what_is_billed_by_the_piece_has_a_price(
    bundled: Catalog, provider: str, model: str, charges: dict[str, int], mode: str | None, total: str
) -> None:
    usage = Usage(charges={name: Decimal(count) for name, count in charges.items()})
    price = ask(bundled, usage, provider=provider, model=model, pricing_mode=mode)

    assert price.total_cost == Decimal(total)


@pytest.mark.parametrize(("day", "status"), [(datetime(2026, 6, 1, tzinfo=UTC), "complete"), (AT, "unknown")])
def test_a_container_has_a_flat_price_until_its_minutes_are_billed(
    bundled: Catalog, day: datetime, status: str
) -> None:
    usage = Usage(charges={"container_session": Decimal(1)})
    price = ask(bundled, usage, provider="openai", model="gpt-5", at=day)

    assert price.cost_status == status
    assert price.total_cost == (Decimal("0.03") if status == "complete" else None)


@pytest.mark.parametrize(
    ("provider", "model", "mode", "rate"),
    [
        ("mistral", "mistral-large-latest", None, "0.5"),
        ("mistral", "mistral-medium", None, "1.5"),
        ("xai", "grok-code-fast-1", None, "1"),
        ("xai", "grok-4.7", "batch", "1.6"),
        ("google", "gemini-3.6-flash", "flex", "0.375"),
        ("azure", "eu/gpt-4o", None, "2.75"),
        ("azure", "us/gpt-4o", None, "2.75"),
    ],
)
def test_what_was_decided_by_rule(
    bundled: Catalog, provider: str, model: str, mode: str | None, rate: str
) -> None:
    price = ask(bundled, Usage(input_tokens=1), provider=provider, model=model, pricing_mode=mode)

    assert rates(price) == {"input": Decimal(rate)}


@pytest.mark.parametrize("mode", [None, "batch"])
def test_a_scheduled_doubling_reaches_the_batch_rates_too(bundled: Catalog, mode: str | None) -> None:
    def at(day: datetime) -> Decimal | None:
        usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
        return ask(
            bundled, usage, provider="google", model="gemini-4-argon", at=day, pricing_mode=mode
        ).total_cost

    before, after = at(datetime(2026, 11, 30, tzinfo=UTC)), at(datetime(2026, 12, 1, tzinfo=UTC))

    assert before is not None
    assert after == before * 2


def test_deepseeks_peak_hours_are_dearer_on_weekdays(bundled: Catalog) -> None:
    def at(day: int, hour: int) -> Decimal | None:
        moment = datetime(2026, 11, day, hour, tzinfo=UTC)
        return ask(
            bundled,
            Usage(input_tokens=1_000_000),
            provider="deepseek",
            model="deepseek-v4-pro",
            at=moment,
        ).total_cost

    assert (at(20, 2), at(20, 5), at(21, 2)) == (Decimal("1.32"), Decimal("0.66"), Decimal("0.66"))


def test_tools_and_other_units_have_rates(bundled: Catalog) -> None:
    cases = [
        ("openai", "gpt-5", "web_search_request", "10"),
        ("openai", "gpt-5", "file_search_call", "2.5"),
        ("openai", "gpt-4o-search-preview", "web_search_request", "25"),
        ("openai", "whisper-1", "transcription_minute", "0.006"),
        ("openai", "tts-1", "text_to_speech_character", "15"),
        ("anthropic", "claude-opus-4-8", "web_search_request", "10"),
        ("google", "gemini-2.5-pro", "grounding_request", "35"),
        ("google", "imagen-3.0-generate-001", "image", "0.04"),
        ("vertex", "veo-3.1-generate-001", "video_second", "0.4"),
        ("openai", "sora-2", "video_second", "0.1"),
        ("cohere", "rerank-v3.5", "search_unit", "2"),
        ("mistral", "mistral-ocr-4-1", "page", "0.004"),
    ]
    for provider, model, component, rate in cases:
        usage = Usage(charges={component: Decimal(1)})
        price = ask(bundled, usage, provider=provider, model=model)
        assert rates(price) == {component: Decimal(rate)}, (model, component)


@pytest.mark.parametrize(
    ("provider", "model", "mode", "component", "rate"),
    [
        ("openai", "sora-2-pro", "1280x720", "video_second", "0.3"),
        ("openai", "sora-2-pro", "1792x1024", "video_second", "0.5"),
        ("openai", "sora-2", "1280x720", "video_second", "0.1"),
        ("google", "veo-3.1-generate-001", "1080p", "video_second", "0.4"),
        ("google", "veo-3.1-generate-001", "4k", "video_second", "0.6"),
        ("google", "veo-3.1-generate-001", "4k_silent", "video_second", None),
        ("mistral", "mistral-ocr-4-1", "annotated", "page", None),
        ("perplexity", "sonar", "low", "request", "5"),
    ],
)
def test_sizes_and_kinds_of_what_is_billed_by_the_piece_have_rates(
    bundled: Catalog, provider: str, model: str, mode: str, component: str, rate: str | None
) -> None:
    usage = Usage(charges={component: Decimal(1)})
    price = ask(bundled, usage, provider=provider, model=model, pricing_mode=mode)

    assert rates(price) == {component: None if rate is None else Decimal(rate)}


def test_web_fetches_of_anthropic_are_free_and_no_gap(bundled: Catalog) -> None:
    usage = Usage(input_tokens=10, charges={"web_fetch_request": Decimal(2)})
    price = ask(bundled, usage, provider="anthropic", model="claude-opus-4-8")

    assert price.cost_status == "complete"
