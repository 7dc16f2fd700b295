"""Data quality: what is missing from the numbers, and the command that mends it."""

from __future__ import annotations

import re
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from flask import Flask

from flask_llm_cost.runtime import resolve
from flask_llm_cost.runtime import untracked
from tests.dashboard.html_pages import read
from tests.dashboard.ledgers import UNPRICED
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import runtime_of
from tests.dashboard.ledgers import write

NOW = datetime.now(UTC)


def text(app: Flask, address: str = "/quality") -> str:
    response = app.test_client().get(f"/llm-costs{address}")
    assert response.status_code == 200
    return read(re.sub("</d[td]>", r"\g<0> ", response.text)).text


def test_before_the_first_call_it_says_so(app: Flask) -> None:
    assert "No calls yet" in text(app)


def test_when_nothing_is_missing_it_says_so(app: Flask) -> None:
    write(app, [event()])
    shown = text(app)
    assert "Every call that may have cost something has its full cost" in shown
    assert "Models without a complete price" not in shown
    assert "No event was refused by the database." in shown
    assert "Waiting to be written 0 calls" in shown


def test_each_kind_is_counted_and_leads_to_its_calls(app: Flask) -> None:
    write(
        app,
        [
            event(**UNPRICED, model="new"),
            event(cost_status="partial"),
            event(
                **UNPRICED, usage_source="unknown", input_tokens=None, output_tokens=None, total_tokens=None
            ),
            event(usage_source="estimated"),
            event(total_tokens=1),
        ],
    )
    page = app.test_client().get("/llm-costs/quality").text
    shown = text(app)
    assert "Totals are too low by what these calls cost" in shown
    for label in ("without a price", "priced in part", "without usage", "estimated", "with another total"):
        assert f"Calls {label} 1 20.0" in shown
    assert 'href="/llm-costs/calls?price=partial"' in page
    assert 'href="/llm-costs/calls?price=unknown&amp;usage=unknown"' in page


def test_models_without_a_price_come_with_the_command_that_mends_them(app: Flask) -> None:
    write(app, [event(**UNPRICED, model="it's new", occurred_at=NOW - timedelta(hours=n)) for n in range(2)])
    shown = text(app)
    assert "Provider Calls without a price Calls priced in part Input tokens" in shown
    assert "it's new openai 2 0 2,400 680" in shown
    assert """flask llm-cost prices explain --provider openai --model 'it'"'"'s new'""" in shown
    assert "flask llm-cost backfill --dry-run" in shown


def test_totals_that_disagree_are_listed_with_both_numbers(app: Flask) -> None:
    write(app, [event(total_tokens=1_000)])
    assert "gpt-5-mini 1,540 1,000 \N{MINUS SIGN}540" in text(app)


def test_a_period_without_calls_says_so(app: Flask) -> None:
    write(app, [event(occurred_at=NOW - timedelta(days=20))])
    assert "No calls match" in text(app, "/quality?period=today")


def test_what_was_refused_or_lost_is_shown(app: Flask) -> None:
    write(app, [event()])
    ledger = runtime_of(app).ledger
    assert ledger is not None
    ledger.write_or_quarantine([event(input_tokens=-1)])
    runtime_of(app).counters.add("dropped", 3)
    with Flask("another").app_context():
        assert resolve() is None, "this app has no tracker"
    apart = untracked["no_app"] + untracked["untracked_app"]
    shown = text(app)
    assert "Dropped in this process 3 calls" in shown
    assert f"Made for no tracked app in this process {apart} call" in shown
    assert "Events that could not be stored and are in no total: 1" in shown
