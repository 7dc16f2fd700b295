"""Pages read so many calls one by one and no more; beyond that they say so, and exports have all."""

from __future__ import annotations

import re
from datetime import UTC
from datetime import datetime
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_llm_cost.dashboard import framing
from flask_llm_cost.dashboard.pages import calls
from tests.dashboard.conftest import AppMaker
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import write

#: Streamed calls of two users, with a tag of which no sums are kept.
CALLS = 6
OF_ONE_USER = 3
SAID_OF_A_PAGE = "Too many calls for a page"
SAID_OF_A_TABLE = framing.TOO_MANY


@pytest.fixture
def client(new_app: AppMaker) -> FlaskClient:
    app: Flask = new_app(LLM_COST_ROLLUP_TAGS=("tenant",))
    now = datetime.now(UTC)
    write(
        app,
        (
            event(
                occurred_at=now - timedelta(minutes=number),
                stream=True,
                user_id=str(number % 2),
                tags={"feature": "search", "tenant": "acme"},
            )
            for number in range(CALLS)
        ),
    )
    return app.test_client()


def shown(client: FlaskClient, address: str) -> str:
    answer = client.get(f"/llm-costs{address}")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def allow(monkeypatch: pytest.MonkeyPatch, most_calls: int, most_filtered: int = CALLS) -> None:
    """Pages read so many calls, and of those that are found by a filter so many."""
    for module in (framing, calls):
        monkeypatch.setattr(module, "MOST_CALLS", most_calls)
    monkeypatch.setattr(framing, "MOST_FILTERED", most_filtered)


@pytest.mark.parametrize(
    "address",
    ["/?stream=yes", "/insight?stream=yes", "/tags/feature", "/calls?sort=cost", "/crosstab?stream=yes"],
)
def test_a_page_that_reads_more_calls_than_its_bound_says_so(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """With as many calls as it may read it shows them."""
    allow(monkeypatch, CALLS)
    assert SAID_OF_A_PAGE not in shown(client, address)
    allow(monkeypatch, CALLS - 1)
    page = shown(client, address)
    assert SAID_OF_A_PAGE in page
    assert re.search(f"[Mm]ore than {CALLS - 1} calls", page)


@pytest.mark.parametrize(
    "address", ["/", "/tags/tenant", "/users", "/models", "/endpoints", "/calls", "/quality"]
)
def test_pages_of_sums_and_of_an_index_have_no_bound(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    allow(monkeypatch, 1, 1)
    assert SAID_OF_A_PAGE not in shown(client, address)


def test_a_table_without_sums_is_left_out_of_its_page(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the overview's tables the one by a tag that is not declared."""
    assert SAID_OF_A_TABLE not in shown(client, "/")
    allow(monkeypatch, CALLS - 1)
    assert SAID_OF_A_TABLE not in shown(client, "/"), "a tag's own calls have a bound of their own"
    allow(monkeypatch, CALLS - 1, CALLS - 1)
    page = shown(client, "/")
    assert page.count(SAID_OF_A_TABLE) == 1
    # So many were counted, and the page does not say that these are all.
    assert re.search(rf"≥\s*</span>{CALLS - 1}<", shown(client, "/tags"))


def test_calls_that_a_filter_leaves_have_a_bound_of_their_own(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's calls are among the sums of users, but not by model."""
    allow(monkeypatch, CALLS, OF_ONE_USER)
    assert SAID_OF_A_TABLE not in shown(client, "/?user=1")
    allow(monkeypatch, CALLS, OF_ONE_USER - 1)
    page = shown(client, "/?user=1")
    assert SAID_OF_A_TABLE in page
    assert SAID_OF_A_PAGE not in page


def test_percentiles_of_calls_that_no_index_finds_are_left_out(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an operation there are sums, and so an average, but its calls are found among all others only."""
    allow(monkeypatch, CALLS)
    assert "not read of so many calls" not in shown(client, "/?operation=chat")
    allow(monkeypatch, CALLS - 1)
    assert "not read of so many calls" in shown(client, "/?operation=chat")


def test_an_export_has_what_its_page_left_out(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, 1, 1)
    lines = shown(client, "/?stream=yes&table=by-tag.feature&format=csv").splitlines()
    assert any(line.startswith(f"search,{CALLS},") for line in lines), lines
