"""Prices from the command line: which are in force, and how a cost comes about."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp

MINI = ["prices", "explain", "--provider", "openai", "--model", "gpt-5-mini"]


def test_the_arithmetic_of_each_line_is_shown(app: CommandApp) -> None:
    result = app.run(*MINI, "--input-tokens", "1200", "--output-tokens", "300")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]

    assert result.exit_code == 0, result.output
    assert lines[0].startswith("openai/gpt-5-mini, standard, 20")
    assert "input 1,200 token $0.25 per million $0.0003" in lines
    assert "output 300 token $2 per million $0.0006" in lines
    assert "Total: $0.0009 (complete)" in lines
    assert any("priced by openai/gpt-5-mini (overrides, " in line for line in lines)


def test_json_is_exact(app: CommandApp) -> None:
    document = json.loads(app.run(*MINI, "--input-tokens", "7", "--format", "json").stdout)

    assert Decimal(document["total_cost"]) == Decimal("0.00000175")
    assert document["key"] == "openai/gpt-5-mini"
    assert document["step"] == "exact"
    assert document["source"] == "overrides"
    assert document["cost_status"] == "complete"
    assert [line["component"] for line in document["lines"]] == ["input"]
    assert Decimal(document["lines"][0]["rate"]) == Decimal("0.25")


def test_csv_has_a_row_per_line(app: CommandApp) -> None:
    rows = list(csv.DictReader(io.StringIO(app.run(*MINI, "--format", "csv").stdout)))

    assert [row["component"] for row in rows] == ["input", "output"]
    assert Decimal(rows[1]["cost"]) == Decimal("0.002")


def test_a_mode_a_moment_and_charges_are_taken(app: CommandApp) -> None:
    document = json.loads(
        app.run(*MINI, "--mode", "batch", "--at", "2026-03-14T10:00:00+01:00", "--format", "json").stdout
    )
    assert document["mode"] == "batch"
    assert document["at"] == "2026-03-14T10:00:00+01:00"
    assert document["rates"]["input"] == "0.125"

    result = app.run(*MINI, "--charge", "web_search_request=2", "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["missing"] == ["web_search_request"]


@pytest.mark.parametrize(
    ("model", "status", "told"),
    [
        ("half-known", "(partial)", "No rate for output"),
        ("gpt-5-minni", "(unknown)", "Nearest names: openai/gpt-5-mini"),
    ],
)
def test_what_cannot_be_priced_in_full_makes_the_exit_code_1(
    model: str, status: str, told: str, app: CommandApp
) -> None:
    result = app.run("prices", "explain", "--provider", "openai", "--model", model)

    assert result.exit_code == 1
    assert status in result.stdout
    assert told in result.stdout
    assert "Total: $0 " not in result.stdout


def test_an_unknown_mode_is_explained(app: CommandApp) -> None:
    result = app.run(*MINI, "--mode", "teleport")

    assert result.exit_code == 1
    assert "known: batch" in result.stdout


def test_nothing_is_asked_of_the_database(make_app: MakeCommandApp) -> None:
    app = make_app("postgresql+psycopg://nobody@127.0.0.1:1/none")

    assert app.run(*MINI).exit_code == 0
    assert app.run("prices", "list", "--search", "gpt-5").exit_code == 0


def test_the_list_says_where_each_price_comes_from(make_app: MakeCommandApp, tmp_path: Path) -> None:
    (tmp_path / "prices.yml").write_text('openai/gpt-5-house: {input: "7", output: "8"}\n')
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_PRICES_FILE=str(tmp_path / "prices.yml"))
    result = app.run("prices", "list", "--provider", "openai", "--search", "gpt-5")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]

    assert result.exit_code == 0, result.output
    assert "openai/gpt-5 $1.25 $0.125 $10 overrides" in lines
    assert "openai/gpt-5-house $7 $8 file" in lines
    assert any(line.startswith("openai/gpt-5-nano $0.05 ") and line.endswith(" bundled") for line in lines)
    assert not any(line.startswith("anthropic/") for line in lines)
    assert "4 overrides (" in lines[-1]
    assert "1 file (" in lines[-1]
    assert "bundled (20" in lines[-1]


def test_the_list_as_json_and_csv_has_every_component(app: CommandApp) -> None:
    search = ["prices", "list", "--search", "claude-sonnet-5", "--provider", "anthropic", "--format"]
    document = json.loads(app.run(*search, "json").stdout)
    rows = list(csv.DictReader(io.StringIO(app.run(*search, "csv").stdout)))

    own = next(price for price in document["prices"] if price["key"] == "anthropic/claude-sonnet-5")
    assert own["rates"] == {"input": "3", "output": "15"}
    assert own["source"] == "overrides"
    assert [table["source"] for table in document["tables"]] == ["overrides", "bundled"]
    assert {
        "key": "anthropic/claude-sonnet-5",
        "source": "overrides",
        "component": "input",
        "rate": "3",
        "note": "",
    } in rows


def test_a_search_without_a_hit_says_so(app: CommandApp) -> None:
    result = app.run("prices", "list", "--search", "no-such-model")

    assert result.exit_code == 0
    assert result.stdout.startswith("No price entry matches.")
