"""``LLM_COST_*`` keys: defaults, accepted forms, and errors that say how to mend them."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flask_llm_cost.config import KEYS
from flask_llm_cost.config import Config
from flask_llm_cost.config import asks_for
from flask_llm_cost.errors import ConfigurationError


def test_an_empty_configuration_gives_the_defaults() -> None:
    config = Config.from_mapping({"SECRET_KEY": "x", "SQLALCHEMY_DATABASE_URI": "sqlite://"})
    assert config == Config()
    assert config.timezone == ZoneInfo("UTC")
    assert config.url_prefix == "/llm-costs"


def test_every_key_is_a_field_and_every_field_a_key() -> None:
    assert {key.removeprefix("LLM_COST_").lower() for key in KEYS} == {
        field.name for field in dataclasses.fields(Config)
    }


def test_the_configuration_cannot_be_changed() -> None:
    config = Config.from_mapping({"LLM_COST_PRICING_OVERRIDES": {"m": {"input": "1"}}})
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.enabled = False  # type: ignore[misc]
    with pytest.raises(TypeError):
        config.pricing_overrides["other"] = {}  # type: ignore[index]


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("LLM_COST_ENABLED", False, "enabled", False),
        ("LLM_COST_INSTRUMENT", "auto", "instrument", "auto"),
        ("LLM_COST_INSTRUMENT", "openai, anthropic", "instrument", ("openai", "anthropic")),
        ("LLM_COST_INSTRUMENT", ["openai", "openai"], "instrument", ("openai",)),
        ("LLM_COST_INSTRUMENT", False, "instrument", ()),
        ("LLM_COST_INSTRUMENT", "auto, http", "instrument", ("auto", "http")),
        ("LLM_COST_INSTRUMENT", ["auto"], "instrument", "auto"),
        ("LLM_COST_TIMEZONE", "Europe/Berlin", "timezone", ZoneInfo("Europe/Berlin")),
        ("LLM_COST_ROLLUP_TAGS", "tenant, feature", "rollup_tags", ("tenant", "feature")),
        ("LLM_COST_PRICES_FILE", Path("prices.yml"), "prices_file", "prices.yml"),
        ("LLM_COST_DISCOUNTS", {"openai": "0.15"}, "discounts", {"openai": Decimal("0.15")}),
        (
            "LLM_COST_PROVIDER_HOSTS",
            {"LLM.Example.com": "openai"},
            "provider_hosts",
            {"llm.example.com": "openai"},
        ),
        ("LLM_COST_URL_PREFIX", "/admin/costs/", "url_prefix", "/admin/costs"),
        ("LLM_COST_SHUTDOWN_TIMEOUT", 2, "shutdown_timeout", 2.0),
        ("LLM_COST_MAX_TAGS", 0, "max_tags", 0),
        ("LLM_COST_BIND_KEY", None, "bind_key", None),
    ],
)
def test_a_value_is_read_in_its_accepted_form(key: str, value: Any, field: str, expected: Any) -> None:
    assert getattr(Config.from_mapping({key: value}), field) == expected


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("LLM_COST_ENABLE", "LLM_COST_ENABLED"),
        ("LLM_COST_TIME_ZONE", "LLM_COST_TIMEZONE"),
        ("LLM_COST_PRICE_FILE", "LLM_COST_PRICES_FILE"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str, nearest: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{key}\. Did you mean {nearest}\?"):
        Config.from_mapping({key: True})


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("LLM_COST_ENABLED", "yes", "True or False"),
        ("LLM_COST_ENABLED", 1, "True or False"),
        ("LLM_COST_INSTRUMENT", ["https"], "Did you mean 'http'"),
        ("LLM_COST_INSTRUMENT", "opanai", "Did you mean 'openai'"),
        ("LLM_COST_INSTRUMENT", 3, "list of names"),
        ("LLM_COST_STORAGE", "redis", "'database', 'log'"),
        ("LLM_COST_INGESTION", "async", "'auto', 'journal', 'inline'"),
        ("LLM_COST_TIMEZONE", "Mars/Olympus", "IANA time zone"),
        ("LLM_COST_TIMEZONE", "../../etc/passwd", "IANA time zone"),
        ("LLM_COST_ROLLUP_TAGS", ["a tag"], "at most 20 tag keys, each of 1 to 64 letters"),
        ("LLM_COST_ROLLUP_TAGS", [f"t{number}" for number in range(21)], "at most 20 tag keys"),
        ("LLM_COST_CURRENCY", "EUR", "'USD'"),
        ("LLM_COST_DISCOUNTS", {"openai": 0.15}, "as strings"),
        ("LLM_COST_DISCOUNTS", {"openai": "1.5"}, "from 0 to 1"),
        ("LLM_COST_DISCOUNTS", {"openai": "NaN"}, "from 0 to 1"),
        ("LLM_COST_DISCOUNTS", ["openai"], "mapping"),
        ("LLM_COST_PRICING_OVERRIDES", "gpt-5: 1", "mapping"),
        ("LLM_COST_PROVIDER_HOSTS", {"https://x/y": "openai"}, "host names"),
        ("LLM_COST_PROVIDER_HOSTS", {"/anthropic": "openai"}, "host names"),
        ("LLM_COST_URL_PREFIX", "llm-costs", "begins with '/'"),
        ("LLM_COST_URL_PREFIX", "/", "begins with '/'"),
        ("LLM_COST_MAX_TAGS", -1, "whole number"),
        ("LLM_COST_MAX_TAGS", True, "whole number"),
        ("LLM_COST_SHUTDOWN_TIMEOUT", float("nan"), "number of seconds"),
        ("LLM_COST_SERVICE", " ", "non-empty"),
    ],
)
def test_an_invalid_value_is_refused_with_the_accepted_form(key: str, value: Any, accepted: str) -> None:
    with pytest.raises(ConfigurationError, match=key) as caught:
        Config.from_mapping({key: value})
    assert accepted in str(caught.value)


@pytest.mark.parametrize(
    ("instrument", "asked_for"),
    [
        ("auto", ["openai", "google"]),
        (("auto", "http"), ["openai", "google", "http"]),
        (("google", "http"), ["google", "http"]),
        ((), []),
    ],
)
def test_auto_asks_for_every_sdk_and_http_is_asked_for_by_name(instrument: Any, asked_for: list[str]) -> None:
    assert [name for name in ("openai", "google", "http") if asks_for(instrument, name)] == asked_for
