from __future__ import annotations

from typing import Any

import pytest

from flask_llm_cost.pricing import Catalog
from flask_llm_cost.pricing.names import price_key
from flask_llm_cost.pricing.names import without_date
from tests.pricing.asking import AT
from tests.pricing.asking import catalog


@pytest.fixture(scope="module")
def bundled() -> Catalog:
    return Catalog.load()


FOUND: list[tuple[str, str, str, str]] = [
    ("openai", "gpt-5", "openai/gpt-5", "exact"),
    ("OpenAI", " GPT-5 ", "openai/gpt-5", "exact"),
    ("openai", "gpt-5-2025-08-07", "openai/gpt-5", "dated"),
    ("openai", "gpt-5-20250807", "openai/gpt-5", "dated"),
    ("openai", "gpt-5-chat-latest", "openai/gpt-5", "alias"),
    ("openai", "gpt-4o-2024-08-06", "openai/gpt-4o", "dated"),
    # A snapshot with prices of its own is not the model without its date.
    ("openai", "gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13", "exact"),
    ("openai", "omni-moderation-latest", "openai/moderation", "alias"),
    ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5", "dated"),
    ("anthropic", "claude-3-5-haiku-20241022", "anthropic/claude-3-5-haiku-latest", "dated+alias"),
    ("google", "models/gemini-2.5-pro", "google/gemini-2.5-pro", "stripped"),
    ("gemini", "gemini-2.5-pro", "google/gemini-2.5-pro", "exact"),
    ("vertex", "publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro", "list_price+stripped"),
    (
        "vertex",
        "projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929",
        "google/claude-sonnet-4-5",
        "list_price+stripped",
    ),
    ("azure", "gpt-5-mini", "openai/gpt-5-mini", "list_price"),
    ("azure", "gpt-4o-2024-11-20", "openai/gpt-4o", "list_price+dated"),
    ("azure", "text-embedding-3-small", "azure/text-embedding-3-small", "exact"),
    ("groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b", "exact"),
    ("x-ai", "grok-4.3", "xai/grok-4.3", "exact"),
    ("openai", "ft:gpt-4o-2024-08-06:acme:support:abc123", "openai/ft:gpt-4o", "fine_tune+dated"),
    ("openai", "ft:gpt-4.1-2025-04-14:acme::abc123", "openai/ft:gpt-4.1-2025-04-14", "fine_tune"),
    (
        "bedrock",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock/anthropic.claude-sonnet-4-5-20250929",
        "stripped",
    ),
    (
        "bedrock",
        "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock/anthropic.claude-sonnet-4-5-20250929",
        "stripped",
    ),
    (
        "bedrock",
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock/global.anthropic.claude-sonnet-4-5-20250929",
        "stripped",
    ),
    ("bedrock", "amazon.titan-embed-text-v1", "bedrock/amazon.titan-embed-text", "stripped"),
    ("bedrock", "amazon.titan-embed-text-v2:0", "bedrock/amazon.titan-embed-text-v2", "stripped"),
    # As gateways and LiteLLM write them.
    ("openai", "openai/gpt-5", "openai/gpt-5", "stripped"),
    ("openai", "openai/gpt-5-2025-08-07", "openai/gpt-5", "stripped+dated"),
    ("azure", "azure/gpt-5-mini", "openai/gpt-5-mini", "stripped+list_price"),
    ("azure", "azure/eu/gpt-4o", "azure/eu/gpt-4o", "stripped"),
    ("google", "gemini/gemini-2.5-pro", "google/gemini-2.5-pro", "stripped"),
    ("vertex", "vertex_ai/gemini-2.5-pro", "google/gemini-2.5-pro", "stripped+list_price"),
    ("vertex", "claude-sonnet-4-5@default", "google/claude-sonnet-4-5", "list_price+stripped"),
    ("groq", "groq/openai/gpt-oss-120b", "groq/openai/gpt-oss-120b", "stripped"),
    (
        "bedrock",
        "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock/anthropic.claude-sonnet-4-5-20250929",
        "stripped",
    ),
    (
        "bedrock",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
        "bedrock/anthropic.claude-sonnet-4-5-20250929",
        "stripped",
    ),
    ("", "gpt-5", "openai/gpt-5", "providerless"),
    ("unknown", "gpt-5-2025-08-07", "openai/gpt-5", "dated+providerless"),
]


@pytest.mark.parametrize(("provider", "model", "key", "step"), FOUND)
def test_a_name_leads_to_its_record_by_recorded_steps(
    bundled: Catalog, provider: str, model: str, key: str, step: str
) -> None:
    match = bundled.find(provider, model)

    assert match is not None
    assert (match.key, match.step, match.source) == (key, step, "bundled")


NOT_FOUND = [
    ("openai", "gpt-5.9"),
    ("openai", "gpt-5-nano-turbo-x"),
    ("openai", "gpt-5-minimal"),
    ("openai", "gpt-5-2025-02-30"),
    ("openai", "gpt-5-2025-08-07-preview"),
    ("openai", "gpt-5-0807"),
    ("openai", "gpt"),
    ("openai", ""),
    ("openai", "2025-08-07"),
    ("anthropic", "claude-opus-9"),
    ("anthropic", "claude-sonnet-5-7"),
    ("google", "gemini-2.5-pro-exp-99"),
    ("google", "gemini-3.8-flash-cyber"),
    # The base model's own rates are not the fine-tuned ones.
    ("openai", "ft:gpt-5-2025-08-07:acme::abc123"),
    ("openai", "ft:"),
    # A gateway sets its own prices.
    ("openrouter", "openai/gpt-5"),
    ("openrouter", "gpt-5"),
    ("my-gateway", "gpt-5"),
    ("acme", "openai/gpt-5"),
    ("openai", "azure/gpt-5"),
    ("openai", "anthropic/claude-sonnet-4-5"),
    ("openai", "openai/"),
    ("openai", "openai/openai/gpt-5"),
    ("vertex", "claude-sonnet-4-5@latest"),
    ("unknown", "openai/gpt-5"),
    # Sold by several.
    ("unknown", "text-embedding-3-small"),
    ("unknown", "claude-sonnet-4-5"),
    ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef"),
    ("bedrock", "amazon.titan-embed-text-v3:0"),
    ("bedrock", "global.meta.llama3-70b-instruct-v1:0"),
]


@pytest.mark.parametrize(("provider", "model"), NOT_FOUND)
def test_no_guess_is_made(bundled: Catalog, provider: str, model: str) -> None:
    assert bundled.find(provider, model) is None


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("m-2025-01-31", "m"),
        ("m-20250131", "m"),
        ("m-2024-02-29", "m"),
        ("m-2025-02-29", None),
        ("m-202501-31", None),
        ("m-2025-0131", None),
        ("m-20251331", None),
        ("m-19991231", None),
        ("m20250131", None),
        ("m-2025-01-31-x", None),
    ],
)
def test_only_a_valid_date_at_the_end_is_taken_off(model: str, base: str | None) -> None:
    assert without_date(model) == base


def test_a_price_key_splits_at_its_first_slash() -> None:
    prices = catalog({"acme/lab/m1": {"input": "1"}})

    assert prices.find("acme", "lab/m1") is not None
    assert prices.find("lab", "m1") is None
    assert price_key("X-AI/Grok") == "xai/grok"


def test_a_bare_key_prices_the_model_at_any_provider() -> None:
    prices = catalog({"m1": {"input": "1"}})

    for provider in ("acme", "openrouter", "", "unknown"):
        match = prices.find(provider, "m1-2025-01-31")
        assert match is not None
        assert (match.key, match.step) == ("m1", "dated")


def test_a_qualified_key_wins_over_a_bare_one() -> None:
    prices = catalog({"m1": {"input": "1"}, "acme/m1": {"input": "2"}})

    assert getattr(prices.find("acme", "m1"), "key", None) == "acme/m1"
    assert getattr(prices.find("other", "m1"), "key", None) == "m1"


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5-2025-08-07", "gpt-5-codex", "models/gpt-5"])
def test_an_override_holds_for_every_name_of_the_model(model: str) -> None:
    match = catalog({"openai/gpt-5": {"input": "1"}}).find("openai", model)

    assert match is not None
    assert (match.key, match.source) == ("openai/gpt-5", "overrides")


def test_an_override_does_not_reach_a_snapshot_with_a_record_of_its_own() -> None:
    match = catalog({"openai/gpt-4o": {"input": "1"}}).find("openai", "gpt-4o-2024-05-13")

    assert match is not None
    assert (match.key, match.source) == ("openai/gpt-4o-2024-05-13", "bundled")


def test_an_alias_of_an_override_wins_over_a_bundled_key() -> None:
    match = catalog({"openai/ours": {"input": "1", "aliases": ["gpt-5"]}}).find("openai", "gpt-5")

    assert match is not None
    assert (match.key, match.step) == ("openai/ours", "alias")


def test_an_override_reaches_azure_through_the_list_price() -> None:
    match = catalog({"openai/gpt-5": {"input": "1"}}).find("azure", "gpt-5")

    assert match is not None
    assert (match.source, match.step) == ("overrides", "list_price")


def test_same_as_gives_a_deployment_the_prices_of_a_model() -> None:
    prices = catalog({"azure/chat-prod": {"same_as": "openai/gpt-5-mini"}})
    match = prices.find("azure", "chat-prod")

    assert match is not None
    assert (match.key, match.entry.key, match.source) == ("azure/chat-prod", "openai/gpt-5-mini", "overrides")
    price = prices.price(provider="azure", model="chat-prod", usage=None, at=AT)
    assert price.snapshot is not None
    assert price.snapshot["same_as"] == "openai/gpt-5-mini"


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("azure", "chat-prod"),
        ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"),
        ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc123"),
        ("my-gateway", "openai/gpt-5"),
    ],
)
def test_any_name_can_be_given_the_prices_of_a_model(provider: str, model: str) -> None:
    match = catalog({f"{provider}/{model}": {"same_as": "openai/gpt-5-mini"}}).find(provider, model)

    assert match is not None
    assert (match.entry.key, match.step) == ("openai/gpt-5-mini", "exact+alias")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"azure/x": {"same_as": "openai/gpt-5-minni"}},
            "^LLM_COST_PRICING_OVERRIDES: azure/x.same_as: .* Did you mean 'openai/gpt-5-mini'",
        ),
        (
            {"azure/x": {"same_as": "azure/y"}, "azure/y": {"same_as": "openai/gpt-5"}},
            "point to 'openai/gpt-5'",
        ),
        (
            {"azure/x": {"same_as": "azure/x"}},
            "'azure/x' is itself another name; point to an entry that has rates",
        ),
        (
            {"azure/x": {"same_as": "azure/y"}, "azure/y": {"same_as": "azure/x"}},
            "'azure/y' is itself another name; point to an entry that has rates",
        ),
    ],
    ids=["nowhere", "in two hops", "at itself", "in a circle"],
)
def test_same_as_must_lead_to_prices(entries: dict[str, Any], message: str) -> None:
    from flask_llm_cost.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match=message):
        catalog(entries)


def test_several_sellers_of_a_providerless_model_are_refused_and_named() -> None:
    prices = catalog({"acme/m1": {"input": "1"}, "other/m1": {"input": "2"}})

    assert prices.find("unknown", "m1") is None
    text = " ".join(prices.explain(provider="", model="m1", usage=None, at=AT).notes)
    assert "acme/m1" in text
    assert "other/m1" in text


def test_names_from_outside_do_not_fill_the_memory() -> None:
    prices = Catalog.load()

    for number in range(10_000):
        prices.find("openai", f"made-up-{number}")

    assert len(prices._lookup._cache) <= 4096
