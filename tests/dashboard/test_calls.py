"""The list of calls and its export."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask

from flask_llm_cost.dashboard.csv_export import COLUMNS
from tests.dashboard.html_pages import Element
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import REFUSED
from tests.dashboard.ledgers import UNPRICED
from tests.dashboard.ledgers import bill
from tests.dashboard.ledgers import close
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import make_app
from tests.dashboard.ledgers import write

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RANGE = "from=2026-11-20&to=2026-11-20"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """120 calls a minute apart: ten unpriced, ten refused, the others dearer and dearer."""
    app = make_app(tmp_path_factory.mktemp("calls"))
    for number in range(120):
        made = event(
            occurred_at=NOON + timedelta(minutes=number),
            model=f"model-{number % 3}",
            latency_ms=None if number % 12 == 5 else 1_000 + number,
            tags={"feature": "search" if number % 2 else "chat", "tenant": "acme", "a": "1", "b": "2"},
            **bill("1", "2", 1_000 * number + 1, number),
        )
        columns = UNPRICED if number % 12 == 0 else REFUSED if number % 12 == 1 else {}
        write(app, [replace(made, **columns)])
    yield app
    close(app)


def get(app: Flask, address: str) -> Element:
    return read(app.test_client().get(address, follow_redirects=True).text)


def column(page: Element, heading: str) -> list[str]:
    header, *rows = page.table("calls").rows()
    at = next(place for place, text in enumerate(header) if text.startswith(heading))
    return [row[at] for row in rows]


def pages(app: Flask, address: str) -> list[Element]:
    found = [get(app, address)]
    while following := found[-1].all("a", rel="next"):
        found.append(get(app, following[0].attributes["href"]))
    return found


def test_the_newest_calls_come_first_and_no_call_is_left_out_or_twice(filled: Flask) -> None:
    found = pages(filled, f"/llm-costs/calls?{RANGE}")
    times = [time for page in found for time in column(page, "Time")]
    assert [len(column(page, "Time")) for page in found] == [50, 50, 20]
    assert len(set(times)) == 120
    assert times == sorted(times, reverse=True)
    back = get(filled, found[1].one("a", rel="prev").attributes["href"])
    assert column(back, "Time") == column(found[0], "Time")


@pytest.mark.parametrize("heading", ["Time", "Input", "Output", "Cost", "Latency"])
def test_a_header_sorts_says_so_and_turns_round(filled: Flask, heading: str) -> None:
    page = get(filled, f"/llm-costs/calls?{RANGE}&size=200&sort=recent&direction=asc")
    for expected in ("descending", "ascending"):
        header = next(cell for cell in page.table("calls").all("th") if cell.text.startswith(heading))
        page = get(filled, header.one("a").attributes["href"])
        marked = [cell for cell in page.table("calls").all("th") if "aria-sort" in cell.attributes]
        assert [(cell.text.split(" ")[0], cell.attributes["aria-sort"]) for cell in marked] == [
            (heading, expected)
        ]


def test_unknown_costs_come_last_in_both_directions(filled: Flask) -> None:
    for direction in ("desc", "asc"):
        costs = column(
            get(filled, f"/llm-costs/calls?{RANGE}&size=200&sort=cost&direction={direction}"), "Cost"
        )
        assert set(costs[-20:]) == {"unknown", "free"}
        assert all(cost.startswith("$") for cost in costs[:-20])


def test_an_unknown_number_links_to_why(filled: Flask) -> None:
    page = get(filled, f"/llm-costs/calls?{RANGE}&price=unknown")
    link = next(link for link in page.table("calls").all("a") if link.text == "unknown")
    path, _, anchor = link.attributes["href"].partition("#")
    assert anchor == "why"
    assert "No price is known for" in get(filled, path).by_id("why").text


def test_the_heading_sums_up_the_list(filled: Flask) -> None:
    page = get(filled, f"/llm-costs/calls?{RANGE}&model=model-1")
    cost = sum(
        Decimal(1_000 * number + 1 + 2 * number) / 10**6
        for number in range(120)
        if number % 3 == 1 and number % 12 != 1
    )
    assert page.by_id("calls-heading").text == f"40 calls, spend ${cost:.2f}"


def test_tags_are_chips_that_narrow_the_list(filled: Flask) -> None:
    page = get(filled, f"/llm-costs/calls?{RANGE}")
    cell = page.table("calls").all("tr")[1].children[-1]
    assert len(cell.all("a")) == 3
    assert cell.text.endswith("+1")
    narrowed = get(filled, next(a for a in cell.all("a") if a.text == "feature: search").attributes["href"])
    assert narrowed.by_id("calls-heading").text.startswith("60 calls")


def test_a_broken_cursor_is_a_mistake_that_is_named(filled: Flask) -> None:
    response = filled.test_client().get(f"/llm-costs/calls?{RANGE}&cursor=nonsense")
    assert response.status_code == 400
    assert "cursor" in read(response.text).one("h1").text


def test_filters_drop_the_place_in_the_list(filled: Flask) -> None:
    second = get(
        filled, get(filled, f"/llm-costs/calls?{RANGE}&sort=cost").one("a", rel="next").attributes["href"]
    )
    assert all(field.attributes["name"] != "cursor" for field in second.all("input"))
    assert [field.attributes["value"] for field in second.all("input", name="sort")] == ["cost"]


def exported(app: Flask, query: str) -> list[dict[str, str]]:
    response = app.test_client().get(f"/llm-costs/calls.csv?{query}")
    assert response.status_code == 200
    assert response.mimetype == "text/csv"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Disposition"].startswith("attachment; filename=llm_calls_20")
    return list(csv.DictReader(io.StringIO(response.text)))


def test_the_export_has_the_lists_calls_in_the_lists_order(filled: Flask) -> None:
    page = get(filled, f"/llm-costs/calls?{RANGE}&size=200&sort=cost&direction=asc&tag.feature=chat")
    address = page.all("a", download="")[0].attributes["href"]
    rows = exported(filled, address.partition("?")[2])
    listed = [
        cell.one("a").attributes["href"].rpartition("/")[2]
        for cell in page.table("calls").all("th", scope="row")
    ]
    assert [row["id"] for row in rows] == listed


def test_the_export_is_exact_and_leaves_blank_what_is_unknown(filled: Flask) -> None:
    rows = {row["id"]: row for row in exported(filled, RANGE)}
    assert len(rows) == 120
    assert tuple(rows["3"]) == (*COLUMNS, "occurred_at_local", "time_zone")
    assert (rows["3"]["occurred_at_local"], rows["3"]["time_zone"]) == (
        "2026-11-20T13:02:00+01:00",
        "Europe/Berlin",
    )
    priced, unpriced, refused = rows["3"], rows["1"], rows["2"]
    assert priced["occurred_at"] == "2026-11-20T12:02:00.000000Z"
    assert (priced["input_tokens"], priced["output_tokens"], priced["reasoning_tokens"]) == ("2001", "2", "")
    assert (priced["total_cost"], priced["currency"], priced["cost_status"]) == (
        "0.002005",
        "USD",
        "complete",
    )
    assert json.loads(priced["tags"]) == {"feature": "chat", "tenant": "acme", "a": "1", "b": "2"}
    assert (unpriced["total_cost"], unpriced["cost_status"]) == ("", "unknown")
    assert (refused["total_cost"], refused["cost_status"], refused["attempts"]) == ("", "free", "3")


def test_the_json_has_the_same_calls_in_the_same_order(filled: Flask) -> None:
    query = f"{RANGE}&sort=cost&direction=asc&tag.feature=chat&tz=Asia%2FTokyo"
    response = filled.test_client().get(f"/llm-costs/calls.json?{query}")
    assert response.headers["Content-Disposition"].endswith(".json")
    found = json.loads(response.text)
    rows = exported(filled, query)
    assert [str(call["id"]) for call in found["calls"]] == [row["id"] for row in rows]
    assert [call["total_cost"] or "" for call in found["calls"]] == [row["total_cost"] for row in rows]
    assert (found["time_zone"], found["filters"]) == ("Asia/Tokyo", {"tag.feature": "chat"})
    assert {row["time_zone"] for row in rows} == {"Asia/Tokyo"}


def test_hostile_values_are_defused_in_the_export(app: Flask) -> None:
    write(app, [event(user_id="=HYPERLINK(1)", model="-x", tags={"a": "b"})])
    row = exported(app, "")[0]
    assert (row["user_id"], row["model"]) == ("'=HYPERLINK(1)", "'-x")


def test_the_export_refuses_bad_filters(filled: Flask) -> None:
    assert filled.test_client().get("/llm-costs/calls.csv?from=yesterday").status_code == 400
    assert filled.test_client().get("/llm-costs/calls.csv?size=50").status_code == 400


def test_a_long_export_is_read_page_by_page(app: Flask) -> None:
    write(app, [event(occurred_at=NOON + timedelta(seconds=number)) for number in range(1_101)])
    rows = exported(app, RANGE)
    times = [row["occurred_at"] for row in rows]
    assert len(set(times)) == 1_101
    assert times == sorted(times, reverse=True)
