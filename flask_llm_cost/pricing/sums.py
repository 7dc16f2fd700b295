"""What sums of tokens cost: many calls at once, where only their sums are at hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..components import RateBasis
from ..money import EXACT
from ..money import MONEY_SCALE
from ..money import to_scale
from ..usage import Usage
from .catalog import Catalog
from .modes import mode_key


def thresholds(catalog: Catalog, provider: str, model: str, at: datetime) -> tuple[int, ...]:
    """The sizes of input from which on a call of this model has other rates; sums must not mix them."""
    match = catalog.find(provider, model)
    card = match.entry.card(mode_key(None), at) if match is not None and not match.entry.free else None
    return card.thresholds if card is not None else ()


def price_sums(
    catalog: Catalog,
    *,
    provider: str,
    model: str,
    tokens: Mapping[str, int],
    calls: int,
    at: datetime,
) -> Decimal | None:
    """What ``calls`` calls that used these tokens together cost at a model's standard rates, in USD.

    The rates are those of their average call, which is of the same size as each of them where none of the
    model's :func:`thresholds` lies between them. ``None`` where a rate is not known.

    :param tokens: sums by ledger column.
    """
    used = {name: count for name, count in tokens.items() if count and name != "reasoning_tokens"}
    if not used:
        return Decimal(0)
    counts: dict[str, Any] = {name: max(1, count // max(calls, 1)) for name, count in used.items()}
    average = Usage(**counts)
    price = catalog.price(provider=provider, model=model, usage=average, at=at)
    if price.cost_status not in ("complete", "free"):
        return None
    total = Decimal(0)
    for item in price.line_items:
        quantity = used.get(f"{item.component}_tokens")
        if quantity is None or item.rate is None:
            return None
        share = EXACT.divide(item.rate, Decimal(RateBasis(item.rate_basis).divisor))
        total = EXACT.add(total, EXACT.multiply(Decimal(quantity), share))
    return to_scale(total, MONEY_SCALE)
