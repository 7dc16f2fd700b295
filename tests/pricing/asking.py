"""Short ways to ask a catalog for a price."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_llm_cost.pricing import Catalog
from flask_llm_cost.pricing import Price
from flask_llm_cost.usage import Usage

#: A moment with no dated change in sight.
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
MILLION = 1_000_000


def catalog(entries: Mapping[str, Any], **more: Any) -> Catalog:
    return Catalog.load(overrides=entries, **more)


def ask(
    prices: Catalog | Mapping[str, Any],
    usage: Usage | None = None,
    *,
    provider: str = "acme",
    model: str = "m1",
    at: datetime = AT,
    **more: Any,
) -> Price:
    source = prices if isinstance(prices, Catalog) else catalog(prices)
    return source.price(provider=provider, model=model, usage=usage, at=at, **more)


def costs(price: Price) -> dict[str, Decimal | None]:
    return {item.component: item.cost for item in price.line_items}


def rates(price: Price) -> dict[str, Decimal | None]:
    return {item.component: item.rate for item in price.line_items}
