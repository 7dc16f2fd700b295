from __future__ import annotations

from datetime import UTC
from datetime import date
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.pricing.parse import parse_entries
from flask_llm_cost.pricing.parse import parse_entry
from flask_llm_cost.pricing.table_body import table_body

FULL: dict[str, Any] = {
    "input": "1.25",
    "cache_read_input": "0.125",
    "output": 10,
    "web_search_request": "10",
    "batch_input": "0.625",
    "modes": {
        "priority": {"input": "2.5", "output": "20", "tiers": [{"over": 100_000, "input": "5"}]},
        "data_residency": {"multiplier": "1.1"},
    },
    "tiers": [
        {"over": 200_000, "inclusive": True, "input": "2.5"},
        {"over": 500_000, "input": "5", "output": "30"},
    ],
    "periods": [{"from": "2026-12-01", "until": "2027-01-01", "input": "2"}],
    "time_windows": [{"from": "22:00", "until": "06:00", "days": ["sat", "sun"], "input": "0.5"}],
    "aliases": ["M1-Latest"],
    "source": "contract",
    "checked_on": "2026-11-01",
}


def test_an_entry_with_every_part_of_the_grammar_is_read() -> None:
    entry = parse_entry("prices", "Acme/M1", FULL)

    assert entry.key == "acme/m1"
    assert entry.aliases == ("acme/m1-latest",)
    assert entry.sheet.rates["output"] == Decimal(10)
    assert entry.sheet.modes[("batch",)].rates == {"input": Decimal("0.625")}
    assert entry.sheet.modes[("priority",)].tiers is not None
    assert [tier.least for tier in entry.sheet.tiers or ()] == [200_000, 500_001]
    assert entry.periods[0].start == datetime(2026, 12, 1, tzinfo=UTC)
    assert entry.provenance == {"source": "contract", "checked_on": "2026-11-01"}


def test_flat_and_nested_modes_mean_the_same() -> None:
    flat = parse_entry("t", "m", {"input": "2", "batch_input": "1", "batch_cache_read_input": "0.1"})
    nested = parse_entry(
        "t", "m", {"input": "2", "modes": {"batch": {"input": "1", "cache_read_input": "0.1"}}}
    )

    assert flat == nested


def test_a_flat_compound_mode_is_read_in_any_order() -> None:
    entry = parse_entry("t", "m", {"input": "2", "data_residency_batch_input": "1.1"})

    assert list(entry.sheet.modes) == [("batch", "data_residency")]


@pytest.mark.parametrize(
    "day",
    ["2026-12-01", date(2026, 12, 1), "2026-12-01T00:00:00Z", "2026-12-01T01:00:00+01:00"],
)
def test_a_period_begins_at_midnight_utc_or_at_an_instant(day: object) -> None:
    entry = parse_entry("t", "m", {"input": "1", "periods": [{"from": day, "input": "2"}]})

    assert entry.periods[0].start == datetime(2026, 12, 1, tzinfo=UTC)


REFUSED: list[tuple[str, object, str]] = [
    ("a list", ["1.25"], "must be a mapping, got list"),
    ("nothing", {}, "no rates"),
    ("a float", {"input": 1.25}, r'm1.input: 1.25 is a binary fraction.* put it in quotes: "1.25"'),
    ("a boolean", {"input": True}, "m1.input: must be a plain decimal in quotes"),
    ("a negative rate", {"input": "-1"}, "not negative"),
    ("a negative whole number", {"input": -1}, "not negative"),
    ("nan", {"input": "NaN"}, "must be a plain decimal"),
    ("infinity", {"input": "Infinity"}, "must be a plain decimal"),
    ("an exponent", {"input": "1e-6"}, "must be a plain decimal"),
    ("underscores", {"input": "1_0"}, "must be a plain decimal"),
    ("a currency sign", {"input": "$1"}, "must be a plain decimal"),
    ("a null", {"input": None}, "must be a plain decimal"),
    ("a rate over the ceiling", {"input": "1250"}, "over the ceiling of 1000; .* per 1,000,000 tokens"),
    ("too many digits", {"input": "0.0000000000001"}, "must be a plain decimal"),
    ("a misspelt component", {"inptu": "1"}, "unknown key 'inptu'. Did you mean 'input'?"),
    ("another currency", {"input": "1", "currency": "EUR"}, "must be 'USD'"),
    ("a misspelt flat mode", {"input": "1", "bacth_input": "1"}, "Did you mean 'batch_input'?"),
    ("a misspelt mode", {"input": "1", "modes": {"bacth": {"input": "1"}}}, "Did you mean 'batch'?"),
    ("the standard mode", {"input": "1", "modes": {"standard": {"input": "1"}}}, "in the entry itself"),
    ("an empty mode", {"input": "1", "modes": {"batch": {}}}, "modes.batch: no rates"),
    ("a rate twice", {"batch_input": "1", "modes": {"batch": {"input": "1"}}}, "given twice"),
    (
        "one compound twice",
        {"modes": {"batch_flex": {"input": "1"}, "flex_batch": {"input": "1"}}},
        "named twice",
    ),
    ("a multiplier with rates", {"modes": {"fast": {"multiplier": 2, "input": "1"}}}, "either"),
    ("a multiplier of zero", {"modes": {"fast": {"multiplier": "0"}}}, "over 0"),
    ("a tier without a threshold", {"input": "1", "tiers": [{"input": "2"}]}, "number of input tokens"),
    ("a tier at zero", {"input": "1", "tiers": [{"over": 0, "input": "2"}]}, "number of input tokens"),
    ("a tier without rates", {"input": "1", "tiers": [{"over": 5}]}, r"tiers\[0\]: no rates"),
    (
        "tiers out of order",
        {"input": "1", "tiers": [{"over": 9, "input": "2"}, {"over": 5, "input": "3"}]},
        "must ascend",
    ),
    ("a mode in a tier", {"input": "1", "tiers": [{"over": 9, "batch_input": "2"}]}, "unknown key"),
    ("a period without a start", {"input": "1", "periods": [{"input": "2"}]}, "from: is missing"),
    (
        "a period that ends before it begins",
        {"input": "1", "periods": [{"from": "2026-02-01", "until": "2026-01-01", "input": "2"}]},
        "later than from",
    ),
    ("a period of nothing", {"input": "1", "periods": [{"from": "2026-02-01"}]}, "changes nothing"),
    (
        "a day that does not exist",
        {"input": "1", "periods": [{"from": "2026-02-30", "input": "2"}]},
        "must be a day",
    ),
    (
        "an instant without a zone",
        {"input": "1", "periods": [{"from": "2026-02-01T00:00:00", "input": "2"}]},
        "instant with a zone",
    ),
    (
        "a clock without quotes",
        {"input": "1", "time_windows": [{"from": 990, "until": "20:00", "input": "2"}]},
        "in quotes",
    ),
    (
        "an unknown weekday",
        {"input": "1", "time_windows": [{"from": "01:00", "until": "02:00", "days": ["so"], "input": "2"}]},
        "mon, tue",
    ),
    ("aliases as a string", {"input": "1", "aliases": "m2"}, "must be a list"),
    ("an alias of itself", {"input": "1", "aliases": ["M1"]}, "named twice"),
    ("not a number", {"input": float("nan")}, r"must be a plain decimal in quotes.*, got nan$"),
    ("without an end", {"input": float("inf")}, r"must be a plain decimal in quotes.*, got inf$"),
    ("free with a price", {"free": True, "input": "1"}, "no rates of its own"),
    ("free as text", {"free": "yes"}, "must be true or false"),
    ("nothing but zeros", {"input": "0", "output": 0}, "write free: true"),
    ("same_as with a price", {"same_as": "openai/gpt-5", "input": "1"}, "no rates of its own"),
]


@pytest.mark.parametrize(("body", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_malformed_entry_is_refused_with_its_place_and_the_accepted_form(
    body: object, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        parse_entry("prices.yml", "acme/m1", body)

    assert str(refused.value).startswith("prices.yml: acme/m1")


@pytest.mark.parametrize("key", ["", " ", "/m1", "acme/", 5, None, "x" * 300])
def test_a_malformed_key_is_refused(key: object) -> None:
    with pytest.raises(ConfigurationError, match="key"):
        parse_entry("prices.yml", key, {"input": "1"})


@pytest.mark.parametrize(
    "entries",
    [
        {"acme/m1": {"input": "1"}, "ACME/M1": {"input": "2"}},
        {"acme/m1": {"input": "1", "aliases": ["m2"]}, "acme/m2": {"input": "2"}},
        {"acme/m1": {"input": "1", "aliases": ["m3"]}, "acme/m2": {"input": "2", "aliases": ["m3"]}},
        {"gemini/m1": {"input": "1"}, "google/m1": {"input": "2"}},
    ],
    ids=["case", "alias and key", "alias twice", "two spellings of a provider"],
)
def test_two_entries_cannot_claim_one_name(entries: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="already named by the entry"):
        parse_entries("prices.yml", entries)


def test_a_document_may_describe_itself_beside_its_models() -> None:
    document = {"schema_version": 1, "version": "7", "currency": "USD", "models": {"m": {"input": "1"}}}

    found = table_body("t", document)
    assert (found.entries, found.version) == ({"m": {"input": "1"}}, "7")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "must be a mapping"),
        (None, "must be a mapping"),
        ({"currency": "EUR", "models": {}}, "must be 'USD'"),
        ({"currency": "EUR", "m": {"input": "1"}}, "must be 'USD'"),
        ({"version": "1", "m": {"input": "1"}}, "must stand under models"),
        ({"schema_version": 2, "models": {}}, "schema_version 2 is not 1"),
        ({"models": []}, "must be a mapping"),
        ({"models": {}, "m": {"input": "1"}}, "unknown key 'm' beside models"),
    ],
)
def test_a_malformed_document_is_refused(document: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        table_body("t", document)
