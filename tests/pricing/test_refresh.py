"""What a published list would change: formats, what is kept, what is refused, what looks like a mistake."""

from __future__ import annotations

import json
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from flask_llm_cost.pricing import Catalog
from flask_llm_cost.pricing.parse import parse_entries
from flask_llm_cost.pricing.refresh import Plan
from flask_llm_cost.pricing.refresh import PriceList
from flask_llm_cost.pricing.refresh import PricesFile
from flask_llm_cost.pricing.refresh import RefreshError
from flask_llm_cost.pricing.refresh import make_plan
from flask_llm_cost.pricing.refresh import read_source
from flask_llm_cost.pricing.refresh import write_whole
from flask_llm_cost.pricing.refresh.source import detect
from flask_llm_cost.pricing.render import render
from flask_llm_cost.pricing.tables import PriceTable
from flask_llm_cost.pricing.tables import bundled_table
from flask_llm_cost.usage import Usage
from tests.pricing.asking import ask
from tests.pricing.asking import rates

AT = datetime(2026, 11, 26, 9, tzinfo=UTC)

GENAI = [
    {
        "id": "openai",
        "price_comments": "Verified on 2026-11-20.",
        "models": [
            {
                "id": "m1",
                "match": {"or": [{"equals": "m1"}, {"equals": "m1-latest"}, {"starts_with": "m1-x"}]},
                "prices": [
                    {"prices": {"input_mtok": 2, "output_mtok": Decimal("8.5")}},
                    {
                        "constraint": {"start_date": "2026-12-01"},
                        "prices": {
                            "input_mtok": {"base": 3, "tiers": [{"start": 200000, "price": 6}]},
                            "output_mtok": 9,
                        },
                    },
                ],
                "price_variants": [
                    {"when": {"processing": "batch"}, "prices": {"input_mtok": 1, "output_mtok": 4.25}}
                ],
            },
            {"id": "m2", "match": {"contains": "m2"}, "prices": {"input_mtok": 1, "web_searches_kcount": 10}},
        ],
    },
    {"id": "nobody-we-know", "models": [{"id": "x", "match": {"equals": "x"}, "prices": {"input_mtok": 1}}]},
]
LITELLM = {
    "sample_spec": {"litellm_provider": "one of many"},
    "m1": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 2e-06,
        "output_cost_per_token": 7.999999999999999e-06,
        "input_cost_per_token_batches": 1e-06,
    },
}
OPENROUTER = {
    "data": [
        {
            "id": "acme/m1",
            "pricing": {"prompt": "0.000002", "completion": "0.000008", "request": "0", "web_search": "0.01"},
        },
        {"id": "acme/half", "pricing": {"prompt": "0.000002", "completion": "0.000008", "discount": 0.5}},
        {"id": "acme/m1:free", "pricing": {"prompt": "0", "completion": "0"}},
        {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
        {"id": "acme/nothing", "pricing": {"prompt": "0", "completion": "0"}},
    ]
}
OWN = {"schema_version": 1, "models": {"openai/m1": {"input": "2", "output": "8"}}}


def saved(folder: Path, document: object, name: str = "list.json") -> str:
    path = folder / name
    path.write_text(json.dumps(document, default=float))
    return str(path)


def read(folder: Path, document: object) -> PriceList:
    found = read_source(saved(folder, document), None, {})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("document", "expected"),
    [(GENAI, "genai-prices"), (LITELLM, "litellm"), (OPENROUTER, "openrouter"), (OWN, "own")],
)
def test_the_format_of_a_list_is_found_out(document: object, expected: str) -> None:
    assert detect(document) == expected


def test_genai_prices_own_json_is_read_with_dates_tiers_and_modes(tmp_path: Path) -> None:
    listed = read(tmp_path, GENAI)
    entry = listed.entries["openai/m1"]

    assert sorted(listed.entries) == ["openai/m1", "openai/m2"]
    assert str(listed.as_of) == "2026-11-20"
    assert entry.aliases == ("openai/m1-latest", "openai/m1-x")
    assert entry.sheet.rates == {"input": 2, "output": Decimal("8.5")}
    assert entry.sheet.modes[("batch",)].rates == {"input": 1, "output": Decimal("4.25")}
    [period] = entry.periods
    assert period.start == datetime(2026, 12, 1, tzinfo=UTC)
    assert period.change.rates == {"input": 3, "output": 9}
    assert period.change.tiers is not None
    assert (period.change.tiers[0].over, period.change.tiers[0].rates) == (200_000, {"input": 6})


def test_litellms_rows_are_read_without_the_noise_of_floats(tmp_path: Path) -> None:
    entry = read(tmp_path, LITELLM).entries["openai/m1"]

    assert entry.sheet.rates == {"input": 2, "output": 8}
    assert entry.sheet.modes[("batch",)].rates == {"input": 1}


def test_openrouters_charges_are_those_of_openrouter_only(tmp_path: Path) -> None:
    listed = read(tmp_path, OPENROUTER)

    assert {key: dict(entry.sheet.rates) for key, entry in listed.entries.items()} == {
        "openrouter/acme/m1": {"input": 2, "output": 8, "web_search_request": 10},
        "openrouter/acme/half": {"input": 1, "output": 4},
        "openrouter/acme/m1:free": {},
    }
    assert listed.entries["openrouter/acme/m1:free"].free
    assert len(listed.remarks) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>please log in", r"not valid JSON \(line 1\)"),
        (b'{"models": ', "not valid JSON"),
        (b'{"schema_version": 1, "models": {"a/b": {"input": NaN}}}', "NaN is not a number"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"schema_version": 2, "models": {}}', "schema_version 2 is not 1"),
        (
            b'{"models": {"a/b": {"input": "1", "inptu": "2"}}}',
            r"a/b: unknown key 'inptu'. Did you mean 'input'",
        ),
        (b'{"models": {"a/b": {"input": "-1"}}}', r"a/b\.input: must be a plain decimal"),
        (b'{"data": [{"id": "x"}]}', r"is not what openrouter publishes \(KeyError\)"),
        (b'[{"id": "openai", "models": 5}]', "is not what genai-prices publishes"),
        (b"[]", "has no price of a model that is known here"),
        (b"{}", "has no price of a model that is known here"),
        (b"\xff\xfe\xff", "not valid JSON"),
    ],
)
def test_anything_else_is_refused_and_not_repeated(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "list.json"
    path.write_bytes(content)

    with pytest.raises(RefreshError, match=message) as refused:
        read_source(str(path), None, {})
    assert "log in" not in str(refused.value)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefreshError, match=r"none\.json: No such file"):
        read_source(str(tmp_path / "none.json"), None, {})


def entries(**models: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Entries of ``acme``, as fetched before unless they say otherwise."""
    return {f"acme/{name}": {"source": "genai-prices", **body} for name, body in models.items()}


def plan(
    listed: dict[str, Any],
    file: dict[str, Any] | None = None,
    bundled: dict[str, Any] | None = None,
    *,
    format: Any = "genai-prices",
) -> Plan:
    bodies = file or {}
    return make_plan(
        PriceList(format, parse_entries("list", listed), {"name": format}),
        PricesFile(Path("p.json"), bodies, parse_entries("file", bodies)),
        PriceTable("bundled", "", parse_entries("bundle", bundled or {})),
        AT,
    )


def lines(found: Plan) -> list[tuple[str, str, str, str | None, str | None]]:
    return [(item.kind, item.key, item.rate, item.before, item.after) for item in found.changes]


PLAIN = {"input": "1", "output": "4"}


def test_a_new_a_changed_and_a_missing_model_are_told(tmp_path: Path) -> None:
    found = plan(
        entries(a={"input": "1", "output": "5"}, b=PLAIN), file=entries(a=PLAIN, c=PLAIN), bundled={}
    )

    assert lines(found) == [
        ("changed", "acme/a", "output", "4", "5"),
        ("new", "acme/b", "", None, "input 1, output 4"),
        ("removed", "acme/c", "", None, None),
    ]
    assert sorted(found.bodies) == ["acme/a", "acme/b"]
    assert found.drift


def test_modes_tiers_and_scheduled_changes_are_compared_rate_by_rate() -> None:
    before = {
        **PLAIN,
        "modes": {"batch": {"input": "0.5"}},
        "tiers": [{"over": 1000, "input": "2"}],
        "periods": [{"from": "2025-01-01", "output": "4"}, {"from": "2027-01-01", "input": "2"}],
    }
    after = {
        **PLAIN,
        "modes": {"batch": {"input": "0.6"}},
        "tiers": [{"over": 1000, "input": "3"}],
        "periods": [{"from": "2027-01-01", "input": "1.5"}],
    }

    assert lines(plan(entries(a=after), file=entries(a=before))) == [
        ("changed", "acme/a", "tiers.over 1000.input", "2", "3"),
        ("changed", "acme/a", "modes.batch.input", "0.5", "0.6"),
        ("changed", "acme/a", "periods.2027-01-01.input", "2", "1.5"),
    ]


def test_manual_entries_of_the_file_and_of_the_bundle_stay() -> None:
    by_hand = {"acme/a": PLAIN, "acme/b": {**PLAIN, "source": "us", "confidence": "manual"}}
    found = plan(
        entries(**{name: {"input": "9"} for name in ("a", "a-2026-01-31", "b", "c")}),
        file=by_hand,
        bundled=entries(c={**PLAIN, "confidence": "manual"}),
    )

    assert found.changes == ()
    assert found.kept == ("acme/a", "acme/a-2026-01-31", "acme/b", "acme/c")
    assert found.bodies == by_hand


def test_a_name_that_is_decided_by_hand_is_no_alias_of_a_list() -> None:
    found = plan(entries(big={**PLAIN, "aliases": ["big-latest", "big-x"]}), file={"acme/big-latest": PLAIN})

    assert found.bodies["acme/big"]["aliases"] == ["big-x"]


def test_entries_of_other_providers_stay() -> None:
    other = {"other/x": {"source": "openrouter", **PLAIN}}

    assert set(plan(entries(a=PLAIN), file=other).bodies) == {"acme/a", "other/x"}


def test_what_the_bundle_says_already_is_not_written() -> None:
    found = plan(entries(a=PLAIN, b={"input": "2"}), bundled=entries(a=PLAIN, b=PLAIN))

    assert set(found.bodies) == {"acme/b"}


def test_what_the_list_cannot_say_is_kept_where_the_price_is_the_same() -> None:
    bundled = {**PLAIN, "flex_input": "0.5", "modes": {"data_residency": {"multiplier": "1.1"}}}
    same = plan(entries(a={**PLAIN, "cache_read_input": "0.1"}), bundled=entries(a=bundled))
    other = plan(entries(a={"input": "2", "output": "8"}), bundled=entries(a=bundled))

    assert lines(same) == [("changed", "acme/a", "cache_read_input", None, "0.1")]
    assert set(same.bodies["acme/a"]["modes"]) == {"data_residency", "flex"}
    # A surcharge follows the new rates; a flex rate of the old ones does not.
    assert set(other.bodies["acme/a"]["modes"]) == {"data_residency"}


def test_a_list_without_history_changes_a_price_from_today_on() -> None:
    before = {**PLAIN, "periods": [{"from": "2027-01-01", "input": "7"}]}
    found = plan(entries(a={"input": "2", "output": "4"}), bundled=entries(a=before), format="litellm")

    assert found.bodies["acme/a"]["periods"] == [
        {"from": "2026-11-26", "until": "2027-01-01", "input": "2"},
        {"from": "2027-01-01", "input": "7"},
    ]
    assert lines(found) == [("changed", "acme/a", "input", "1", "2")]


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"input": "1", "cache_read_input": "2"}, "cache_read"),
        ({"input": "2", "cache_write_input": "1"}, "cache_write"),
        ({"input": "1", "cache_write_input": "3", "cache_write_extended_input": "2"}, "cache_write_extended"),
        ({"input": "1", "batch_input": "0.2"}, "mode batch"),
        ({"input": "1", "flex_input": "1.5"}, "mode flex"),
        ({"input": "1", "priority_input": "7"}, "mode priority"),
        ({"input": "4", "tiers": [{"over": 9, "input": "1"}]}, "tier"),
        ({"input": "1", "output": "0"}, "zero"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_left_out_and_the_old_one_stays(
    body: dict[str, Any], rule: str
) -> None:
    found = plan(entries(a=body, b=PLAIN), file=entries(a=PLAIN))

    assert [(item.key, item.note.partition(":")[0]) for item in found.refused] == [("acme/a", rule)]
    assert found.bodies["acme/a"]["input"] == "1"
    assert "acme/b" in found.bodies


def test_an_alias_that_moved_is_told_apart() -> None:
    found = plan(
        entries(one=PLAIN, two={"input": "2", "output": "8", "aliases": ["big-latest"]}),
        file=entries(one={**PLAIN, "aliases": ["big-latest"]}, two={"input": "2", "output": "8"}),
    )

    assert lines(found) == [("alias", "acme/", "big-latest", "acme/one", "acme/two")]


def test_taking_the_same_list_twice_changes_nothing_the_second_time() -> None:
    listed = {
        **entries(a=PLAIN, b={**PLAIN, "batch_input": "0.5", "aliases": ["b-latest"]}),
        "bare": {"input": "1", "source": "own"},
        "azure/same": {**PLAIN, "source": "own"},
        "openai/same": {"input": "2", "output": "8", "source": "own"},
    }
    bundled = {"openai/same": PLAIN, "acme/a": {"input": "3", "output": "9"}}
    for format in ("own", "genai-prices", "litellm"):
        first = plan(listed, bundled=bundled, format=format)
        second = plan(listed, file=dict(first.bodies), bundled=bundled, format=format)

        assert first.drift
        assert second.changes == ()
        assert second.bodies == first.bodies


def test_the_bundled_table_as_a_list_of_our_own_changes_nothing() -> None:
    path = files("flask_llm_cost.pricing").joinpath("prices.json")
    listed = read_source(str(path), None, {})
    assert listed is not None
    found = make_plan(listed, PricesFile(Path("p.json")), bundled_table(), AT)

    assert (found.changes, found.bodies, found.reasons) == ((), {}, ())


MANY = {f"m{n}": PLAIN for n in range(100)}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        # 2 of 100 models, 20 of 200 rates and five times as much are the most that passes.
        ({"m0": None, "m1": None}, None),
        ({"m0": None, "m1": None, "m2": None}, "3 of 100 models are missing, more than 2%."),
        ({f"m{n}": {"input": "2", "output": "4"} for n in range(20)}, None),
        (
            {f"m{n}": {"input": "2", "output": "4"} for n in range(21)},
            "21 of 200 rates change, more than 10%.",
        ),
        ({"m5": {"input": "1", "output": "20"}}, None),
        ({"m5": {"input": "1", "output": "20.01"}}, "acme/m5: output goes from 4 to 20.01"),
        ({"m5": {"input": "0.19", "output": "4"}}, "acme/m5: input goes from 1 to 0.19"),
    ],
)
def test_moves_that_look_like_a_mistake_are_named(changed: dict[str, Any], reason: str | None) -> None:
    listed = {name: body for name, body in {**MANY, **changed}.items() if body}
    found = plan(entries(**listed), file=entries(**MANY))

    assert [text[: len(reason)] for text in found.reasons] == [reason] if reason else not found.reasons


def test_a_list_that_is_older_than_the_bundle_looks_like_a_mistake() -> None:
    listed = PriceList(
        "own", parse_entries("t", {"acme/a": PLAIN}), {}, as_of=datetime(2026, 8, 1, tzinfo=UTC).date()
    )
    bundled = PriceTable("bundled", "", {}, datetime(2026, 11, 3, tzinfo=UTC).date())
    found = make_plan(listed, PricesFile(Path("p.json")), bundled, AT)

    assert found.reasons == ("The list is of 2026-08-01, older than the bundled prices of 2026-11-03.",)


def test_a_file_is_replaced_whole_and_the_old_one_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text('{"acme/a": {"input": "1"}}')
    path.chmod(0o640)
    (tmp_path / "link.json").symlink_to(path)
    text = render({"acme/a": {"input": "2"}}, [], "2026-11-26")
    write_whole(tmp_path / "link.json", text)

    assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "prices.json.previous").read_text() == '{"acme/a": {"input": "1"}}'
    assert {item.name for item in tmp_path.iterdir()} == {"prices.json", "link.json", "prices.json.previous"}
    assert rates(ask(Catalog.load(prices_file=path), Usage(input_tokens=1), model="a")) == {"input": 2}


def test_what_an_app_would_not_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"

    with pytest.raises(RefreshError, match="Nothing was written"):
        write_whole(path, render({"acme/a": {"input": "-2"}}, [], "2026-11-26"))
    with pytest.raises(RefreshError, match="No such file"):
        write_whole(tmp_path / "nowhere" / "prices.json", render({"a": {"input": "2"}}, [], "2026-11-26"))
    assert list(tmp_path.iterdir()) == []
