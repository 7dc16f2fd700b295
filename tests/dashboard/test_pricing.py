"""The price list and one model's price: what is in force, how it was found, and the arithmetic."""

from __future__ import annotations

import csv
import io
import os
import re
import time
from decimal import Decimal
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import update
from werkzeug.test import TestResponse

from flask_llm_cost.ledger import LineItem
from flask_llm_cost.maintenance import Repricing
from flask_llm_cost.maintenance import Selection
from flask_llm_cost.pricing import Catalog
from flask_llm_cost.pricing.watch import FILE_CHECK_INTERVAL
from tests.dashboard.conftest import AppMaker
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import UNPRICED
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import runtime_of
from tests.dashboard.ledgers import write

PRICES = {
    "openai/house": {
        "input": "1.25",
        "output": "10",
        "modes": {"batch": {"input": "0.625", "output": "5"}},
        "tiers": [{"over": 272000, "input": "2.5", "output": "15"}],
        "periods": [{"from": "2026-03-14", "output": "20"}],
        "aliases": ["house-latest"],
        "source": "our contract",
    },
    "openai/gratis": {"free": True},
}


def get(app: Flask, address: str, status: int = 200) -> TestResponse:
    response = app.test_client().get(f"/llm-costs{address}")
    assert response.status_code == status, response.text
    read(response.text) if "html" in response.mimetype else None
    return response


def text(app: Flask, address: str, status: int = 200) -> str:
    return read(re.sub("</d[td]>", r"\g<0> ", get(app, address, status).text)).text


@pytest.fixture
def app(new_app: AppMaker) -> Flask:
    return new_app(LLM_COST_PRICING_OVERRIDES=PRICES)


def test_the_list_says_what_is_in_force_and_from_where(app: Flask) -> None:
    shown = text(app, "/pricing")
    assert "1. Overrides 2 entries LLM_COST_PRICING_OVERRIDES version" in shown
    assert "2. Bundled" in shown
    assert "Price entries 1 to 50 of" in shown


def test_a_search_finds_names_and_aliases_with_their_rates(app: Flask) -> None:
    shown = text(app, "/pricing?search=house-latest&source=overrides")
    assert "1 price entry" in shown
    assert "openai/house $1.25 \N{EN DASH} $20.00 batch; by size; dated overrides" in shown
    assert "free" in text(app, "/pricing?search=gratis")


def test_every_page_of_the_list_is_reached_and_none_twice(app: Flask) -> None:
    seen: list[str] = []
    address: str | None = "/llm-costs/pricing"
    while address:
        document = read(app.test_client().get(address).text)
        seen += [
            link.text
            for link in document.all("a")
            if "/pricing/model?" in (link.attributes.get("href") or "")
        ]
        following = [link for link in document.all("a") if link.attributes.get("rel") == "next"]
        address = following[0].attributes.get("href") if following else None
    assert len(seen) == len(set(seen)) == len(list(runtime_of(app).catalog.entries()))
    assert seen == sorted(seen)


def test_a_search_without_a_hit_says_what_to_do(app: Flask) -> None:
    shown = text(app, "/pricing?search=no-such-model")
    assert "No price entry matches" in shown
    assert "flask llm-cost backfill" in shown


def test_a_prices_file_that_broke_is_named_and_the_last_good_one_stays(
    new_app: AppMaker, tmp_path: Path
) -> None:
    file = tmp_path / "prices.yml"
    file.write_text('openai/filed: {input: "7"}\n')
    app = new_app(LLM_COST_PRICES_FILE=str(file))
    assert "cannot be used" not in text(app, "/pricing?search=filed")
    file.write_text('openai/filed: {inptu: "7"}\n')
    os.utime(file, ns=(1, 1))
    _wait_for_the_next_look()
    shown = text(app, "/pricing?search=filed")
    assert "The prices file cannot be used as it is now" in shown
    assert "Did you mean 'input'?" in shown
    assert "openai/filed $7.00" in shown
    file.write_text('openai/filed: {input: "8"}\n')
    _wait_for_the_next_look()
    shown = text(app, "/pricing?search=filed")
    assert "cannot be used" not in shown
    assert "openai/filed $8.00" in shown


def _wait_for_the_next_look() -> None:
    """The file is looked at once a second."""
    time.sleep(FILE_CHECK_INTERVAL + 0.1)


def test_a_model_is_explained_by_record_step_rates_and_arithmetic(app: Flask) -> None:
    counts = "input_tokens=1%2C200&output_tokens=300&at=2026-03-13"
    shown = text(app, f"/pricing/model?provider=openai&model=house-latest&{counts}")
    assert "input 1,200 $1.25 1,000,000 $0.0015 its own rate" in shown
    assert "output 300 $10.00 1,000,000 $0.003 its own rate" in shown
    assert "Total $0.0045" in shown
    assert "Found because the name is listed as an alias" in shown
    assert "Source our contract" in shown
    assert "Valid until 14 Mar 2026, 01:00:00" in shown  # Europe/Berlin
    assert "standard standard, over 272,000 batch" in shown
    assert "before from 2026-03-14" in shown


def test_mode_size_and_date_decide(app: Flask) -> None:
    batch = text(
        app, "/pricing/model?provider=openai&model=house&mode=batch&output_tokens=1000&at=2026-03-13"
    )
    assert "Total $0.005" in batch
    large = text(app, "/pricing/model?provider=openai&model=house&input_tokens=300000&at=2026-03-13")
    assert "Total $0.75" in large
    assert "Tier over 272,000 tokens of input, for the whole call" in large
    dated = text(app, "/pricing/model?provider=openai&model=house&output_tokens=1000&at=2026-03-14T12:00")
    assert "Total $0.02" in dated


def test_an_unknown_model_shows_its_nearest_names_and_no_amount(app: Flask) -> None:
    shown = text(app, "/pricing/model?provider=openai&model=huose")
    assert "No price is known for this model" in shown
    assert "Names that look alike: openai/house" in shown
    assert "Total unknown" in shown


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("provider=openai", "model: is missing"),
        ("model=m&input_tokens=many", "'many' is not a whole number from 0"),
        ("model=m&output_tokens=1&reasoning_tokens=2", "cannot exceed"),
        ("model=m&charges=coffee%3D1", "coffee"),
        ("model=m&charges=page", "is not COMPONENT=N"),
        ("model=m&at=soon", "is not a date or time such as 2026-11-22"),
        ("call=1&model=m", "call: stands alone"),
        ("model=m&nonsense=1", "there is no such parameter"),
        ("model=m&model=n", "more than once"),
        (f"model={'m' * 256}", "at most 255 characters"),
    ],
)
def test_what_cannot_be_read_is_named(app: Flask, query: str, told: str) -> None:
    assert told in text(app, f"/pricing/model?{query}", 400)


def test_a_recorded_call_is_explained_by_its_own_quantities(app: Flask) -> None:
    write(app, [event(model="house", **UNPRICED)])
    write(app, [event()])
    page = get(app, "/calls/1").text
    assert 'href="/llm-costs/pricing/model?call=1"' in page
    shown = text(app, "/pricing/model?call=2")
    assert "By the prices in force now the call costs what is frozen on it." in shown
    assert "input 1,200 $0.25" in shown
    assert "cannot be told from its line items" in text(app, "/pricing/model?call=1")
    text(app, "/pricing/model?call=3", 404)


def test_another_price_of_a_call_is_told_with_the_command(app: Flask) -> None:
    write(app, [event()])
    ledger = runtime_of(app).ledger
    assert ledger is not None
    with ledger.engine.begin() as connection:
        connection.execute(update(LineItem).where(LineItem.position == 0).values(quantity=Decimal(2_000)))
    shown = text(app, "/pricing/model?call=1")
    assert (
        "Frozen on the call: $0.00098. By the prices in force now: $0.00118. flask llm-cost reprice" in shown
    )


def test_a_known_cost_is_said_to_stay_where_its_price_is_gone(app: Flask) -> None:
    write(app, [event(model="retired")])
    shown = text(app, "/pricing/model?call=1")
    assert (
        "Frozen on the call: $0.00098, which stays. By the prices in force now it would be unknown." in shown
    )


def test_a_known_cost_is_said_to_stay_where_one_of_its_rates_is_gone(new_app: AppMaker) -> None:
    app = new_app(LLM_COST_PRICING_OVERRIDES={"openai/halved": {"input": "0.25"}})
    write(app, [event(model="halved")])
    assert (
        "Frozen on the call: $0.00098, which stays. By the prices in force now a part of it would be unknown."
        in text(app, "/pricing/model?call=1")
    )


def test_a_call_that_was_priced_again_shows_what_it_cost_before(app: Flask) -> None:
    write(app, [event()])
    ledger = runtime_of(app).ledger
    assert ledger is not None
    catalog = Catalog.load(overrides={"openai/gpt-5-mini": {"input": "1", "output": "2"}})
    Repricing(
        command="reprice", selection=Selection(), catalog=catalog, changed_by="finance", reason="wrong list"
    ).run(ledger)
    shown = text(app, "/calls/1")
    assert "$0.00098 $0.00188 finance wrong list openai/gpt-5-mini (2026-11-01)" in shown


def test_the_csv_has_every_rate_by_date_mode_and_size(app: Flask) -> None:
    response = get(app, "/pricing?search=openai/house&source=overrides&table=rates&format=csv")
    assert response.headers["Content-Disposition"].startswith(
        "attachment; filename=llm_costs_rates_Europe-Berlin.csv"
    )
    rows = list(csv.DictReader(io.StringIO(response.text)))
    found = {
        (row["mode"], row["valid_from"], row["over_input_tokens"], row["component"]): row["rate"]
        for row in rows
    }
    dated = "2026-03-14T00:00:00+00:00"
    assert found["standard", "", "", "output"] == "10"
    assert found["standard", dated, "", "output"] == "20"
    assert found["standard", "", "272000", "output"] == "15"
    assert found["batch", dated, "", "input"] == "0.625"
    free = list(csv.DictReader(io.StringIO(get(app, "/pricing?search=gratis&table=rates&format=csv").text)))
    assert [(row["component"], row["rate"]) for row in free] == [("free", "0")]


def test_an_app_without_a_ledger_shows_its_prices(new_app: AppMaker) -> None:
    app = new_app(storage=lambda event: None, tables=False)
    assert "Price entries 1 to 50" in text(app, "/pricing")
    text(app, "/pricing/model?call=1", 404)
