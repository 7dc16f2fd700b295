"""The page of budgets: where each stands, what leads to the calls behind it, alerts and refused calls."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from flask import Flask
from flask_talisman import Talisman
from sqlalchemy import insert

from flask_llm_cost import Budget
from flask_llm_cost.budgets.alerting.outbox import DELIVERIES
from flask_llm_cost.budgets.projection import projected
from flask_llm_cost.budgets.status import BudgetStatus
from flask_llm_cost.dashboard.budget_meter import gauge
from tests.dashboard.browsers import DESK
from tests.dashboard.browsers import LOOKS
from tests.dashboard.browsers import WIDER
from tests.dashboard.browsers import opened
from tests.dashboard.browsers import served
from tests.dashboard.budget_ledgers import budgets
from tests.dashboard.budget_ledgers import fill
from tests.dashboard.budget_ledgers import spend
from tests.dashboard.budget_ledgers import under_way
from tests.dashboard.conftest import AppMaker
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import runtime_of
from tests.dashboard.ledgers import write

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HOSTILE = "<script>alert('\"&')</script>"


def page(app: Flask, address: str = "/budgets") -> str:
    response = app.test_client().get(f"/llm-costs{address}")
    assert response.status_code == 200
    return response.text


def text(app: Flask) -> str:
    return read(re.sub("</d[td]>|</t[dh]>|</h2>", r"\g<0> ", page(app))).text


@pytest.fixture
def filled(new_app: AppMaker) -> Flask:
    app = new_app(LLM_COST_BUDGETS=budgets())
    fill(app)
    return app


def test_without_a_budget_the_page_says_how_to_declare_one(app: Flask) -> None:
    shown = text(app)
    assert "No budget is declared" in shown
    assert 'Budget("all", "500", "month")' in shown
    assert "LLM_COST_MONTHLY_BUDGET" in shown


def test_with_budgets_and_no_call_each_of_them_stands_at_nothing(new_app: AppMaker) -> None:
    shown = text(new_app(LLM_COST_BUDGETS=budgets()))
    assert "5 budgets, no limit is reached" in shown
    assert "Spent $0.00 0.0" in shown
    assert "No call of this window yet. Each tenant appears here with its first one." in shown
    assert "No threshold was reached yet." in shown
    assert "No call was refused by a budget in the last 31 days." in shown


def test_a_budget_shows_what_is_spent_left_and_expected(filled: Flask) -> None:
    shown = text(filled)
    assert "5 budgets, 3 limits are reached" in shown
    assert re.search(
        r"Spent \$4\.00 40\.0 % Limit \$10\.00 Left \$6\.00 At the end of the window",
        shown.replace("\u202f", " "),
    )
    assert "Calls 16 Blocked 1" in shown
    assert "chat limit reached" in shown
    assert "Counts calls with provider openai, feature chat or search." in shown
    assert "The links show the last 366 days and all values where the budget names several." in shown


def test_what_is_set_aside_shows_while_a_call_is_under_way(new_app: AppMaker) -> None:
    app = new_app(LLM_COST_BUDGETS=budgets())
    with under_way(app, Decimal("0.75")):
        shown = text(app)
        assert "Reserved $0.7500 for calls under way" in shown
        assert "$0.7500 set aside for calls under way" in page(app)  # the meter's words
        assert "Left $4.25" in shown


def test_estimates_are_held_against_what_was_billed(filled: Flask) -> None:
    shown = text(filled).replace("\u202f", " ")
    assert "Estimates, of what was billed 190.0 % estimated $0.9500, billed $0.5000" in shown
    assert "Over their estimates $0.0500" in shown


def test_values_with_a_limit_of_their_own_are_a_table(filled: Flask) -> None:
    rows = re.findall(
        r"<tr>.*?</tr>", page(filled).partition('id="values-3"')[2].partition("</table>")[0], re.DOTALL
    )
    shown = [" ".join(re.sub("<[^>]*>", " ", row).split()).replace("\u202f", " ") for row in rows[1:]]
    assert [row.rpartition(" % ")[0] for row in shown] == [
        "acme $2.25 $0.00 $2.00 reached 112.5",
        "globex $1.00 $0.00 $1.00 reached 100",
        "without a value $0.7500 $0.00 $1.00 75.0",
    ]


def counted(app: Flask, address: str) -> int:
    """How many calls the list behind a link says it has."""
    shown = read(app.test_client().get(address).text).text
    found = re.search(r"Calls (?:\d+ to [\d,]+ of )?([\d,]+)|([\d,]+) calls?", shown)
    assert found, shown[:400]
    return int((found[1] or found[2]).replace(",", ""))


def test_every_number_of_calls_leads_to_that_many_calls(filled: Flask) -> None:
    html = page(filled)
    cells = re.findall(r'<a href="(/llm-costs/calls\?[^"]*)">(\d+)</a>', html)
    assert len(cells) >= 10
    multiple = [address for address, _ in cells if "provider=openai" in address]
    for address, number in cells:
        address = address.replace("&amp;", "&")
        listed = filled.test_client().get(address.replace("/calls?", "/calls.csv?"))
        assert listed.status_code == 200
        found = len(listed.text.splitlines()) - 1
        if address in [each.replace("&amp;", "&") for each in multiple]:
            assert found >= int(number)  # a budget of two values of one tag: both pages say so
        else:
            # A budget's calls leave out those that were not sent; the list shows them, too.
            refused = (
                0
                if "status=blocked" in address
                else len(
                    filled.test_client()
                    .get(address.replace("/calls?", "/calls.csv?") + "&status=blocked")
                    .text.splitlines()
                )
                - 1
            )
            assert found - refused == int(number), address


def test_alerts_say_whether_they_arrived(filled: Flask) -> None:
    ledger = runtime_of(filled).ledger
    assert ledger is not None
    now = datetime.now(UTC)
    row = {
        "owner": "",
        "attempts": 1,
        "claimed_until": 0,
        "is_given_up": False,
        "failure": None,
        "delivered_at": None,
    }
    ledger.transaction(
        lambda connection: connection.execute(
            insert(DELIVERIES),
            [
                {**row, "alert_id": 1, "channel": "email", "delivered_at": now},
                {**row, "alert_id": 2, "channel": "webhook", "failure": "HTTP 500", "attempts": 3},
                {**row, "alert_id": 3, "channel": "webhook", "failure": "HTTP 404", "is_given_up": True},
                {**row, "alert_id": 4, "channel": "webhook"},
            ],
        )
    )
    shown = text(filled)
    for words in (
        "email sent", "webhook waits (HTTP 500, 3 attempts)", "webhook given up (HTTP 404)", "webhook waits",
        "signal and log only",
    ):  # fmt: skip
        assert words in shown


def test_refused_calls_lead_to_their_rows(filled: Flask) -> None:
    shown = page(filled).partition('id="blocked"')[2]
    (address,) = re.findall(r'<a href="(/llm-costs/calls/\d+)">', shown)
    assert "blocked" in text_of(filled, address)
    assert "a limit" in shown


def text_of(app: Flask, address: str) -> str:
    return read(app.test_client().get(address).text).text


def test_the_file_has_every_value_in_full(filled: Flask) -> None:
    response = filled.test_client().get("/llm-costs/budgets?table=budgets&format=csv")
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [(row["budget"], row["scope"], row["spent"], row["blocked_calls"]) for row in rows] == [
        ("all", "", "4.00", "1"), ("hard", "", "4.00", "1"), ("tenants", "acme", "2.25", "1"),
        ("tenants", "globex", "1.00", "0"), ("tenants", "", "0.75", "0"), ("chat", "", "3.00", "0"),
        ("single", "", "0.00", "0"),
    ]  # fmt: skip
    assert (rows[1]["estimated"], rows[1]["settled"], rows[1]["excess"]) == ("0.95", "0.50", "0.05")
    assert rows[5]["window_end"] == ""


def test_a_parameter_is_refused_by_name(app: Flask) -> None:
    response = app.test_client().get("/llm-costs/budgets?period=today")
    assert response.status_code == 400
    assert "period: there is no such parameter. Known: table, format." in read(response.text).text


def test_names_and_values_of_users_are_text(new_app: AppMaker) -> None:
    app = new_app(LLM_COST_BUDGETS=[Budget(HOSTILE[:60], "1", "month", per="tag:who")])
    write(app, spend(tags={"who": HOSTILE}))
    write(app, spend(tags={"who": "=cmd()" + "x" * 240}))
    html = page(app)
    read(html)
    assert "<script" not in html
    assert "'=cmd()" in page(app, "/budgets?table=budgets&format=csv")


@pytest.mark.parametrize(
    ("spent", "passed", "expected"),
    [
        ("5", timedelta(days=15), "10"),
        ("5", timedelta(days=30), "5"),
        ("5", timedelta(days=31), "5"),
        ("0", timedelta(days=15), "0"),
        ("5", timedelta(hours=35), None),
        ("5", timedelta(hours=36), "100"),
    ],
)
def test_the_end_of_a_window_is_foretold_by_its_pace(
    spent: str, passed: timedelta, expected: str | None
) -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    status = BudgetStatus(
        budget="b", scope="", period="month", enforcement="notify", limit=Decimal(10),
        window_start=start, window_end=start + timedelta(days=30), spent=Decimal(spent),
    )  # fmt: skip
    assert projected(status, start + passed) == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    ("spent", "reserved", "expected", "spans", "limit"),
    [
        ("5", "2", "8", "spent 0.00+50.00 reserved 50.00+20.00 projected 70.00+10.00", "100.00"),
        ("15", "0", "20", "spent 0.00+75.00 projected 75.00+25.00", "50.00"),
        ("5", "0", "4", "spent 0.00+50.00", "100.00"),
        ("0", "0", None, "", "100.00"),
    ],
)  # fmt: skip
def test_a_meter_ends_at_its_limit_or_beyond_it(
    spent: str, reserved: str, expected: str | None, spans: str, limit: str
) -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    status = BudgetStatus(
        budget="b", scope="", period="month", enforcement="notify", limit=Decimal(10), window_start=start,
        window_end=start + timedelta(days=30), spent=Decimal(spent), reserved=Decimal(reserved),
    )  # fmt: skip
    drawn = gauge(status, None if expected is None else Decimal(expected))
    told = [f"{part.kind} {part.span.start:.2f}+{part.span.width:.2f}" for part in drawn.parts]
    assert " ".join(told) == spans
    assert f"{drawn.limit:.2f}" == limit


def test_a_limit_of_nothing_is_drawn_too(new_app: AppMaker) -> None:
    app = new_app(LLM_COST_BUDGETS=[Budget("none", "0", "month")])
    assert "unknown" not in text(app).partition("Limit $0.00")[0]
    write(app, spend())
    assert "none limit reached" in text(app)


def _many_values() -> list[object]:
    return [
        made
        for number in range(150)
        for made in spend(tags={"tenant": f"tenant-{number}-{'x' * (number % 90)}"})
    ]


def test_of_many_values_those_are_shown_that_spent_the_most(new_app: AppMaker) -> None:
    app = new_app(LLM_COST_BUDGETS=[Budget("tenants", "1", "month", per="tenant")])
    write(app, _many_values())  # type: ignore[arg-type]
    shown = text(app)
    assert "100 values with a limit of their own, the dearest first" in shown
    assert "These have spent the most; the file has all." in shown
    assert len(page(app, "/budgets?table=budgets&format=csv").splitlines()) == 151


SCENES: dict[str, Callable[[Flask], None]] = {
    "nothing": lambda app: None,
    "everything": fill,
    "150 values": lambda app: write(app, _many_values()),  # type: ignore[arg-type]
    "long values": lambda app: write(
        app,
        [
            *spend(tags={"tenant": "v" * 255}),
            event(status="blocked", cost_status="free", total_cost=None, line_items=(), user_id="u" * 191),
        ],
    ),
}


@pytest.mark.browser
@pytest.mark.parametrize("scene", SCENES)
def test_the_page_is_drawn_without_a_violation_and_fits_every_screen(
    new_app: AppMaker, browser: Browser, scene: str
) -> None:
    app = new_app(LLM_COST_BUDGETS=budgets() if scene != "nothing" else [])
    Talisman(app, force_https=False)
    SCENES[scene](app)
    with served(app) as root, opened(browser, DESK, "light") as (page, said):
        response = page.goto(f"{root}/budgets")
        assert response is not None
        assert response.status == 200
        for scheme, width in LOOKS:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(WIDER) == 0, width
        assert said == []
