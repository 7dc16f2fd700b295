"""Calls as the recorder prices and stores them, and what must hold in a ledger whatever was done to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func
from sqlalchemy import select

from flask_llm_cost.events import Event
from flask_llm_cost.events import Iteration
from flask_llm_cost.ledger import CallTag
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LineItem
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import rollup_drift
from flask_llm_cost.maintenance import Repricing
from flask_llm_cost.maintenance import Selection
from flask_llm_cost.pricing import Catalog
from flask_llm_cost.usage import TOKEN_FIELDS
from flask_llm_cost.usage import Usage
from tests.made_events import NOON
from tests.made_events import event

_CATALOGS: dict[str, Catalog] = {}
Prices = Mapping[str, Mapping[str, Any]]


def catalog(prices: Prices, **options: Any) -> Catalog:
    """The prices of an app whose overrides are ``prices``. The models' names are in no bundled table."""
    key = repr((prices, options))
    if key not in _CATALOGS:
        _CATALOGS[key] = Catalog.load(overrides=prices, **options)
    return _CATALOGS[key]


def priced(
    prices: Prices,
    model: str,
    usage: Usage | None = None,
    *,
    at: datetime = NOON,
    provider: str = "house",
    iterations: tuple[Iteration, ...] = (),
    **values: Any,
) -> Event:
    """A call of 1,000 tokens in and 100 out, if nothing else is said, at the prices given."""
    told = usage or Usage(input_tokens=1_000, output_tokens=100)
    price = catalog(prices).price(
        provider=provider,
        model=model,
        usage=told,
        iterations=iterations,
        pricing_mode=values.get("pricing_mode"),
        at=at,
        provider_fields={"input": "usage.prompt_tokens"},
    )
    counts = {name: getattr(told, name) for name in TOKEN_FIELDS if name in Event.__dataclass_fields__}
    made = event(occurred_at=at, provider=provider, model=model, **{**values, **counts})
    return replace(
        made,
        total_cost=price.total_cost,
        cost_status=price.cost_status,
        cost_source=price.cost_source,
        pricing_snapshot=price.snapshot,
        line_items=price.line_items,
    )


def repricing(prices: Prices, command: Any = "reprice", **values: Any) -> Repricing:
    """A run with these prices, over all calls if nothing else is said."""
    selection = Selection(unpriced=command == "backfill", **values.pop("selection", {}))
    made = catalog(prices, **values.pop("options", {}))
    return Repricing(command=command, selection=selection, catalog=made, changed_by="tester", **values)


def only_call(ledger: Ledger) -> LlmCall:
    """The one call there is, with everything that hangs on it."""
    with ledger.session() as session:
        call = session.scalars(select(LlmCall)).one()
        assert call.line_items is not None
        assert call.call_tags is not None
        assert call.repricings is not None
        return call


def assert_consistent(ledger: Ledger) -> None:
    """Calls, line items, tags and rollups tell the same, to the last digit."""
    with ledger.session() as session:
        assert rollup_drift(session) == []
    with ledger.session() as session:
        lines = select(LineItem.call_id, func.sum(LineItem.cost).label("cost")).group_by(LineItem.call_id)
        summed = lines.subquery()
        rows = session.execute(
            select(LlmCall.id, LlmCall.total_cost, summed.c.cost).outerjoin(
                summed, summed.c.call_id == LlmCall.id
            )
        ).all()
        assert [row for row in rows if row[1] != row[2] and row[1]] == []
        tags = session.execute(
            select(LlmCall.total_cost, CallTag.total_cost).join(CallTag, CallTag.call_id == LlmCall.id)
        ).all()
        assert [row for row in tags if row[0] != row[1]] == []


def total(ledger: Ledger) -> Decimal | None:
    """What all calls cost together."""
    with ledger.session() as session:
        return session.scalar(select(func.sum(LlmCall.total_cost)))
