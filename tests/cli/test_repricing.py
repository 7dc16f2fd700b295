"""Pricing recorded calls again from the command line: what is shown, asked, changed and told."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC
from datetime import datetime
from decimal import Decimal

import pytest
from sqlalchemy import select

from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import Repricing
from tests.cli.apps import PRICES
from tests.cli.apps import CommandApp
from tests.cli.apps import MakeCommandApp
from tests.old_click import sees_the_end_of_input

MARCH = datetime(2026, 3, 14, 12, tzinfo=UTC)
#: gpt-5 at 1,000 in and 100 out: 0.00225 USD; with these prices 0.0035.
DEARER = {
    **PRICES,
    "openai/gpt-5": {"input": "2.5", "output": "10"},
    "openai/gpt-6": {"input": "1", "output": "1"},
}
DAYS = ["--from", "2026-03-01", "--to", "2026-03-31"]


def fill(app: CommandApp) -> None:
    for _ in range(3):
        app.call(at=MARCH, tags={"feature": "chat"})
    app.call("gpt-6", at=MARCH)
    app.call("none", at=MARCH, cost=Decimal("0.5"))


def later(app: CommandApp, make_app: MakeCommandApp, prices: object = DEARER) -> CommandApp:
    """The same app after its prices were changed and it was started again."""
    fill(app)
    url = app.ledger.engine.url.render_as_string(hide_password=False)
    return make_app(url, LLM_COST_PRICING_OVERRIDES=prices)


def costs(app: CommandApp) -> list[Decimal | None]:
    with app.ledger.session() as session:
        return list(session.scalars(select(LlmCall.total_cost).order_by(LlmCall.id)))


OLD = [Decimal("0.00225")] * 3 + [None, Decimal("0.5")]


def test_prices_are_corrected_with_a_table_and_a_trail(stored: CommandApp, make_app: MakeCommandApp) -> None:
    app = later(stored, make_app)
    result = app.run("reprice", *DAYS, "--yes", "--reason", "the list was wrong", "--by", "finance")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]

    assert result.exit_code == 0, result.output
    assert "openai gpt-5 3 0 $0.00675 $0.0105 +$0.00375" in lines
    assert "openai gpt-6 1 1 unknown $0.0011 +$0.0011" in lines
    assert "5 calls looked at, 4 changed: +$0.00485 in all." in lines
    assert "Left as they are: 1, because the provider or the caller told the cost." in lines
    assert costs(app) == [Decimal("0.0035")] * 3 + [Decimal("0.0011"), Decimal("0.5")]
    with app.ledger.session() as session:
        trail = session.scalars(select(Repricing)).all()
        assert {(each.changed_by, each.reason) for each in trail} == {("finance", "the list was wrong")}
        assert lines[-1] == f"The old prices are in llm_cost_repricings, run {trail[0].run_id}."
    assert app.run("doctor", "--deep").exit_code == 0


def test_a_backfill_prices_what_had_no_price_and_nothing_else(
    stored: CommandApp, make_app: MakeCommandApp
) -> None:
    app = later(stored, make_app)
    result = app.run("backfill", "--yes")

    assert result.exit_code == 0, result.output
    assert "1 call looked at, 1 changed: +$0.0011 in all." in result.stdout
    assert costs(app) == [*OLD[:3], Decimal("0.0011"), Decimal("0.5")]
    assert app.run("doctor", "--deep").exit_code == 0
    assert app.run("backfill").stdout == "No call lacks a price.\nNothing was changed.\n"


@pytest.mark.parametrize("command", [["reprice", *DAYS], ["backfill"]], ids=" ".join)
def test_a_dry_run_shows_the_difference_and_changes_nothing(
    app: CommandApp, make_app: MakeCommandApp, command: list[str]
) -> None:
    changed = later(app, make_app)
    result = changed.run(*command, "--dry-run")

    assert result.exit_code == 0
    assert "would change: +$0.00" in result.stdout
    assert result.stdout.endswith("Nothing was changed.\n")
    assert costs(changed) == OLD


@pytest.mark.parametrize(
    ("answer", "code", "is_changed"),
    [("y\n", 0, True), ("n\n", 1, False), pytest.param("", 2, False, marks=sees_the_end_of_input)],
)
def test_it_shows_the_difference_and_asks(
    app: CommandApp, make_app: MakeCommandApp, answer: str, code: int, is_changed: bool
) -> None:
    changed = later(app, make_app)
    result = changed.run("reprice", *DAYS, input=answer)

    assert result.exit_code == code
    assert "4 would change: +$0.00485 in all." in result.stdout
    assert "Change the price of 4 calls?" in result.output
    assert (costs(changed) != OLD) is is_changed


@sees_the_end_of_input
def test_without_a_terminal_it_says_how_to_answer(app: CommandApp, make_app: MakeCommandApp) -> None:
    changed = later(app, make_app)
    result = changed.run("reprice", *DAYS, input="")

    assert result.exit_code == 2
    assert "Nobody answered. Without a terminal give --yes" in result.stderr
    assert costs(changed) == OLD


def test_without_a_difference_it_does_not_ask(app: CommandApp) -> None:
    fill(app)
    result = app.run("reprice", *DAYS)

    assert result.exit_code == 0
    assert "Left as they are: 3, because the price is the same." in result.stdout
    assert "Left as they are: 1, because there is still no price." in result.stdout
    assert app.run("reprice", "--from", "2020-01-01", "--to", "2020-01-02").stdout.startswith(
        "No calls match."
    )


def test_calls_can_be_chosen_by_provider_and_model(app: CommandApp, make_app: MakeCommandApp) -> None:
    changed = later(app, make_app)
    chosen = ["--provider", "openai", "--model", "gpt-6"]
    assert "1 call looked at, 1 changed" in changed.run("reprice", *DAYS, *chosen, "--yes").stdout


def test_days_are_those_of_the_report(make_app: MakeCommandApp, tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/a.sqlite"
    app = make_app(url, LLM_COST_TIMEZONE="Europe/Berlin").create_tables()
    app.call("gpt-6", at=datetime(2026, 3, 14, 23, 30, tzinfo=UTC))  # the fifteenth in Berlin
    app = make_app(url, LLM_COST_TIMEZONE="Europe/Berlin", LLM_COST_PRICING_OVERRIDES=DEARER)
    assert app.run("backfill", "--from", "2026-03-14", "--to", "2026-03-14").stdout.startswith(
        "No call lacks"
    )
    assert "1 would change" in app.run("backfill", "--from", "2026-03-15", "--dry-run").stdout


def test_json_and_csv_carry_every_digit(app: CommandApp, make_app: MakeCommandApp) -> None:
    changed = later(app, make_app)
    document = json.loads(changed.run("reprice", *DAYS, "--dry-run", "--format", "json").stdout)
    assert (document["dry_run"], document["run_id"], document["changed"]) == (True, None, 4)
    assert Decimal(document["difference"]) == Decimal("0.00485")
    assert document["left"]["told"] == 1
    rows = list(csv.DictReader(io.StringIO(changed.run("reprice", *DAYS, "--yes", "--format", "csv").stdout)))
    assert [(row["model"], row["changed"], Decimal(row["difference"])) for row in rows] == [
        ("gpt-5", "3", Decimal("0.00375")),
        ("gpt-6", "1", Decimal("0.0011")),
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["reprice"], "--from"),
        (["reprice", "--from", "yesterday"], "2026-11-22"),
        (["reprice", "--from", "2026-03-02", "--to", "2026-03-01"], ""),
        (["backfill", "--to", "2026-03-01"], "--to needs --from"),
        (["backfill", "--batch-size", "0"], "0 is not in the range"),
        (["backfill", "--format", "json"], "--dry-run or --yes"),
        (["backfill", "extra"], "extra"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments_are_a_usage_error(app: CommandApp, arguments: list[str], told: str) -> None:
    result = app.run(*arguments)

    assert result.exit_code == 2
    assert told in result.stderr


def test_a_database_without_the_trails_table_is_one_sentence(
    app: CommandApp, make_app: MakeCommandApp
) -> None:
    changed = later(app, make_app)
    with changed.ledger.engine.begin() as connection:
        Repricing.__table__.drop(connection)  # type: ignore[attr-defined]
    result = changed.run("backfill", "--yes")

    assert result.exit_code == 1
    assert "llm_cost_repricings not found" in result.stderr
    assert "flask db upgrade" in result.stderr or "db.create_all()" in result.stderr
    assert costs(changed) == OLD


def test_an_app_without_a_ledger_is_told_so(make_app: MakeCommandApp, tmp_path: object) -> None:
    app = make_app(f"sqlite:///{tmp_path}/a.sqlite", LLM_COST_STORAGE="log")
    result = app.run("backfill", "--yes")

    assert result.exit_code == 1
    assert "keeps no ledger" in result.stderr
