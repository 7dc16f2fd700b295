"""Every number leads to the calls behind it: as many, and those."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from tests.dashboard.html_pages import Element
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import REFUSED
from tests.dashboard.ledgers import UNPRICED
from tests.dashboard.ledgers import bill
from tests.dashboard.ledgers import close
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import make_app
from tests.dashboard.ledgers import write


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Thirty models, users and tag values of unlike cost, and calls that lack one thing each."""
    app = make_app(tmp_path_factory.mktemp("wide"))
    noon = datetime.now(UTC) - timedelta(days=1)
    made = [
        event(
            occurred_at=noon - timedelta(days=number % 5),
            model=f"model-{number}, {'x' * (number % 7)}",
            user_id=f"user-{number}" if number % 10 else None,
            tags={"feature": f"feature {number}, \u05e9"} if number % 9 else {},
            provider_response_id=f"r{number}" if number % 4 else None,
            latency_ms=100 if number % 6 else None,
            **bill("1", "1", 1_000 * (number + 1), 0),
        )
        for number in range(30)
    ]
    write(app, [*made, event(**UNPRICED), event(**{**UNPRICED, "cost_status": "partial"}), event(**REFUSED)])
    yield app
    close(app)


def listed(app: Flask, address: str) -> str:
    """How the list behind an address describes itself."""
    return read(app.test_client().get(address).text).by_id("calls-heading").text


def page(app: Flask, address: str) -> Element:
    response = app.test_client().get(f"/llm-costs{address}")
    assert response.status_code == 200, response.text
    return read(response.text)


@pytest.mark.parametrize(
    ("address", "table"),
    [
        ("/", "by-model"),
        ("/", "by-user"),
        ("/", "by-tag.feature"),
        ("/models", "by-model"),
        ("/tags/feature", "by-tag.feature"),
        ("/users?sort=name", "by-user"),
    ],
)
def test_the_others_lead_to_just_these_calls(wide: Flask, address: str, table: str) -> None:
    others = page(wide, address).table(table).all("tr")[-2]
    assert others.one("th").text.endswith("others")
    link = next(cell for cell in others.children[1:] if cell.text.isdigit()).one("a")
    assert "besides." in link.attributes["href"]
    assert listed(wide, link.attributes["href"]).startswith(f"{link.text} call")
    narrower = page(wide, link.attributes["href"].removeprefix("/llm-costs"))
    assert narrower.one("ul", class_="chips").text.count("none of") == 1


def test_every_cell_of_two_dimensions_leads_to_its_calls(wide: Flask) -> None:
    table = page(wide, "/crosstab?rows=model&columns=user&show=calls").table("crosstab")
    *_, others, total = table.all("tr")
    assert others.one("th").text.endswith("others")
    for row in (table.all("tr")[1], others, total):
        for cell in row.children[1:]:
            for link in cell.all("a"):
                assert listed(wide, link.attributes["href"]).startswith(f"{link.text} call"), link.attributes
    assert all(cell.all("a") for cell in total.children[1:])


def test_what_is_not_covered_leads_to_the_calls_that_lack_it(wide: Flask) -> None:
    rows = page(wide, "/quality").table("coverage").all("tr")[1:]
    found = {row.one("th").text: row.children[-1] for row in rows}
    # Of 33 calls: 2 priced in part or not at all, 0 9 18 27 and the three last ones without a tag, 0 10 20
    # and those three without a user, 0 6 12 18 24 not timed, 0 4 8 ... 28 and the three without an id.
    expected = {
        "Full cost": "2",
        "Tags": "7",
        "User": "6",
        "Latency": "5",
        "Provider's id of the answer": "11",
        "Usage of streams": "0",
    }
    assert {name: cell.text for name, cell in found.items()} == expected
    for name, cell in found.items():
        if cell.text != "0":
            address = cell.one("a").attributes["href"]
            assert listed(wide, address).startswith(f"{cell.text} calls"), name


def test_the_numbers_under_a_chart_lead_to_their_calls(wide: Flask) -> None:
    table = page(wide, "/").table("spend-data")
    *_, dear, _, total = table.all("tr")[1:]
    for row in (dear, total):
        for cell in row.children[1:-1]:
            if cell.text != "$0.00":
                amount = re.sub("^\u2265\\s*", "", cell.text)
                heading = listed(wide, cell.one("a").attributes["href"])
                assert amount in heading or amount in ("unknown", "free"), heading


def test_the_legend_leads_to_each_part_of_the_chart(wide: Flask) -> None:
    legend = page(wide, "/").one("ul", class_="legend")
    entries = [item for item in legend.all("li") if "period before" not in item.text]
    assert len(entries) == 8
    assert all(len(entry.all("a")) == 1 for entry in entries)


def test_names_that_fill_no_address_have_a_longer_table_instead(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    write(app, [event(model=f"{number:03}{'é' * 185}") for number in range(12)])
    try:
        others = page(app, "/").table("by-model").all("tr")[-2]
        assert others.children[1].all("a") == []
        assert "full=model" in others.one("th").one("a").attributes["href"]
        assert "full=model" in others.children[2].one("a").attributes["href"]
    finally:
        close(app)
