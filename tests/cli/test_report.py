"""The report: the same numbers as text, JSON and CSV, on every kind of database."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from flask_llm_cost.analytics import latency
from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp

NOW = datetime.now(UTC)


def as_json(app: CommandApp, *arguments: str) -> dict[str, Any]:
    result = app.run("report", "--format", "json", *arguments)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def as_csv(app: CommandApp, *arguments: str) -> list[dict[str, str]]:
    result = app.run("report", "--format", "csv", *arguments)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def fill(app: CommandApp) -> CommandApp:
    """Seven calls: six of today, of which two are not or not wholly priced, and one of forty days ago."""
    app.call(user="ann", tags={"feature": "chat", "tenant": "acme"}, latency_ms=1_000)
    app.call(user="ann", tags={"feature": "chat"}, latency_ms=3_000)
    app.call("gpt-5-mini", user="ben", tags={"feature": "search"})
    app.call("claude-sonnet-5", provider="anthropic", tags={"tenant": "acme"})
    app.call("nobody-knows", user="ben")
    app.call("half-known", status="error", error_type="Timeout")
    app.call(at=NOW - timedelta(days=40), user="ann")
    return app


def test_the_totals_are_exact(stored: CommandApp) -> None:
    document = as_json(fill(stored))

    assert document["totals"] == {
        "calls": 6,
        "failed_calls": 1,
        "unknown_cost_calls": 1,
        "partial_cost_calls": 1,
        "total_cost": "0.010450000000",
        "average_cost": "0.002090000000",
        "average_latency_ms": 2000.0,
        "tokens_in": 6_000,
        "tokens_out": 600,
    }
    assert document["previous"]["calls"] == 1
    assert document["latency_ms"] == {"average": 2000.0, "p50": 1_000, "p95": 3_000, "sampled": False}
    assert document["currency"] == "USD"
    assert document["time_zone"] == "UTC"


def test_every_split_adds_up_to_the_total(stored: CommandApp) -> None:
    document = as_json(fill(stored), "--limit", "1")

    assert set(document["by"]) == {"provider", "model", "user_id", "tag:feature", "tag:tenant"}
    for name, rows in document["by"].items():
        assert len(rows) == 2, name
        assert rows[-1]["other"] is True
        known = [Decimal(row["total_cost"]) for row in rows if row["total_cost"]]
        assert sum(known) == Decimal(document["totals"]["total_cost"]), name
        assert sum(row["calls"] for row in rows) == 6, name


def test_the_dearest_calls_and_the_missing_prices_are_named(stored: CommandApp) -> None:
    document = as_json(fill(stored))

    assert [call["model"] for call in document["top_calls"]][:2] == ["claude-sonnet-5", "gpt-5"]
    assert all(call["total_cost"] for call in document["top_calls"])
    half, unknown = document["unpriced_models"]
    assert (half["provider"], half["model"], half["unknown_cost_calls"], half["partial_cost_calls"]) == (
        "openai", "half-known", 0, 1,
    )  # fmt: skip
    assert (unknown["model"], unknown["unknown_cost_calls"], unknown["partial_cost_calls"]) == (
        "nobody-knows", 1, 0,
    )  # fmt: skip
    assert (unknown["tokens_in"], unknown["tokens_out"]) == (1_000, 100)
    assert unknown["first_seen"] == unknown["last_seen"]


def test_text_says_the_same_in_words(stored: CommandApp) -> None:
    result = fill(stored).run("report")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]

    assert result.exit_code == 0, result.output
    assert lines[0].startswith("LLM costs, ")
    assert lines[0].endswith("(UTC)")
    assert "Total cost $0.0105 (+364.4 % against $0.002250 in the time before)" in lines or any(
        line.startswith("Total cost $0.0105 (+364.4 % against $0.00225") for line in lines
    )
    assert "Calls 6 (1 failed)" in lines
    assert "Tokens 6,000 in, 600 out" in lines
    assert "Latency 2.0 s on average, 1.0 s median, 3.0 s at the 95th percentile" in lines
    assert "Unknown cost 1 call (16.7 %); totals are too low by their cost" in lines
    assert "Partial cost 1 call; a part of each is not priced" in lines
    for title in ("By provider", "By model", "By tag feature", "By tag tenant", "Top users", "Dearest calls"):
        assert title in lines
    assert "flask llm-cost prices explain --provider openai --model half-known" in lines
    assert any(line.startswith("(untagged) ") for line in lines)
    assert any(line.startswith("(no user) ") for line in lines)
    assert any(line.startswith("openai nobody-knows 1 0") for line in lines)


def test_percentiles_of_a_sample_are_said_to_be_that(
    stored: CommandApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "EXACT_UP_TO", 1)
    monkeypatch.setattr(latency, "_LEAST", 1)
    fill(stored)

    assert as_json(stored)["latency_ms"]["sampled"] is True
    assert "at the 95th percentile of a sample" in " ".join(stored.run("report").stdout.split())


def test_piped_text_is_plain(stored: CommandApp) -> None:
    stored.call(user="x" * 150, tags={"feature": "y" * 200})
    printed = stored.run("report").stdout

    assert "\x1b" not in printed
    assert printed.isascii()
    assert "x" * 150 in printed
    assert "y" * 200 in printed


def test_an_unknown_cost_is_never_shown_as_zero(stored: CommandApp) -> None:
    stored.call("nobody-knows")
    document = as_json(stored)
    printed = stored.run("report").stdout

    assert document["totals"]["total_cost"] is None
    assert document["by"]["model"][0]["total_cost"] is None
    assert document["by"]["model"][0]["share"] is None
    assert document["top_calls"] == []
    assert "$0" not in printed
    assert "unknown" in printed


def test_csv_is_one_table_with_a_section_column(stored: CommandApp) -> None:
    rows = as_csv(fill(stored))

    assert rows[0]["section"] == "total"
    assert rows[0]["total_cost"] == "0.010450000000"
    sections = list(dict.fromkeys(row["section"] for row in rows))
    assert sections == [
        "total", "provider", "model", "tag:feature", "tag:tenant", "user_id", "top_call", "unpriced_model"
    ]  # fmt: skip
    unknown = next(row for row in rows if row["section"] == "model" and row["name"] == "nobody-knows")
    assert unknown["total_cost"] == ""
    assert unknown["unknown_cost_calls"] == "1"
    untagged = [row for row in rows if row["section"] == "tag:feature" and row["name"] == ""]
    assert [row["calls"] for row in untagged] == ["3"]


def test_a_tag_value_is_no_formula_in_a_spreadsheet(app: CommandApp) -> None:
    app.call(tags={"feature": "=HYPERLINK(1)"})
    assert [row["name"] for row in as_csv(app, "--by", "tag:feature")] == ["", "'=HYPERLINK(1)"]


def test_by_prints_one_split_in_full(stored: CommandApp) -> None:
    for number in range(8):
        stored.call(user=f"user-{number}")
    document = as_json(stored, "--by", "user")
    printed = stored.run("report", "--by", "user").stdout

    assert list(document["by"]) == ["user_id"]
    assert len(document["by"]["user_id"]) == 8
    assert "top_calls" not in document
    assert "Top users" in printed
    assert "Dearest calls" not in printed


def test_by_can_be_repeated_and_limited(app: CommandApp) -> None:
    document = as_json(fill(app), "--by", "tag:feature", "--by", "operation", "--limit", "1")

    assert list(document["by"]) == ["tag:feature", "operation"]
    assert [row["value"] for row in document["by"]["tag:feature"]] == [None, None]
    assert document["by"]["tag:feature"][0]["other"] is False, "untagged calls are the dearest"
    assert document["by"]["tag:feature"][1]["other"] is True


def test_tags_narrow_together(stored: CommandApp) -> None:
    fill(stored)

    assert as_json(stored, "--tag", "tenant=acme")["totals"]["calls"] == 2
    both = as_json(stored, "--tag", "tenant=acme", "--tag", "feature=chat")
    assert both["totals"]["calls"] == 1
    assert both["tags"] == {"tenant": "acme", "feature": "chat"}
    assert as_json(stored, "--tag", "tenant=")["totals"]["calls"] == 4
    assert as_json(stored, "--tag", "tenant=nobody")["totals"] == {
        **as_json(stored, "--tag", "tenant=nobody")["totals"],
        "calls": 0,
        "total_cost": "0",
    }
    assert ", tenant=acme" in stored.run("report", "--tag", "tenant=acme").stdout


def test_a_value_with_an_equals_sign_is_taken_whole(app: CommandApp) -> None:
    app.call(tags={"query": "a=b"})
    assert as_json(app, "--tag", "query=a=b")["totals"]["calls"] == 1


@pytest.mark.parametrize(
    ("arguments", "calls"),
    [
        (["--days", "1"], 1),
        (["--days", "2"], 2),
        (["--from", "{yesterday}"], 2),
        (["--from", "{yesterday}", "--to", "{yesterday}"], 1),
        (["--from", "2026-03-01", "--to", "2026-03-31"], 1),
        (["--month", "2026-03"], 1),
        (["--month", "2026-02"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_a_range_of_days_includes_both_ends(arguments: list[str], calls: int, app: CommandApp) -> None:
    yesterday = NOW - timedelta(days=1)
    app.call()
    app.call(at=yesterday)
    app.call(at=datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC))
    told = [text.format(yesterday=yesterday.date()) for text in arguments]

    assert as_json(app, *told)["totals"]["calls"] == calls


def test_days_are_those_of_the_apps_time_zone(make_app: MakeCommandApp, tmp_path: Path) -> None:
    app = make_app(f"sqlite:///{tmp_path / 'a.sqlite'}", LLM_COST_TIMEZONE="Asia/Tokyo").create_tables()
    app.call(at=datetime(2026, 3, 31, 15, 0, tzinfo=UTC))
    document = as_json(app, "--month", "2026-04")

    assert document["totals"]["calls"] == 1
    assert document["start"] == "2026-04-01T00:00:00+09:00"
    assert document["end"] == "2026-05-01T00:00:00+09:00"
    assert "2026-04-01 to 2026-04-30 (Asia/Tokyo)" in app.run("report", "--month", "2026-04").stdout
    assert "2026-04-01 00:00:00" in app.run("report", "--month", "2026-04").stdout


def test_an_empty_ledger_is_a_friendly_sentence(stored: CommandApp) -> None:
    result = stored.run("report")

    assert result.exit_code == 0
    assert result.stdout.startswith("No call is recorded yet.")
    assert "flask llm-cost verify-capture" in result.stdout
    document = as_json(stored)
    assert document["totals"]["calls"] == 0
    assert document["totals"]["total_cost"] == "0"
    assert [row["section"] for row in as_csv(stored)] == ["total"]


def test_an_empty_range_says_that_there_are_calls_elsewhere(app: CommandApp) -> None:
    app.call()
    result = app.run("report", "--month", "2026-03")

    assert result.exit_code == 0
    assert result.stdout.startswith("No calls match; 1 call in all.")


def test_calls_that_still_wait_are_written_first(app: CommandApp) -> None:
    app.tracker.track(provider="openai", model="gpt-5", input_tokens=1)
    document = as_json(app)

    assert document["totals"]["calls"] == 1
    assert document["pending_calls"] == 0


def test_a_command_to_copy_is_quoted_for_the_shell(app: CommandApp) -> None:
    app.call("my model; rm -rf x")
    assert "--model 'my model; rm -rf x'" in app.run("report").stdout
    assert "--model 'my model; rm -rf x'" in app.run("doctor").stdout


def test_names_of_models_cannot_drive_the_terminal(app: CommandApp) -> None:
    app.call("evil\x1b[2Jmodel", cost="1")
    printed = app.run("report").stdout

    assert "\x1b" not in printed
    assert "$1.00" in printed


@pytest.mark.parametrize(
    ("narrowed", "calls"),
    [
        (["--user", "ann"], 2),
        (["--provider", "anthropic"], 1),
        (["--model", "gpt-5", "--tag", "tenant=acme"], 1),
        (["--status", "error"], 1),
        (["--trackable", "Ticket:7"], 0),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_it_can_be_about_some_calls_only(app: CommandApp, narrowed: list[str], calls: int) -> None:
    document = as_json(fill(app), *narrowed)
    assert document["totals"]["calls"] == calls
    assert len(document["filters"]) + len(document["tags"]) == len(narrowed) // 2


def test_what_it_is_about_is_said(app: CommandApp) -> None:
    printed = fill(app).run("report", "--user", "ann", "--tag", "tenant=", "--by", "model").stdout
    assert printed.splitlines()[0].endswith("(UTC), user=ann, without tenant")


def test_days_stand_in_a_row_each_beside_the_one_before(stored: CommandApp) -> None:
    stored.call(at=datetime(2026, 3, 14, 12, tzinfo=UTC))
    stored.call(at=datetime(2026, 3, 16, 12, tzinfo=UTC), model="gpt-5-mini")
    days = as_json(stored, "--from", "2026-03-15", "--to", "2026-03-16", "--by", "day")["by"]["day"]

    assert [(day["value"], day["calls"], day["total_cost"], day["previous_cost"]) for day in days] == [
        ("2026-03-15", 0, "0", "0"),
        ("2026-03-16", 1, "0.000450000000", "0.002250000000"),
    ]


def test_nothing_is_compared_where_that_is_not_wanted(app: CommandApp) -> None:
    document = as_json(fill(app), "--no-compare")
    assert document["previous"] is None
    assert {row["previous_cost"] for rows in document["by"].values() for row in rows} == {None}


def test_markdown_has_a_table_for_each_split(app: CommandApp) -> None:
    app.call(user="a|b", tags={"feature": "*chat* <b>"})
    result = app.run("report", "--format", "markdown", "--by", "user", "--by", "tag:feature")

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("# LLM costs, ")
    assert "- **Total cost:** $0.00225" in lines
    assert "| User | Cost | Share | Calls | Unknown cost |" in lines
    assert "| --- | ---: | ---: | ---: | ---: |" in lines
    assert "| a\\|b | $0.00225 | 100.0 % | 1 | 0 |" in lines
    assert any(line.startswith("| \\*chat\\* \\<b\\> | ") for line in lines)
    assert app.run("report", "--format", "markdown", "--month", "2020-01").stdout.startswith("No calls match")
