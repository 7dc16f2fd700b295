"""One call's page: the facts, the bill, and why something is unknown."""

from __future__ import annotations

from decimal import Decimal

import pytest
from flask import Flask

from flask_llm_cost.events import PricedItem
from tests.dashboard.html_pages import Element
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import REFUSED
from tests.dashboard.ledgers import UNPRICED
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import write


def shown(app: Flask, **columns: object) -> Element:
    write(app, [event(**columns)])
    return read(app.test_client().get("/llm-costs/calls/1").text)


def facts(page: Element) -> dict[str, str]:
    return {
        name.text: value.text
        for box in page.all("dl")
        for name, value in ((item.children[0], item.children[1]) for item in box.children)
    }


def test_the_bill_shows_each_lines_arithmetic_and_its_total(app: Flask) -> None:
    page = shown(app)
    assert page.table("line-items").rows()[1:] == [
        ["input", "1,200", "$0.25", "1,000,000", "$0.0003", "openai/gpt-5-mini"],
        ["output", "340", "$2.00", "1,000,000", "$0.00068", "openai/gpt-5-mini"],
        ["Total", "", "", "", "$0.00098", ""],
    ]


def test_the_price_says_where_it_came_from(app: Flask) -> None:
    page = shown(
        app,
        pricing_mode="batch",
        pricing_snapshot={
            "key": "openai/gpt-5-mini",
            "step": "stripped+dated",
            "source": "overrides",
            "version": "2026-11-01",
            "mode": "batch",
            "tier": 272000,
            "discount": "0.15",
            "rates": {"input": "0.25", "output": "2"},
        },
    )
    assert facts(page).items() >= {
        "Price": "complete",
        "Cost": "computed from usage and rates",
        "Source of the rates": "LLM_COST_PRICING_OVERRIDES",
        "Price entry": "openai/gpt-5-mini",
        "Version": "2026-11-01",
        "Pricing mode": "batch",
        "Tier": "over 272,000 tokens of input, for the whole call",
        "Discount": "15 % off every rate",
    }.items()  # fmt: skip
    assert "date was taken off" in facts(page)["Found because"]


def test_the_mixes_add_up_and_say_their_numbers(app: Flask) -> None:
    page = shown(app)
    bar = page.all("svg", class_="mix")[0]
    widths = [float(part.attributes["width"].rstrip("%")) for part in bar.all("rect")]
    assert sum(widths) == pytest.approx(100, abs=0.01)
    assert [part.one("title")._raw().replace("\u202f", " ") for part in bar.all("rect")] == [
        "input: 1,200, 77.9 %", "output: 340, 22.1 %"
    ]  # fmt: skip


def test_all_facts_are_there_and_lead_to_calls_alike(app: Flask) -> None:
    page = shown(
        app,
        user_id="7",
        request_type="web",
        endpoint="desk.reply",
        trackable_type="Ticket",
        trackable_id="12",
        provider_response_id="resp_1",
        stream=True,
        time_to_first_token_ms=210,
        reasoning_tokens=100,
        tags={"feature": "chat"},
        details={"ticket": 12},
    )
    assert (
        facts(page).items()
        >= {
            "Status": "ok",
            "HTTP status": "200",
            "HTTP attempts": "1",
            "Streamed": "yes",
            "User": "7",
            "Request type": "web",
            "Flask endpoint": "desk.reply",
            "About, type": "Ticket",
            "About, id": "12",
            "Provider's response id": "resp_1",
            "Reasoning tokens, part of output": "100",
            "Tokens by the provider's count": "1,540",
            "feature": "chat",
        }.items()
    )
    addresses = {link.attributes["href"] for link in page.all("a")}
    assert {
        "/llm-costs/calls?user=7",
        "/llm-costs/calls?stream=yes",
        "/llm-costs/calls?tag.feature=chat",
    } <= addresses
    assert '"ticket": 12' in page.one("pre").text


def test_a_call_without_a_price_says_why_and_what_to_do(app: Flask) -> None:
    page = shown(app, **UNPRICED, model="gpt-9")
    words = page.by_id("why").text
    assert "No price is known for openai/gpt-9." in words
    assert "LLM_COST_PRICING_OVERRIDES" in words
    assert page.all("p", class_="tile-value")[0].text == "unknown"


def test_a_call_that_told_no_usage_says_so(app: Flask) -> None:
    page = shown(
        app, **UNPRICED, status="aborted", usage_source="unknown", input_tokens=None, output_tokens=None
    )
    assert "told no usage" in page.by_id("why").text
    assert [tile.text for tile in page.all("p", class_="tile-value")][:3] == ["unknown"] * 3


def test_a_refused_call_is_free_and_shows_its_error(app: Flask) -> None:
    page = shown(app, **REFUSED)
    assert page.all("p", class_="tile-value")[0].text == "free"
    assert "refused this call" in page.by_id("why").text
    assert facts(page).items() >= {
        "Status": "error", "HTTP status": "429", "Error": "RateLimitError", "HTTP attempts": "3"
    }.items()  # fmt: skip


def test_a_call_priced_in_part_names_what_is_missing(app: Flask) -> None:
    def item(component: str, rate: str | None) -> PricedItem:
        return PricedItem(
            component=component,
            quantity=Decimal(1000),
            unit="token",
            rate=Decimal(rate) if rate else None,
            rate_basis="per_million",
            cost=Decimal("0.001") if rate else None,
            cost_status="complete" if rate else "unknown",
        )

    page = shown(
        app,
        line_items=(item("input", "1"), item("cache_read_input", None)),
        total_cost=Decimal("0.001"),
        cost_status="partial",
        pricing_snapshot={
            "key": "openai/gpt-5-mini",
            "step": "exact",
            "source": "bundled",
            "missing": ["cache_read_input"],
        },
    )
    assert page.all("p", class_="tile-value")[0].text == "\u2265 $0.00100".replace("0.00100", "0.001")
    assert page.table("line-items").rows()[2] == [
        "cache read input",
        "1,000",
        "unknown",
        "1,000,000",
        "unknown",
        "no rate is known",
    ]
    assert page.table("line-items").rows()[-1][4] == "\u2265 $0.001"
    assert "has no rate for cache read input" in page.by_id("why").text


def test_a_charge_told_by_the_provider_says_so(app: Flask) -> None:
    charge = PricedItem(
        component="billed_cost",
        quantity=Decimal(1),
        unit="call",
        rate=Decimal("0.002"),
        rate_basis="per_unit",
        cost=Decimal("0.002"),
        cost_status="complete",
    )
    page = shown(
        app,
        line_items=(charge,),
        total_cost=Decimal("0.002"),
        cost_source="provider",
        pricing_snapshot={
            "source": "provider", "provider_cost": "0.002", "estimate": {"total_cost": "0.0021"}
        },
    )  # fmt: skip
    assert facts(page)["Cost"] == "told by the provider"
    assert facts(page)["Our tables would say"] == "$0.0021"
    assert page.table("line-items").rows()[1][-1] == "the provider's own charge"


@pytest.mark.parametrize("number", ["2", "0", "99999999999999999999999"])
def test_a_call_that_is_not_there_is_404(app: Flask, number: str) -> None:
    write(app, [event()])
    response = app.test_client().get(f"/llm-costs/calls/{number}")
    assert response.status_code == 404
    assert read(response.text).one("h1").text == "There is no such call"
