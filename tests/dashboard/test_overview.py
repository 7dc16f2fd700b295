"""The overview's numbers are those of the rows: each is held against a statement written by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from flask_llm_cost.analytics import latency
from flask_llm_cost.dashboard import formats
from tests.dashboard.html_pages import Element
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import REFUSED
from tests.dashboard.ledgers import UNPRICED
from tests.dashboard.ledgers import bill
from tests.dashboard.ledgers import close
from tests.dashboard.ledgers import database_file
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import make_app
from tests.dashboard.ledgers import month
from tests.dashboard.ledgers import write

BERLIN = ZoneInfo("Europe/Berlin")
RANGE = "from=2026-10-22&to=2026-11-20"
# The days of Berlin, whose clocks were put back on 25 October: two hours ahead of UTC before, one after.
START, END = "2026-10-21 22:00:00.000000", "2026-11-20 23:00:00.000000"
BEFORE = "2026-09-21 22:00:00.000000"
CALLS = "FROM llm_cost_calls WHERE occurred_at >= ? AND occurred_at < ?"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Two months that end on 20 November, with calls on both sides of the edges of the days."""
    app = make_app(tmp_path_factory.mktemp("overview"))
    write(app, month(datetime(2026, 11, 20, 17, tzinfo=UTC), days=64, per_day=8))
    edges = ("2026-10-21T21:59:59", "2026-10-21T22:00:00", "2026-11-20T22:59:59", "2026-11-20T23:00:00")
    write(
        app,
        [
            event(occurred_at=datetime.fromisoformat(edge).replace(tzinfo=UTC), **bill("1", "1", 1, 1))
            for edge in edges
        ],
    )
    yield app
    close(app)


@pytest.fixture
def rows(filled: Flask) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database_file(filled))) as connection:
        yield connection


@pytest.fixture(scope="module")
def page(filled: Flask) -> Element:
    return read(filled.test_client().get(f"/llm-costs/?{RANGE}").text)


def cost(picodollars: int | None) -> Decimal | None:
    return None if picodollars is None else Decimal(picodollars).scaleb(-12)


def tile(page: Element, name: str) -> Element:
    return page.by_id(f"tile-{name}")


def spaced(text: str) -> str:
    """White space as :attr:`Element.text` has it."""
    return " ".join(text.split())


def exact(element: Element) -> str:
    return element.one("a").attributes.get("title", "")


def test_the_spend_tile_is_the_sum_of_the_rows(page: Element, rows: sqlite3.Connection) -> None:
    statement = f"SELECT SUM(total_cost) {CALLS}"
    now = cost(rows.execute(statement, (START, END)).fetchone()[0])
    before = cost(rows.execute(statement, (BEFORE, START)).fetchone()[0])
    assert now is not None
    assert before is not None
    found = tile(page, "spend")
    assert exact(found) == f"{formats.exact_money(now)} USD"
    assert found.one("a").text == formats.money(now).text
    words = spaced(f"{formats.change(now, before)} from {formats.money(before)}")
    assert found.one("p", class_="tile-change").text == words


def test_the_calls_tile_is_the_number_of_rows(page: Element, rows: sqlite3.Connection) -> None:
    statement = f"SELECT COUNT(*), SUM(status <> 'ok') {CALLS}"
    calls, failed = rows.execute(statement, (START, END)).fetchone()
    before, _ = rows.execute(statement, (BEFORE, START)).fetchone()
    found = tile(page, "calls")
    assert found.one("a").text == f"{calls:,}"
    assert found.one("p", class_="tile-label").text == f"Calls, {failed} of them failed"
    words = spaced(f"{formats.change(calls, before)} from {before}")
    assert found.one("p", class_="tile-change").text == words


def test_the_average_is_the_spend_by_the_priced_calls(page: Element, rows: sqlite3.Connection) -> None:
    total, priced = rows.execute(
        f"SELECT SUM(total_cost), COUNT(total_cost) {CALLS}",
        (START, END),
    ).fetchone()
    average = cost(total)
    assert average is not None
    assert tile(page, "average-cost").one("a").text == formats.money(average / priced).text


def test_the_latencies_are_those_of_the_rows(page: Element, rows: sqlite3.Connection) -> None:
    durations = sorted(
        value
        for (value,) in rows.execute(
            f"SELECT latency_ms {CALLS} AND latency_ms IS NOT NULL",
            (START, END),
        )
    )
    average = round(sum(durations) / len(durations))
    nearest_rank = durations[-(-95 * len(durations) // 100) - 1]
    assert tile(page, "average-latency").one("a").text == spaced(formats.duration(average).text)
    assert tile(page, "p95-latency").one("a").text == spaced(formats.duration(nearest_rank).text)


def test_a_percentile_of_a_sample_is_said_to_be_that(filled: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "EXACT_UP_TO", 1)
    monkeypatch.setattr(latency, "_LEAST", 1)
    page = read(filled.test_client().get(f"/llm-costs/?{RANGE}").text)
    label = tile(page, "p95-latency").one("p", class_="tile-label")
    assert label.text == "95th percentile latency, of a sample"


def test_the_warning_counts_the_calls_of_unknown_cost_and_says_why(
    page: Element, rows: sqlite3.Connection
) -> None:
    unknown, calls = rows.execute(
        f"SELECT SUM(cost_status = 'unknown'), COUNT(*) {CALLS}",
        (START, END),
    ).fetchone()
    words = page.one("section", class_="banner").text
    assert words.startswith(f"Calls of unknown cost: {unknown} ({unknown / calls * 100:.1f} % of calls).")
    assert "Totals are too low by what they cost." in words
    (untold,) = rows.execute(
        f"SELECT COUNT(*) {CALLS} AND cost_status = 'unknown' AND usage_source = 'unknown'",
        (START, END),
    ).fetchone()
    assert (f"No usage told: {untold} call" in words) == (untold > 0)
    link = page.one("section", class_="banner").all("a")[0].attributes["href"]
    assert link.endswith(f"/calls?{RANGE}&price=unknown")


TAGS = "llm_cost_calls c LEFT JOIN llm_cost_tags t ON t.call_id = c.id AND t.key ="
BREAKDOWNS = {
    "by-provider": ("provider", "llm_cost_calls c"),
    "by-model": ("model", "llm_cost_calls c"),
    "by-user": ("COALESCE(user_id, 'without a user')", "llm_cost_calls c"),
    "by-endpoint": ("COALESCE(endpoint, 'outside a request')", "llm_cost_calls c"),
    "by-tag.feature": ("COALESCE(t.value, 'without feature')", f"{TAGS} 'feature'"),
    "by-tag.tenant": ("COALESCE(t.value, 'without tenant')", f"{TAGS} 'tenant'"),
}


@pytest.mark.parametrize("name", BREAKDOWNS)
def test_each_breakdown_is_the_groups_of_the_rows_and_adds_up_to_the_tiles(
    page: Element, rows: sqlite3.Connection, name: str
) -> None:
    value, tables = BREAKDOWNS[name]
    statement = (
        f"SELECT {value}, COUNT(*), SUM(c.total_cost) FROM {tables}"
        " WHERE c.occurred_at >= ? AND c.occurred_at < ? GROUP BY 1"
    )
    expected = {value: (calls, cost(total)) for value, calls, total in rows.execute(statement, (START, END))}
    shown = page.table(name).rows()[1:]
    total = shown.pop()
    assert {row[0]: (int(row[1].replace(",", "")), row[2].lstrip("\u2265\u202f ")) for row in shown} == {
        value: (calls, str(formats.money(amount))) for value, (calls, amount) in expected.items()
    }
    assert total[1] == tile(page, "calls").one("a").text
    assert total[2].lstrip("\u2265\u202f ") == tile(page, "spend").one("a").text


def test_the_charts_table_has_each_days_spend_in_the_zone(page: Element, rows: sqlite3.Connection) -> None:
    by_day: dict[str, int] = {}
    for moment, total in rows.execute(
        "SELECT occurred_at, total_cost FROM llm_cost_calls WHERE total_cost IS NOT NULL"
    ):
        local = datetime.fromisoformat(moment).replace(tzinfo=UTC).astimezone(BERLIN)
        by_day[formats.day(local.date())] = by_day.get(formats.day(local.date()), 0) + total
    header, *shown, total = page.table("spend-data").rows()
    at = header.index("Total USD")
    assert len(shown) == 30
    for row in shown:
        assert row[at].lstrip("\u2265\u202f ") == str(formats.money(cost(by_day.get(row[0], 0)))), row[0]
    assert total[at].lstrip("\u2265\u202f ") == tile(page, "spend").one("a").text


def test_the_chart_draws_a_bar_for_each_day_and_says_its_numbers(page: Element) -> None:
    plot = page.one("svg", class_="plot")
    hits = plot.all("rect", class_="hit")
    assert len(hits) == 30
    assert all(hit.all("title") for hit in hits)
    segments = plot.all("rect", class_="segment")
    assert all(segment.one("title")._raw().count(": $") == 1 for segment in segments)


def test_a_name_has_one_colour_on_the_whole_page(page: Element) -> None:
    def colours(items: list[Element]) -> dict[str, str]:
        named = [item for item in items if item.all("svg", class_="swatch")]
        return {item.one("a").text: item.one("svg", class_="swatch").attributes["class"] for item in named}

    legend = colours(page.one("ul", class_="legend").all("li"))
    assert legend
    assert colours(page.table("by-model").all("th")) == legend


def test_the_heading_says_days_zone_and_comparison(page: Element) -> None:
    words = page.one("div", class_="heading").text
    assert words == "22 October to 20 November 2026 Europe/Berlin, against 22 September to 21 October 2026"


def test_every_number_leads_to_the_calls_behind_it(filled: Flask, page: Element) -> None:
    client = filled.test_client()
    table = page.table("by-tag.tenant")
    for row in table.all("tr")[1:]:
        link = row.children[1].one("a")
        listed = read(client.get(link.attributes["href"]).text).by_id("calls-heading").text
        assert listed.startswith(f"{link.text} call"), row.text


def test_a_filter_holds_for_every_number_of_the_page(filled: Flask, rows: sqlite3.Connection) -> None:
    address = f"/llm-costs/?{RANGE}&provider=openai&tag.feature=search&without=user"
    page = read(filled.test_client().get(address).text)
    calls, total = rows.execute(
        "SELECT COUNT(*), SUM(c.total_cost) FROM llm_cost_calls c JOIN llm_cost_tags t ON t.call_id = c.id"
        " WHERE t.key = 'feature' AND t.value = 'search' AND provider = 'openai' AND user_id IS NULL"
        " AND c.occurred_at >= ? AND c.occurred_at < ?",
        (START, END),
    ).fetchone()
    assert tile(page, "calls").one("a").text == str(calls)
    assert tile(page, "spend").one("a").text == str(formats.money(cost(total)))
    assert page.table("by-model").rows()[-1][1] == str(calls)
    chips = page.one("ul", class_="chips")
    assert [chip.text for chip in chips.all("span") if "title" in chip.attributes] == [
        "Provider openai", "User none", "feature search"
    ]  # fmt: skip


def test_more_values_than_rows_are_summed_up_and_can_be_shown(app: Flask) -> None:
    write(app, [event(model=f"m{number:02}", **bill("1", "1", 1000 + number, 0)) for number in range(30)])
    client = app.test_client()
    table = read(client.get("/llm-costs/").text).table("by-model")
    others = table.all("tr")[-2]
    assert others.children[0].text == "22 others"
    address = others.one("th").one("a").attributes["href"]
    assert len(read(client.get(address).text).table("by-model").rows()) == 32


def test_unknown_is_never_shown_as_nothing(app: Flask) -> None:
    write(app, [event(**UNPRICED), event(model="known")])
    page = read(app.test_client().get("/llm-costs/").text)
    shown = {row[0]: row[2] for row in page.table("by-model").rows()}
    assert shown["gpt-5-mini"] == "unknown"
    assert shown["Total"] == "\u2265 $0.00098"
    assert page.one("a", href="/llm-costs/calls?price=unknown").text == "1"
    assert "/llm-costs/calls?model=gpt-5-mini&price=unknown" in {
        link.attributes["href"] for link in page.table("by-model").all("a")
    }


def test_a_day_whose_calls_have_no_price_is_a_gap_with_a_sign(app: Flask) -> None:
    write(app, [event(**UNPRICED)])
    page = read(app.test_client().get("/llm-costs/").text)
    assert [sign.text for sign in page.all("text", class_="gap-sign")] == ["?"]
    assert page.all("rect", class_="segment") == []
    assert tile(page, "spend").one("a").text == "unknown"
    assert tile(page, "spend").one("a").attributes["href"] == "/llm-costs/calls?price=unknown"


def test_refused_calls_are_free_and_not_unknown(app: Flask) -> None:
    write(app, [event(**REFUSED)])
    page = read(app.test_client().get("/llm-costs/").text)
    assert tile(page, "spend").one("a").text == "free"
    assert page.all("section", class_="banner") == []


def test_nothing_before_reads_new(app: Flask) -> None:
    write(app, [event()])
    page = read(app.test_client().get("/llm-costs/").text)
    assert {change.text for change in page.all("p", class_="tile-change")} == {"new nothing before"}


def test_a_single_day_is_shown_by_the_hour(app: Flask) -> None:
    write(
        app,
        [
            event(occurred_at=datetime(2026, 10, 25, 12, tzinfo=UTC) + timedelta(hours=number))
            for number in range(3)
        ],
    )
    page = read(app.test_client().get("/llm-costs/?from=2026-10-25&to=2026-10-25").text)
    assert len(page.all("rect", class_="hit")) == 25  # the clocks were put back that night
    assert page.table("spend-data").rows()[0][0] == "Hour"


def test_an_unfinished_day_is_lighter_and_said_to_be(app: Flask) -> None:
    write(app, [event()])
    page = read(app.test_client().get("/llm-costs/?period=7d").text)
    assert len(page.all("g", class_="running")) == 1
    assert page.one("p", class_="chart-note").text.endswith("is not over yet.")


def test_the_forms_query_leads_to_the_address_to_keep(filled: Flask) -> None:
    response = filled.test_client().get(
        "/llm-costs/?period=7d&from=&to=&provider=&model=gpt-5&user=&tag_key=feature&tag_value=search"
    )
    assert (response.status_code, response.location) == (
        302, "/llm-costs/?period=7d&model=gpt-5&tag.feature=search"
    )  # fmt: skip


def test_freshness_shows_what_waits_and_what_was_lost(app: Flask) -> None:
    write(app, [event()])
    app.extensions["llm_cost"].counters.add("dropped", 3)
    words = read(app.test_client().get("/llm-costs/").text).one("footer").text
    assert words == "Last call just now Nothing is waiting to be written 3 calls lost in this process"
