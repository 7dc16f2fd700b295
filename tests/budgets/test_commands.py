"""``flask llm-cost budgets`` and what doctor says of them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from flask_llm_cost import Budget
from flask_llm_cost.ledger import BudgetWindow
from tests.budgets.conftest import BudgetApp
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.test_enforcement import write


def run(app: BudgetApp, *arguments: str) -> Any:
    return app.flask.test_cli_runner().invoke(args=["llm-cost", *arguments])


@pytest.fixture
def app(make_sqlite_app: MakeBudgetApp) -> BudgetApp:
    return make_sqlite_app(
        Budget("company", "10", "total", enforcement="block"),
        Budget("tenants", "2", "total", per="tenant", exceptions={"bolt": "100"}),
    )


def spend(app: BudgetApp) -> None:
    write(app, "1", tags={"tenant": "acme"})
    write(app, "4", tags={"tenant": "bolt"})


def test_an_app_without_budgets_is_told_how_to_declare_one(make_sqlite_app: MakeBudgetApp) -> None:
    app = make_sqlite_app()

    assert "This app declares no budgets." in run(app, "budgets", "status").stdout
    assert run(app, "budgets", "check").exit_code == 0
    assert json.loads(run(app, "budgets", "status", "--format", "json").stdout) == {"budgets": []}


def test_status_shows_each_budget_and_its_values(app: BudgetApp) -> None:
    spend(app)

    text = run(app, "budgets", "status").stdout
    rows = list(csv.DictReader(io.StringIO(run(app, "budgets", "status", "--format", "csv").stdout)))
    told = json.loads(run(app, "budgets", "status", "--format", "json").stdout)["budgets"]

    assert [(row["budget"], row["scope"], row["spent"], row["limit"]) for row in rows] == [
        ("company", "", "5.000000000000", "10.000000000000"),
        ("tenants", "bolt", "4.000000000000", "100.000000000000"),
        ("tenants", "acme", "1.000000000000", "2.000000000000"),
    ]
    assert [row["share"] for row in told] == ["0.5", "0.04", "0.5"]
    assert "$5.00" in text
    assert "50.0 %" in text
    assert "Over estimate" not in text


def test_check_exits_1_when_a_limit_is_reached(app: BudgetApp) -> None:
    spend(app)
    fine = run(app, "budgets", "check")
    write(app, "1", tags={"tenant": "acme"})
    reached = run(app, "budgets", "check")

    assert (fine.exit_code, fine.stdout) == (0, "No limit is reached, of 3 budgets.\n")
    assert reached.exit_code == 1
    assert "acme" in reached.stdout
    assert "bolt" not in reached.stdout


def test_a_limit_that_is_set_goes_before_the_declared_one(app: BudgetApp) -> None:
    spend(app)
    said = run(app, "budgets", "set", "tenants", "1", "--for", "acme")
    with app.flask.app_context(), app.tracker.with_tags(tenant="acme"):
        lowered = {each.budget: each.limit for each in app.tracker.budget_status()}
        run(app, "budgets", "set", "tenants", "--for", "acme", "--declared")
        declared = {each.budget: each.limit for each in app.tracker.budget_status()}

    assert said.stdout == "The limit of budget tenants of acme is $1.00.\n"
    assert lowered == {"company": 10, "tenants": 1}
    assert declared == {"company": 10, "tenants": 2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "5"], "There is no budget 'nothing'. There are: company, tenants."),
        (["company"], "Give either a LIMIT such as 250, or --declared."),
        (["company", "5", "--declared"], "Give either a LIMIT such as 250, or --declared."),
        (["company", "5", "--for", "acme"], "has one limit for all its calls"),
        (["tenants", "5"], "has a limit for each tag:tenant"),
        (["company", "much"], "limit must be an amount in USD"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_limit_that_makes_no_sense_is_a_usage_error(
    app: BudgetApp, arguments: list[str], message: str
) -> None:
    result = run(app, "budgets", "set", *arguments)

    assert result.exit_code == 2
    assert message in result.stderr


def test_reconcile_mends_what_somebody_else_has_changed(app: BudgetApp) -> None:
    spend(app)
    ledger = app.runtime.ledger
    assert ledger is not None
    with ledger.session() as session:
        for window in session.query(BudgetWindow):
            window.spent += 7
        session.commit()

    planned = run(app, "budgets", "reconcile", "--dry-run")
    mended = run(app, "budgets", "reconcile")
    again = run(app, "budgets", "reconcile")

    assert planned.exit_code == 1
    assert planned.stdout.startswith("Windows that would change")
    assert mended.exit_code == 0
    assert "$12.00" in mended.stdout
    assert again.stdout == "3 windows looked at: every one equals its calls.\n"
    assert sorted(row.spent for row in app.rows(BudgetWindow)) == [1, 4, 5]


def test_prices_that_change_move_the_budgets_along(make_sqlite_app: MakeBudgetApp) -> None:
    app = make_sqlite_app(Budget("company", "10", "total"))
    with app.flask.app_context():
        app.tracker.track(provider="openai", model="harbour-1", input_tokens=1_000_000)
        app.runtime.flush()
    assert app.window.spent == 0
    again = make_sqlite_app(
        Budget("company", "10", "total"),
        url=app.flask.config["SQLALCHEMY_DATABASE_URI"],
        config={"LLM_COST_PRICING_OVERRIDES": {"openai/harbour-1": {"input": "3", "output": "9"}}},
    )

    assert run(again, "backfill", "--yes").exit_code == 0

    assert again.window.spent == 3


def test_doctor_says_where_budgets_stand(app: BudgetApp) -> None:
    spend(app)
    fine = run(app, "doctor").stdout
    write(app, "6")

    assert "2 budgets declared; none is reached." in fine
    assert "2 budgets declared; reached: company, tenants." in run(app, "doctor").stdout
