"""Whatever is asked, every table of every page adds up to the total of its filter, to the last digit."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask
from hypothesis import Phase
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from flask_llm_cost.events import Event
from flask_llm_cost.ledger import Base
from tests.analytics.ledgers import NOW
from tests.analytics.ledgers import START
from tests.analytics.ledgers import call
from tests.analytics.ledgers import ledgers
from tests.dashboard.ledgers import close
from tests.dashboard.ledgers import make_app
from tests.dashboard.ledgers import runtime_of
from tests.dashboard.ledgers import write

#: Pages with breakdowns, and which of their tables are splits of all calls.
SPLITS = (
    ("/", ("by-provider", "by-model", "by-user", "by-endpoint")),
    ("/models", ("by-model", "by-provider")),
    ("/users", ("by-user",)),
    ("/endpoints", ("by-endpoint", "by-request_type", "by-operation")),
    ("/tags/feature", ("by-tag.feature",)),
    ("/insight/what-if?as=openai/gpt-5", ("what-if",)),
)
FILTERS = (
    "",
    "provider=openai",
    "model=50%25&status=ok",
    "failed=yes",
    "retried=no&stream=yes",
    "tag.feature=50%25",
    "without=user,tag.tenant",
    "price=complete",
    "tz=America%2FSt_Johns",
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    made = make_app(tmp_path_factory.mktemp("sums"))
    yield made
    close(made)


def fill(app: Flask, events: list[Event]) -> None:
    ledger = runtime_of(app).ledger
    assert ledger is not None
    with app.app_context(), ledger.engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
    write(app, events)


def table(app: Flask, page: str, name: str, query: str) -> dict[str, object]:
    """One table as JSON, in a range that cuts off the first and the last hours of the ledger."""
    address = f"/llm-costs{page}{'&' if '?' in page else '?'}from=2026-10-24&to=2026-10-27"
    response = app.test_client().get(
        f"{address}&table={name}&format=json{'&' if query else ''}{query}", follow_redirects=True
    )
    assert response.status_code == 200, response.text
    found: dict[str, object] = json.loads(response.text)
    return found


def cost(row: dict[str, object], name: str) -> Decimal:
    return Decimal(str(row[name] or 0))


def totals(app: Flask, query: str) -> tuple[int, Decimal]:
    """Calls and costs of the same question, added up in Python from the calls themselves."""
    address = f"/llm-costs/calls.json?from=2026-10-24&to=2026-10-27{'&' if query else ''}{query}"
    calls = json.loads(app.test_client().get(address, follow_redirects=True).text)["calls"]
    return len(calls), sum((Decimal(call["total_cost"] or 0) for call in calls), Decimal(0))


@settings(max_examples=10, deadline=None, phases=(Phase.generate,))
@given(events=ledgers(max_size=20), query=st.sampled_from(FILTERS))
def test_every_split_adds_up_to_the_calls_behind_it(app: Flask, events: list[Event], query: str) -> None:
    # One call outside the range, which must be in no table.
    fill(app, [*events, call(NOW + timedelta(days=3), total_cost=Decimal(7))])
    calls, spent = totals(app, query)
    for page, names in SPLITS:
        for name in names:
            assert_adds_up(table(app, page, name, query), calls, spent)


def assert_adds_up(found: dict[str, object], calls: int, spent: Decimal) -> None:
    rows = found["rows"]
    total = found["total"]
    assert isinstance(rows, list)
    assert isinstance(total, dict)
    money = "recorded_usd" if "recorded_usd" in total else "spend_usd"
    assert sum(row["calls"] for row in rows) == calls == total["calls"]
    assert sum((cost(row, money) for row in rows), Decimal(0)) == spent == cost(total, money)


@settings(max_examples=10, deadline=None, phases=(Phase.generate,))
@given(
    events=ledgers(max_size=20),
    query=st.sampled_from(FILTERS),
    pair=st.sampled_from((("model", "provider"), ("user", "tag.feature"), ("tag.tenant", "tag.feature"))),
)
def test_both_sides_of_two_dimensions_add_up(
    app: Flask, events: list[Event], query: str, pair: tuple[str, str]
) -> None:
    fill(app, events)
    calls, spent = totals(app, query)
    for show, expected in (("spend", spent), ("calls", Decimal(calls))):
        found = table(app, f"/crosstab?rows={pair[0]}&columns={pair[1]}&show={show}", "crosstab", query)
        rows, total, columns = found["rows"], found["total"], found["columns"]
        assert isinstance(rows, list)
        assert isinstance(columns, list)
        inner = columns[1:-1]
        assert sum((cost(row, columns[-1]) for row in rows), Decimal(0)) == expected
        for row in rows:
            assert sum((cost(row, name) for name in inner), Decimal(0)) == cost(row, columns[-1])
        for name in inner:
            assert isinstance(total, dict)
            assert sum((cost(row, name) for row in rows), Decimal(0)) == cost(total, name)


@settings(max_examples=10, deadline=None, phases=(Phase.generate,))
@given(
    events=ledgers(max_size=20),
    query=st.sampled_from(FILTERS),
    bucket=st.sampled_from(("hour", "day", "week", "month")),
)
def test_the_bars_of_every_chart_add_up(app: Flask, events: list[Event], query: str, bucket: str) -> None:
    fill(app, events)
    _, spent = totals(app, query)
    for page in ("/", "/users", "/tags/feature"):
        found = table(app, page, "spend-data", f"{query}{'&' if query else ''}bucket={bucket}")
        rows, columns = found["rows"], found["columns"]
        assert isinstance(rows, list)
        assert isinstance(columns, list)
        parts = columns[1:-2]
        assert sum((cost(row, "total_usd") for row in rows), Decimal(0)) == spent
        for row in rows:
            assert sum((cost(row, name) for name in parts), Decimal(0)) == cost(row, "total_usd")


def test_csv_and_json_say_the_same_with_their_days_and_zone(app: Flask) -> None:
    odd = ("=SUM(A1)", "@x", "+1", "-1", "a,b", 'a"b', "two\nlines", "ärger")
    fill(app, [call(START + timedelta(days=1), user_id=name, total_cost=Decimal("1E-12")) for name in odd])
    query = "from=2026-10-24&to=2026-10-27&tz=Asia%2FKolkata&table=by-user"
    client = app.test_client()
    response = client.get(f"/llm-costs/users?{query}&format=csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    found = json.loads(client.get(f"/llm-costs/users?{query}&format=json").text)
    assert {row["user"] for row in found["rows"]} == {name.strip() for name in odd}
    assert {row["user"] for row in rows} == {"'=SUM(A1)", "'@x", "'+1", "'-1", *odd[4:]}
    assert {row["spend_usd"] for row in rows} == {"0.000000000001"}
    assert {(row["from"], row["to"], row["time_zone"]) for row in rows} == {
        ("2026-10-24", "2026-10-27", "Asia/Kolkata")
    }
    assert (found["time_zone"], found["from"], found["to"]) == ("Asia/Kolkata", "2026-10-24", "2026-10-27")
    assert response.headers["Content-Disposition"] == (
        "attachment; filename=llm_costs_by-user_2026-10-24_2026-10-27_Asia-Kolkata.csv"
    )
    assert response.headers["Cache-Control"] == "no-store"


def test_an_export_has_every_value_where_the_page_sums_up_the_rest(app: Flask) -> None:
    fill(
        app,
        [
            call(START + timedelta(days=1), model=f"m{number:03}", total_cost=Decimal(1))
            for number in range(70)
        ],
    )
    found = table(app, "/models", "by-model", "")
    assert isinstance(found["rows"], list)
    assert len(found["rows"]) == 70
    assert_adds_up(found, 70, Decimal(70))
