"""Events as the recorder makes them, for tests that start at the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from flask_llm_cost.events import Event
from flask_llm_cost.events import PricedItem

NOON = datetime(2026, 3, 14, 12, 30, 15, 123456, tzinfo=UTC)


def item(component: str = "input", cost: str = "0.000001", **values: Any) -> PricedItem:
    known: dict[str, Any] = {
        "component": component,
        "quantity": Decimal(1),
        "unit": "token",
        "rate": Decimal(1),
        "rate_basis": "per_million",
        "cost": Decimal(cost),
        "cost_status": "complete",
    }
    return PricedItem(**{**known, **values})


def event(*, tags: Mapping[str, str] | None = None, cost: str | None = "0.000125", **values: Any) -> Event:
    """A plain answered call that cost ``cost`` US dollars, made of one line item."""
    priced = {} if cost is None else {"total_cost": Decimal(cost), "cost_status": "complete"}
    known: dict[str, Any] = {
        "event_id": str(uuid4()),
        "occurred_at": NOON,
        "service": "shop",
        "provider": "openai",
        "model": "gpt-5-mini",
        "operation": "chat",
        "usage_source": "response",
        "input_tokens": 100,
        "output_tokens": 50,
        "latency_ms": 420,
        "tags": tags or {},
        "line_items": () if cost is None else (item(cost=cost),),
        **priced,
    }
    return Event(**{**known, **values})
