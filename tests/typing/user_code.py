"""Code as users write it. It is not run: mypy --strict checks that the public names carry their types."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from datetime import date
from datetime import datetime
from decimal import Decimal
from typing import assert_type

import httpx
import requests
from flask import Flask
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select

from flask_llm_cost import CallTag
from flask_llm_cost import LineItem
from flask_llm_cost import LlmCall
from flask_llm_cost import LLMCostError
from flask_llm_cost import LLMCostTracker
from flask_llm_cost import Usage
from flask_llm_cost import call_recorded
from flask_llm_cost import copy_context
from flask_llm_cost import tagged
from flask_llm_cost import track
from flask_llm_cost import with_tags
from flask_llm_cost.events import Event

db = SQLAlchemy()
tracker = LLMCostTracker(default_tags={"region": "eu"}, user_loader=lambda: 42)


def may_see() -> bool | ResponseReturnValue:
    return "not you", 403


def create_app() -> Flask:
    app = Flask(__name__)
    db.init_app(app)
    tracker.init_app(app, db, authorize=may_see, default=True)
    return app


def one_line() -> None:
    LLMCostTracker(Flask(__name__), db)
    LLMCostTracker(Flask(__name__), storage=print)


@tagged(feature="digest")
def digest(pages: int) -> str:
    return "x" * pages


@tagged(feature="stream")
def pieces() -> Iterator[str]:
    yield "a"


def ask() -> None:
    assert_type(digest(3), str)
    assert_type(next(pieces()), str)
    assert_type(copy_context(digest)(3), str)
    with with_tags(user=object(), tenant="acme", attempt=2):
        event = track(provider="openai", model="gpt-5", usage=Usage(input_tokens=1))
    assert_type(event, Event | None)


def read() -> None:
    month = tracker.calls.this_month().where(provider="openai").tagged(feature="chat").for_user(42)
    assert_type(month.total_cost(), Decimal | None)
    assert_type(month.count(), int)
    for found in db.session.scalars(month.statement.limit(3)):
        assert_type(found, LlmCall)
    for row in month.cost_by("tag:feature").rows:
        assert_type(row.value, str | None)
        assert_type(row.total_cost, Decimal | None)
    assert_type(month.for_model("gpt-5").with_latency().streaming().count(), int)
    for pair in month.cost_by_both("user_id", "model").rows:
        assert_type(pair.values, tuple[str | None, str | None])
    for day in month.daily():
        assert_type(day.day, date)
        assert_type(day.total_cost, Decimal | None)
    for line in tracker.report(date(2026, 11, 1), group_by=["day", "user"]).by("user").rows:
        assert_type(line.previous.total_cost if line.previous else None, Decimal | None)
    for call in db.session.scalars(select(LlmCall).where(LlmCall.total_cost > 1)):
        assert_type(call.occurred_at, datetime)
        assert_type(call.line_items, list[LineItem])
        assert_type(call.call_tags, list[CallTag])


def price() -> Decimal | None:
    found = tracker.price(
        provider="openai", model="gpt-5", usage=Usage(output_tokens=9), at=datetime(2026, 11, 1, tzinfo=UTC)
    )
    return found.total_cost


def clients() -> requests.Session:
    httpx.Client(transport=tracker.http_transport())
    httpx.AsyncClient(transport=tracker.http_transport(httpx.AsyncHTTPTransport(), tags={"feature": "chat"}))
    session = requests.Session()
    session.mount("https://", tracker.requests_adapter(tags=lambda: {"tenant": 7}))
    return session


class Lector:
    def generate(self, prompt: str) -> str:
        return prompt.upper()


def foreign() -> Lector:
    client = tracker.wrap(
        Lector(), "generate", provider="acme", model="lector-2", usage=lambda answer: {"prompt_tokens": 3}
    )
    assert_type(client, Lector)
    assert_type(tracker.wrap(Lector, "generate", provider="acme"), type[Lector])
    return client


def on_call(app: Flask, event: Event) -> None:
    print(app.name, event.model)


def connect() -> None:
    call_recorded.connect(on_call)
    try:
        tracker.flush(timeout=1.5)
    except LLMCostError:
        tracker.shutdown()
