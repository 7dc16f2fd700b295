"""Dashboard, ``tracker.report()`` and ``flask llm-cost report`` tell the same numbers, to the last digit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC
from datetime import date
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from flask_llm_cost.analytics import Report
from flask_llm_cost.analytics import build_report
from flask_llm_cost.analytics import during
from flask_llm_cost.dashboard import formats
from tests.dashboard.html_pages import Element
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import close
from tests.dashboard.ledgers import make_app
from tests.dashboard.ledgers import month
from tests.dashboard.ledgers import runtime_of
from tests.dashboard.ledgers import write

FIRST, LAST = date(2026, 10, 22), date(2026, 11, 20)
NAMES = ("provider", "model", "user", "endpoint", "tag:feature", "tag:tenant", "day")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = make_app(tmp_path_factory.mktemp("report"))
    write(app, month(datetime(2026, 11, 20, 17, tzinfo=UTC), days=64, per_day=8))
    yield app
    close(app)


@pytest.fixture(scope="module")
def page(filled: Flask) -> Element:
    return read(filled.test_client().get(f"/llm-costs/?from={FIRST}&to={LAST}").text)


@pytest.fixture(scope="module")
def report(filled: Flask) -> Report:
    query = during(runtime_of(filled).calls, FIRST, LAST)
    return build_report(query, group_by=NAMES, limit=None)


def printed(app: Flask, *arguments: str) -> dict[str, Any]:
    command = ["llm-cost", "report", "--from", str(FIRST), "--to", str(LAST), "--format", "json", *arguments]
    result = app.test_cli_runner().invoke(args=command)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_the_totals_are_the_same(filled: Flask, page: Element, report: Report) -> None:
    cost, before = report.totals.total_cost, report.previous and report.previous.total_cost
    assert cost
    assert before
    spend = page.by_id("tile-spend")
    assert spend.one("a").attributes["title"] == f"{formats.exact_money(cost)} USD"
    assert page.by_id("tile-calls").one("a").text == f"{report.totals.calls:,}"
    words = " ".join(f"{formats.change(cost, before)} from {formats.money(before)}".split())
    assert spend.one("p", class_="tile-change").text == words

    document = printed(filled)
    assert Decimal(document["totals"]["total_cost"]) == cost
    assert Decimal(document["previous"]["total_cost"]) == before
    assert document["totals"]["calls"] == report.totals.calls


@pytest.mark.parametrize("name", [name for name in NAMES if name != "day"])
def test_each_group_is_the_dashboards_table(page: Element, report: Report, name: str) -> None:
    *shown, total = page.table(f"by-{name.replace(':', '.')}").rows()[1:]
    group = report.by(name)
    assert [(int(row[1].replace(",", "")), row[2].lstrip("\u2265\u202f ")) for row in shown] == [
        (row.calls, str(formats.money(row.total_cost))) for row in group.rows
    ]
    assert total[1] == f"{group.total.calls:,}"
    assert group.total == report.totals


def test_each_day_is_the_charts(page: Element, report: Report) -> None:
    header, *shown, _ = page.table("spend-data").rows()
    at = header.index("Total USD")
    days = report.by("day").rows
    assert [row[at].lstrip("\u2265\u202f ") for row in shown] == [
        str(formats.money(day.total_cost)) for day in days
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_command_prints_the_same_groups(filled: Flask, report: Report, name: str) -> None:
    group = report.by(name)
    rows = printed(filled, "--by", name)["by"][group.dimension]
    assert [(row["value"], row["calls"], row["total_cost"], row["previous_cost"]) for row in rows] == [
        (
            row.value,
            row.calls,
            None if row.total_cost is None else format(row.total_cost, "f"),
            None
            if row.previous is None or row.previous.total_cost is None
            else f"{row.previous.total_cost:f}",
        )
        for row in group.rows
    ]
