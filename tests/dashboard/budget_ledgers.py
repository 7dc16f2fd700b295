"""Apps with budgets of every kind, and calls under them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask import Flask

from flask_llm_cost import Budget
from flask_llm_cost.budgets import EstimateRequest
from flask_llm_cost.budgets.keeper import BudgetKeeper
from flask_llm_cost.events import Attribution
from flask_llm_cost.events import CallStart
from flask_llm_cost.events import OpenCall
from tests.dashboard.ledgers import bill
from tests.dashboard.ledgers import event
from tests.dashboard.ledgers import runtime_of
from tests.dashboard.ledgers import write

#: What a call of `spend` costs: 0.25 USD for a million tokens in.
QUARTER = Decimal("0.25")


def spend(calls: int = 1, **values: Any) -> list[Any]:
    """Calls of a quarter dollar each, of this moment."""
    return [event(**{**bill("0.25", "0", 1_000_000, 0), **values}) for _ in range(calls)]


def keeper_of(app: Flask) -> BudgetKeeper:
    keeper = runtime_of(app).budgets
    assert keeper is not None
    return keeper


@contextmanager
def under_way(app: Flask, amount: Decimal, **tags: str) -> Iterator[str]:
    """A call for which ``amount`` is set aside; its event's id is that of the call that ends it."""
    keeper = keeper_of(app)
    call = OpenCall(
        event_id=str(uuid.uuid4()),
        occurred_at=datetime.now(UTC),
        started_ns=0,
        service="support_desk",
        start=CallStart(provider="openai", operation="chat", requested_model="gpt-5-mini"),
        attribution=Attribution(tags=tags),
    )
    request = EstimateRequest(provider="openai", model="gpt-5-mini", operation="chat", body={}, cap=amount)
    with app.app_context():
        lease = keeper.admit(keeper.claims_before(call), request, call.event_id)
    assert lease is not None
    yield call.event_id
    del lease


def budgets() -> list[Budget]:
    """One of each kind."""
    return [
        Budget("all", "10", "month", tz="Europe/Berlin"),
        Budget(
            "hard",
            "5",
            "day",
            enforcement="reserve",
            estimate=lambda request: request.cap,
            tz="Europe/Berlin",
        ),
        Budget("tenants", "1", "month", per="tenant", exceptions={"acme": "2"}, tz="Europe/Berlin"),
        Budget("chat", "3", "total", where={"tag:feature": ["chat", "search"], "provider": "openai"}),
        Budget("single", "1", "call", enforcement="block"),
    ]


def fill(app: Flask) -> None:
    """A month with its calls, one of them refused, and one that cost more than was set aside."""
    now = datetime.now(UTC)
    write(app, spend(9, tags={"tenant": "acme", "feature": "chat"}, user_id="7"))
    write(app, spend(3, tags={"tenant": "globex", "feature": "search"}))
    write(app, spend(2))
    with under_way(app, Decimal("0.75")) as event_id:
        write(app, spend(event_id=event_id, tags={"tenant": "globex"}))
    with under_way(app, Decimal("0.20")) as event_id:
        write(app, spend(event_id=event_id))
    refused = {"status": "blocked", "error_type": "BudgetExceededError", "http_status": None}
    write(
        app,
        [
            replace(
                event(),
                **refused,
                total_cost=None,
                cost_status="free",
                line_items=(),
                occurred_at=now - timedelta(seconds=1),
                tags={"tenant": "acme"},
                user_id="7",
            )
        ],
    )
