"""Insight, what-if and the pages by dimension say what the calls say."""

from __future__ import annotations

import json
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask

from flask_llm_cost.usage import Usage
from tests.dashboard.conftest import AppMaker
from tests.dashboard.html_pages import Element
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import REFUSED
from tests.dashboard.ledgers import UNPRICED
from tests.dashboard.ledgers import bill
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import runtime_of
from tests.dashboard.ledgers import write


def now() -> datetime:
    return datetime.now(UTC)


def get(app: Flask, address: str) -> Element:
    response = app.test_client().get(f"/llm-costs{address}")
    assert response.status_code == 200, response.text
    return read(response.text)


def rows(app: Flask, page: str, table: str) -> list[dict[str, object]]:
    address = f"/llm-costs{page}{'&' if '?' in page else '?'}table={table}&format=json"
    found: list[dict[str, object]] = json.loads(app.test_client().get(address, follow_redirects=True).text)[
        "rows"
    ]
    return found


def test_the_same_tokens_on_another_model_cost_what_its_prices_say(app: Flask) -> None:
    write(app, [event(**bill("0.25", "2", 1_000_000, 500_000)), event(**bill("0.25", "2", 70, 30))])
    (row,) = rows(app, "/insight/what-if?as=openai/gpt-5", "what-if")
    expected = runtime_of(app).catalog.price(
        provider="openai",
        model="gpt-5",
        usage=Usage(input_tokens=1_000_070, output_tokens=500_030),
        at=now(),
    )
    assert Decimal(str(row["there_usd"])) == expected.total_cost
    assert Decimal(str(row["difference_usd"])) == expected.total_cost - Decimal(str(row["recorded_usd"]))
    assert row["calls"] == 2


def test_what_cannot_be_compared_is_unknown_and_makes_the_difference_unknown(app: Flask) -> None:
    write(app, [event(), event(model="dark", **UNPRICED)])
    page = get(app, "/insight/what-if?as=openai/gpt-5")
    *_, dark, total = page.table("what-if").rows()
    assert dark[0] == "dark"
    assert (dark[4], dark[6]) == ("unknown", "unknown")
    assert (total[4][0], total[6]) == ("\u2265", "unknown")


def test_caches_are_held_against_plain_input(app: Flask) -> None:
    cached = {
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "cache_read_input_tokens": 100_000,
        "cache_write_input_tokens": 10_000,
    }
    write(app, [event(**cached, **bill("3", "15", 10, 10))])
    (row,) = rows(app, "/insight", "cache")
    # 3 USD a million in, 0.30 read, 3.75 written: the list prices of the model.
    assert Decimal(str(row["reads_saved_usd"])) == Decimal("0.27")
    assert Decimal(str(row["writes_cost_more_usd"])) == Decimal("0.0075")
    assert Decimal(str(row["saved_in_all_usd"])) == Decimal("0.2625")


def test_failures_and_retries_lead_to_their_calls(app: Flask) -> None:
    write(app, [event(), event(attempts=3), event(**REFUSED), event(status="aborted")])
    page = get(app, "/insight")
    client = app.test_client()
    for row in page.table("waste").all("tr")[1:]:
        link = row.children[1].one("a")
        listed = read(client.get(link.attributes["href"]).text).by_id("calls-heading").text
        assert listed.startswith(f"{link.text} call"), row.text
    found = {row["outcome"]: (row["calls"], row["tried_again_calls"], row["extra_requests"]) for row in
             rows(app, "/insight", "waste")}  # fmt: skip
    assert found == {"ok": (1, 1, 2), "error": (1, 1, 2), "aborted": (1, 0, 0)}


def test_a_surprise_is_on_the_overview_with_the_calls_behind_it(app: Flask) -> None:
    moment = now().replace(hour=9)
    write(
        app,
        [event(occurred_at=moment - timedelta(days=day), **bill("1", "1", 10**6, 0)) for day in range(1, 41)],
    )
    write(app, [event(occurred_at=moment - timedelta(days=4), **bill("1", "1", 30 * 10**6, 0))])
    notices = get(app, "/").one("section", class_="notices")
    assert "31.0 times the usual $1.00" in notices.text
    link = next(link for link in notices.all("a") if link.text == "$31.00")
    listed = read(app.test_client().get(link.attributes["href"]).text).by_id("calls-heading").text
    assert listed == "2 calls, spend $31.00"
    assert "is expected to cost" in notices.text
    (row, *_) = rows(app, "/insight", "anomalies")
    assert row["evidence"] == "median of the 28 days before $1.00, at most $3.00 was normal; 2 calls"


def test_little_history_is_no_forecast(app: Flask) -> None:
    write(app, [event()])
    page = get(app, "/insight")
    assert "needs at least a week of complete days" in page.text
    assert page.all("svg", class_="plot") == []


def test_a_new_model_is_named_with_its_first_call(app: Flask) -> None:
    write(app, [event(occurred_at=now() - timedelta(days=day), model=model)
                for model, day in (("old", 60), ("old", 2), ("new", 3))])  # fmt: skip
    assert [row["model"] for row in rows(app, "/insight", "new-models")] == ["new"]


def test_the_change_is_against_the_period_before(app: Flask) -> None:
    write(app, [event(occurred_at=now() - timedelta(days=8), **bill("1", "1", 10**6, 0))])
    write(app, [event(**bill("1", "1", 3 * 10**6, 0)), event(model="other")])
    shown = {row[0]: row[7] for row in get(app, "/models?period=7d").table("by-model").rows()[1:]}
    assert shown["gpt-5-mini"] == "+200.0 %"
    assert shown["other"] == "new"


@pytest.mark.parametrize("page", ["/models", "/users", "/endpoints", "/tags/feature"])
def test_every_number_of_a_listing_leads_to_its_calls(app: Flask, page: str) -> None:
    mine = {"user_id": "7", "endpoint": "desk.reply", "tags": {"feature": "chat"}}
    write(app, [event(**mine), event(**mine, status="error"), event(model="other")])
    found = get(app, page)
    table = found.table(
        next(each.attributes["id"] for each in found.all("caption") if "by-" in each.attributes["id"])
    )
    client = app.test_client()
    for row in table.all("tr")[1:]:
        for cell in row.children[1:4]:
            for link in cell.all("a"):
                listed = read(client.get(link.attributes["href"]).text).by_id("calls-heading").text
                assert listed.startswith(f"{link.text} call"), (row.text, link.attributes)


def test_another_time_zone_moves_the_days(new_app: AppMaker) -> None:
    app = new_app(LLM_COST_TIMEZONE="UTC")
    write(app, [event(occurred_at=datetime(2026, 11, 20, 23, 30, tzinfo=UTC))])
    for zone, days in (("UTC", {"2026-11-20"}), ("Asia/Tokyo", {"2026-11-21"})):
        found = rows(app, f"/?from=2026-11-18&to=2026-11-22&tz={zone}", "spend-data")
        assert {row["day"] for row in found if Decimal(str(row["total_usd"]))} == days
    words = get(app, "/?from=2026-11-18&to=2026-11-22&tz=Asia/Tokyo").one("div", class_="heading").text
    assert "Asia/Tokyo" in words


def test_health_shows_what_doctor_finds(app: Flask) -> None:
    runtime_of(app).counters.add("lost", 2)
    page = get(app, "/health")
    assert "The tables are as this version expects." in page.text
    assert "2 Calls lost in this process" in page.text
    assert page.one("h1").text == "Health"
