"""The page that holds the ledger against what providers say they billed."""

from __future__ import annotations

import csv
import io
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_llm_cost.reconciliation import import_csv
from tests.dashboard.conftest import AppMaker
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import bill as tokens
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import runtime_of
from tests.dashboard.ledgers import write

MARCH = "from=2026-03-01&to=2026-03-02"
BILL = """date,amount,model,component,type,currency
2026-03-01,1.00,gpt-5,input,,USD
2026-03-01,4.00,<b>odd</b>,output,,USD
2026-03-02,2,,,,EUR
2026-03-02,-3,Trial,,credit,USD
"""


def get(app: Flask, address: str, status: int = 200) -> TestResponse:
    response = app.test_client().get(f"/llm-costs{address}")
    assert response.status_code == status, response.text
    return response


@pytest.fixture
def billed(app: Flask, tmp_path: Path) -> Flask:
    path = tmp_path / "bill.csv"
    path.write_text(BILL)
    ledger = runtime_of(app).ledger
    assert ledger is not None
    import_csv(ledger, "openai", path)
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    write(app, [event(occurred_at=at, provider="openai", model="gpt-5", **tokens("1", "1", 10**6, 0))])
    return app


def test_before_any_import_the_page_says_how_to_begin(app: Flask) -> None:
    shown = read(get(app, "/reconciliation").text).text

    assert "No bill was imported yet" in shown
    assert "flask llm-cost reconcile import --provider openai" in shown


def test_both_sides_and_what_has_no_counterpart_are_shown(billed: Flask) -> None:
    html = get(billed, f"/reconciliation?{MARCH}&by=model").text
    shown = read(html).text

    assert "The ledger and the bill differ" in shown
    assert "not in the ledger" in shown
    assert "2.00 EUR" in shown
    assert "On the bill, and no cost" in shown
    assert "Without a counterpart" in shown
    assert "&lt;b&gt;odd" in html
    assert "<b>odd" not in html


def test_the_rows_can_be_taken_away_as_csv(billed: Flask) -> None:
    response = get(billed, f"/reconciliation.csv?{MARCH}&by=model")
    rows = list(csv.DictReader(io.StringIO(response.text)))

    assert response.mimetype == "text/csv"
    found = {(row["currency"], row["model"]): row for row in rows}
    assert found["USD", "gpt-5"]["state"] == "agrees"
    assert Decimal(found["USD", "gpt-5"]["our_amount"]) == 1
    assert found["USD", "<b>odd</b>"]["our_amount"] == ""
    assert found["EUR", ""]["state"] == "not_compared"


def test_days_that_are_not_imported_are_named(billed: Flask) -> None:
    shown = read(get(billed, "/reconciliation?from=2026-03-01&to=2026-03-05").text).text

    assert "no costs are imported of 2026-03-03 to 2026-03-05" in shown


def test_a_view_that_is_narrowed_is_refused(new_app: AppMaker) -> None:
    narrowed = new_app(scope=lambda calls: calls.tagged(tenant="acme"))

    assert narrowed.test_client().get("/llm-costs/reconciliation").status_code == 403
    assert narrowed.test_client().get("/llm-costs/reconciliation.csv").status_code == 403


@pytest.mark.parametrize(
    "query", ["by=colour", "from=soon", "to=1999-01-01", "from=2026-03-02&to=2026-03-01", "nonsense=1"]
)
def test_what_cannot_be_asked_is_answered_with_400(app: Flask, query: str) -> None:
    get(app, f"/reconciliation?{query}", 400)
    get(app, f"/reconciliation.csv?{query}", 400)
