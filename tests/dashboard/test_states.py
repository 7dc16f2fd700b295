"""What people see when there is nothing to see: first run, no tables, no database, no ledger."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import ExitStack
from contextlib import closing

import pytest
from flask import Flask

from flask_llm_cost.ledger import writer
from flask_llm_cost.ledger.engine import READERS
from flask_llm_cost.runtime import runtime_of
from tests.dashboard.conftest import AppMaker
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import database_file
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import write

#: Pages about calls, and one address of each other kind.
LISTS = ("/", "/insight", "/models", "/tags", "/tags/feature", "/users", "/endpoints", "/crosstab", "/calls")
PAGES = (*LISTS, "/insight/what-if?as=openai/gpt-5", "/calls/1", "/calls.csv", "/calls.json", "/quality")


@pytest.mark.parametrize("page", LISTS)
def test_an_empty_ledger_says_how_to_fill_it(app: Flask, page: str) -> None:
    response = app.test_client().get(f"/llm-costs{page}")
    assert response.status_code == 200
    words = read(response.text).text
    assert "No calls yet" in words
    assert "flask llm-cost verify-capture" in words


@pytest.mark.parametrize("page", LISTS)
def test_no_match_offers_the_view_without_filters(app: Flask, page: str) -> None:
    write(app, [event()])
    found = read(app.test_client().get(f"/llm-costs{page}?model=other&period=7d").text)
    assert "No calls match" in found.text
    way_out = next(link for link in found.all("a") if link.text.startswith("Show all calls"))
    assert way_out.attributes["href"] == f"/llm-costs{page}?period=7d"


@pytest.mark.parametrize("page", PAGES)
def test_missing_tables_are_named_with_the_command_that_makes_them(new_app: AppMaker, page: str) -> None:
    response = new_app(tables=False).test_client().get(f"/llm-costs{page}")
    assert response.status_code == 503
    assert response.headers["Cache-Control"] == "no-store"
    found = read(response.text)
    assert "Table llm_cost_calls is missing." in found.text
    assert "db.create_all()" in found.one("pre").text


def test_tables_made_later_are_noticed(new_app: AppMaker) -> None:
    app = new_app(tables=False)
    assert app.test_client().get("/llm-costs/").status_code == 503
    with app.app_context():
        app.extensions["sqlalchemy"].create_all()
    assert app.test_client().get("/llm-costs/").status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_a_table_that_vanishes_later_is_noticed(app: Flask, page: str) -> None:
    write(app, [event()])
    assert app.test_client().get("/llm-costs/").status_code == 200
    with closing(sqlite3.connect(database_file(app))) as connection:
        connection.execute("DROP TABLE llm_cost_line_items")
        connection.execute("DROP TABLE llm_cost_calls")
        connection.execute("DROP TABLE llm_cost_rollups")
    response = app.test_client().get(f"/llm-costs{page}")
    assert response.status_code == 503
    assert "Table llm_cost_calls is missing." in read(response.text).text


@pytest.mark.parametrize("page", PAGES)
def test_a_database_that_cannot_be_read_is_an_error_without_details(
    app: Flask, page: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(app, [event()])
    assert app.test_client().get("/llm-costs/").status_code == 200
    app.extensions["llm_cost"].ledger.engine.dispose()
    database_file(app).write_bytes(b"this is no database" * 1_000)
    with caplog.at_level(logging.ERROR, logger="flask_llm_cost"):
        response = app.test_client().get(f"/llm-costs{page}")
    assert response.status_code == 500
    assert response.headers["Cache-Control"] == "no-store"
    found = read(response.text)
    assert found.one("h1").text == "The database did not answer"
    assert "flask llm-cost doctor" in found.text
    assert "SELECT" not in response.text
    assert all(record.exc_info is None for record in caplog.records)


@pytest.mark.parametrize("page", PAGES)
def test_without_a_ledger_there_is_a_page_that_says_so(new_app: AppMaker, page: str) -> None:
    for options in ({"LLM_COST_STORAGE": "log"}, {"storage": lambda event: None}):
        response = new_app(**options).test_client().get(f"/llm-costs{page}")
        assert response.status_code == 404
        assert "not kept in a database" in read(response.text).one("h1").text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            "from=yesterday",
            "from: 'yesterday' is not a date. Write it as YYYY-MM-DD, for example 2026-11-22.",
        ),
        ("from=2026-11-01", "to: give both from and to, or neither."),
        ("by=weather", "by: 'weather' is not one of model, provider."),
        ("full=weather", "full: 'weather' is not one of provider, model"),
        ("tz=Europe/Atlantis", "tz: an IANA time zone name such as 'Europe/Berlin' is needed"),
        ("bucket=minute", "bucket: 'minute' is not one of hour, day, week, month."),
        ("bucket=hour&from=2026-01-01&to=2026-03-31", "bucket: 90 days have too many hours for one chart"),
        ("failed=maybe", "failed: 'maybe' is not one of yes, no."),
        ("table=by-model", "format: is missing"),
        ("table=weather&format=csv", "table: 'weather' is not one of spend-data, by-provider, by-model"),
        ("table=by-model&format=xls", "format: 'xls' is not one of csv, json."),
        ("modell=x", "modell: there is no such parameter. Did you mean 'model'"),
        ("model=a&model=b", "model: is given more than once"),
    ],
)
def test_a_bad_filter_is_400_and_names_the_field_and_the_form(app: Flask, query: str, words: str) -> None:
    response = app.test_client().get(f"/llm-costs/?{query}")
    assert response.status_code == 400
    assert words in read(response.text).text


def test_a_query_string_over_16_kb_is_400(app: Flask) -> None:
    response = app.test_client().get("/llm-costs/?model=" + "m" * 16_400)
    assert response.status_code == 400
    assert "longer than 16 KB" in read(response.text).text


def test_a_page_that_does_not_get_its_turn_says_so(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "READ_WAIT", 0.05)  # half a minute
    ledger = runtime_of(app).ledger  # type: ignore[union-attr]
    assert ledger is not None
    with ExitStack() as others:
        for _ in range(READERS):
            others.enter_context(ledger.read_session())
        response = app.test_client().get("/llm-costs/")
    assert response.status_code == 503
    assert read(response.text).one("h1").text == "Too many pages are being read at once"
    assert app.test_client().get("/llm-costs/").status_code == 200
