"""What calls would cost, and on which model they would cost less."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC
from datetime import datetime
from decimal import Decimal

import pytest

from tests.cli.apps import CommandApp

SIZE = ["--input-tokens", "1000", "--output-tokens", "100"]


def table(app: CommandApp, *arguments: str) -> list[str]:
    result = app.run("prices", "estimate", *arguments)
    assert result.exit_code == 0, result.output
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_models_are_compared_cheapest_first_with_the_difference_to_the_first(app: CommandApp) -> None:
    """gpt-5: 0.00225 a call, gpt-5-mini: 0.00045, claude-sonnet-5: 0.0045."""
    lines = table(
        app, "--provider", "openai", "--model", "gpt-5", "--model", "gpt-5-mini",
        "--compare", "anthropic/claude-sonnet-5", "--calls", "10000", *SIZE,
    )  # fmt: skip
    assert lines[0] == "10,000 calls"
    assert lines[2:] == [
        "openai gpt-5-mini $0.00045 $4.50 -$18.00 0.2 complete openai/gpt-5-mini",
        "openai gpt-5 $0.00225 $22.50 $0.00 1 complete openai/gpt-5",
        "anthropic claude-sonnet-5 $0.0045 $45.00 +$22.50 2 complete anthropic/claude-sonnet-5",
    ]


def test_one_model_is_priced_alone_and_once(app: CommandApp) -> None:
    lines = table(app, "--model", "openai/gpt-5", "--compare", "openai/gpt-5", *SIZE)
    assert len(lines) == 3
    assert lines[0] == "1 call"


def test_what_has_no_full_price_comes_last_and_is_not_compared(app: CommandApp) -> None:
    named = ["--model", "openai/gpt-5", "--model", "openai/half-known", "--model", "openai/nothing"]
    result = app.run("prices", "estimate", *named, *SIZE, "--format", "json")
    assert result.exit_code == 1
    models = json.loads(result.stdout)["models"]
    assert [(model["model"], model["cost_status"], model["difference"]) for model in models] == [
        ("gpt-5", "complete", "0.000000000000"),
        ("nothing", "unknown", None),
        ("half-known", "partial", None),
    ]
    assert models[1]["total_cost"] is None


def test_csv_is_exact(app: CommandApp) -> None:
    result = app.run(
        "prices", "estimate", "--model", "openai/gpt-5-mini", "--mode", "batch", "--calls", "3",
        "--input-tokens", "7", "--format", "csv",
    )  # fmt: skip
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert (Decimal(row["per_call"]), Decimal(row["total_cost"])) == (
        Decimal("0.000000875"),
        Decimal("0.000002625"),
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--model"),
        (["--model", "gpt-5"], "write PROVIDER/NAME, such as openai/gpt-5-mini"),
        (["--model", "openai/gpt-5", "--compare", "gpt-5"], "write PROVIDER/NAME"),
        (["--model", "openai/gpt-5", "--calls", "0"], "--calls"),
        (["--model", "openai/gpt-5", "--charge", "coffee=1"], "coffee"),
        (["--model", "openai/gpt-5", "--to", "2026-03-01"], "need --from"),
        (["--model", "openai/gpt-5", "--from", "2026-03-01", "--calls", "2"], "leave --calls"),
        (["--model", "openai/gpt-5", "--from", "2026-03-01", "--of", "gpt-5"], "PROVIDER/NAME"),
        (["--model", "openai/gpt-5", "--from", "2026-03-02", "--to", "2026-03-01"], ""),
        (["--model", "openai/gpt-5", "--output-tokens", "1", "--reasoning-tokens", "2"], "cannot exceed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments_are_a_usage_error(app: CommandApp, arguments: list[str], told: str) -> None:
    result = app.run("prices", "estimate", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr


MARCH = datetime(2026, 3, 14, 12, tzinfo=UTC)
DAYS = ["--from", "2026-03-01", "--to", "2026-03-31"]


def test_recorded_calls_are_priced_at_another_model_one_by_one(stored: CommandApp) -> None:
    """gpt-5 was 0.00225 a call, gpt-5-mini is 0.00045; in batch mode 0.000125 + 0.0002."""
    stored.call(at=MARCH)
    stored.call(at=MARCH, pricing_mode="batch", input_tokens=1_000)
    stored.call(at=MARCH, cost=Decimal("0.5"))
    stored.call(at=datetime(2026, 4, 1, tzinfo=UTC))
    both = ["--model", "openai/gpt-5-mini", "--model", "anthropic/claude-sonnet-5"]
    result = stored.run("prices", "estimate", *DAYS, *both, "--mode", "standard", "--format", "json")
    document = json.loads(result.stdout)

    assert result.exit_code == 0, result.output
    assert (document["calls"], document["left"]["told"]) == (2, 1)
    assert document["recorded_unknown"] == 1, "gpt-5 has no batch rates here"
    assert [(model["model"], Decimal(model["total_cost"])) for model in document["models"]] == [
        ("gpt-5-mini", Decimal("0.0007")),
        ("claude-sonnet-5", Decimal("0.0075")),
    ]
    own = json.loads(stored.run("prices", "estimate", *DAYS, *both[:2], "--format", "json").stdout)
    assert Decimal(own["models"][0]["total_cost"]) == Decimal("0.000575")


def test_the_difference_is_to_what_they_have_cost(app: CommandApp) -> None:
    for model in ("gpt-5", "gpt-5", "gpt-5-mini"):
        app.call(model, at=MARCH)
    lines = table(app, *DAYS, "--of", "openai/gpt-5", "--model", "openai/gpt-5-mini")
    assert lines[0] == "2 recorded calls, which cost $0.0045"
    assert lines[2] == "openai gpt-5-mini $0.0009 -$0.0036 0.2 0"


def test_a_model_that_cannot_price_every_call_has_no_total(app: CommandApp) -> None:
    app.call(at=MARCH)
    result = app.run("prices", "estimate", *DAYS, "--model", "openai/half-known", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert result.exit_code == 1
    assert (row["total_cost"], row["difference"], row["unpriced"]) == ("", "", "1")
