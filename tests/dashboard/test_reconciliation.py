"""The page that holds the ledger against what providers say they billed."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC
from datetime import datetime
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


def test_calls_of_unknown_cost_show_no_amount(billed: Flask) -> None:
    unknown = {"total_cost": None, "cost_status": "unknown", "line_items": ()}
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    write(billed, [event(occurred_at=at, provider="openai", model="nobody-knows", **unknown)])
    table = read(get(billed, f"/reconciliation?{MARCH}&by=model").text).table("rows")
    [row] = [row for row in table.rows() if "nobody-knows" in row]

    assert row[3:] == ["none", "unknown", "none", "none", "none", "1", "1", "cost unknown"]


def test_every_table_can_be_taken_away_as_csv_and_json(billed: Flask) -> None:
    page = read(get(billed, f"/reconciliation?{MARCH}&by=model").text)
    captions = [caption.attributes["id"] for caption in page.all("caption")]
    assert captions == ["totals", "rows", "apart", "unmatched", "imports"]
    files = {link.attributes["href"] for link in page.all("a", download="")}
    assert len(files) == 2 * len(captions)
    for address in files:
        assert billed.test_client().get(address).status_code == 200, address


def test_the_rows_are_exact_and_name_their_currency_and_days(billed: Flask) -> None:
    response = get(billed, f"/reconciliation?{MARCH}&by=model&table=rows&format=csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))

    assert response.mimetype == "text/csv"
    found = {(row["currency"], row["model"]): row for row in rows}
    agreed = found["USD", "gpt-5"]
    assert (agreed["bill"], agreed["ledger"], agreed["calls"]) == ("1.00", "1.00", "1")
    assert (agreed["difference"], agreed["state"]) == ("0.00", "agrees")
    assert (agreed["from"], agreed["to"], agreed["time_zone"]) == ("2026-03-01", "2026-03-02", "UTC")
    assert found["USD", "<b>odd</b>"]["ledger"] == ""
    assert found["EUR", ""]["state"] == "not_compared"
    told = json.loads(get(billed, f"/reconciliation?{MARCH}&by=model&table=rows&format=json").text)
    assert "currency" not in told
    assert told["filters"] == {"by": "model"}


@pytest.mark.parametrize(
    ("split", "place", "query"),
    [
        ("day", 3, "from=2026-03-01&to=2026-03-01&tz=UTC&provider=openai&sort=cost"),
        ("model", 3, "from=2026-03-01&to=2026-03-02&tz=UTC&provider=openai&model=gpt-5&sort=cost"),
        ("project", 3, "from=2026-03-01&to=2026-03-02&tz=UTC&provider=openai&without=account&sort=cost"),
        ("mode", 3, "from=2026-03-01&to=2026-03-02&tz=UTC&provider=openai&without=mode&sort=cost"),
    ],
)
def test_the_ledgers_side_leads_to_its_calls(billed: Flask, split: str, place: int, query: str) -> None:
    table = read(get(billed, f"/reconciliation?{MARCH}&by={split}").text).table("rows")
    row = next(row for row in table.all("tr")[1:] if row.children[place + 1].text == "$1.00")
    for cell in (row.children[4], row.children[8]):
        assert cell.one("a").attributes["href"] == f"/llm-costs/calls?{query}"
    listed = read(get(billed, f"/calls?{query}").text).by_id("calls-heading").text
    assert listed == "1 call, spend $1.00"


def test_a_line_item_is_no_call_and_has_no_address(billed: Flask) -> None:
    table = read(get(billed, f"/reconciliation?{MARCH}&by=line_item").text).table("rows")
    assert [cell for row in table.all("tr")[1:] for cell in row.children if cell.all("a")] == []


def test_days_that_are_not_imported_are_named(billed: Flask) -> None:
    shown = read(get(billed, "/reconciliation?from=2026-03-01&to=2026-03-05").text).text

    assert "no costs are imported of 2026-03-03 to 2026-03-05" in shown


def test_a_view_that_is_narrowed_is_refused(new_app: AppMaker) -> None:
    narrowed = new_app(scope=lambda calls: calls.tagged(tenant="acme"))

    assert narrowed.test_client().get("/llm-costs/reconciliation").status_code == 403
    exported = "/llm-costs/reconciliation?table=rows&format=csv"
    assert narrowed.test_client().get(exported).status_code == 403


@pytest.mark.parametrize(
    "query", ["by=colour", "from=soon", "to=1999-01-01", "from=2026-03-02&to=2026-03-01", "nonsense=1"]
)
def test_what_cannot_be_asked_is_answered_with_400(app: Flask, query: str) -> None:
    get(app, f"/reconciliation?{query}", 400)
    get(app, f"/reconciliation?{query}&table=rows&format=csv", 400)
