"""What becomes of one recorded call when it is priced again. Values only: nothing is read or written here."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from typing import Literal

from ..events import PricedItem
from ..pricing import Catalog
from ..pricing import Price
from .quantities import Item
from .quantities import used_by

Left = Literal["same", "told", "no_usage", "no_price", "would_lose", "not_rebuilt"]

#: Why a call is left as it is, in words.
LEFT: Mapping[Left, str] = {
    "same": "the price is the same",
    "told": "the provider or the caller told the cost",
    "no_usage": "no usage was told, so there is nothing to multiply",
    "no_price": "there is still no price",
    "would_lose": "a known cost would become unknown",
    "not_rebuilt": "the quantities cannot be told from the line items",
}

#: Sources of a cost that no price list changes.
TOLD = ("provider", "caller")
Call = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One call of the ledger with its line items, each as its row."""

    call: Call
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Repriced:
    """A call whose price changes. The new line items stand for the old ones, place by place."""

    recorded: Recorded
    price: Price


def judge(recorded: Recorded, catalog: Catalog, *, fill_only: bool) -> Repriced | Left:
    """Price a call at the prices of its own moment, and say what that changes.

    A cost that is known never becomes unknown.

    :param fill_only: change only calls of which a part gets a price that had none.
    """
    call, items = recorded.call, recorded.items
    if call["cost_source"] in TOLD:
        return "told"
    if not items:  # zero tokens have a cost, which is zero at any price
        return "no_usage" if call["total_cost"] is None else "same"
    price = _price(recorded, catalog)
    if price is None:
        return "not_rebuilt"
    pairs = list(zip(items, price.line_items, strict=True))
    totals = (call["total_cost"], price.total_cost)
    if any(before is not None and after is None for before, after in (totals, *_costs(pairs))):
        return "would_lose"
    gained = any(before is None and after is not None for before, after in _costs(pairs))
    if not gained and (fill_only or price.total_cost is None):
        return "no_price"
    if all((old["rate"], old["cost"]) == (new.rate, new.cost) for old, new in pairs):
        return "same"
    return Repriced(recorded, price)


def _costs(pairs: Sequence[tuple[Item, PricedItem]]) -> Iterator[tuple[Decimal | None, Decimal | None]]:
    return ((old["cost"], new.cost) for old, new in pairs)


def _price(recorded: Recorded, catalog: Catalog) -> Price | None:
    """The price, if its lines are those of the call in all but rate and cost."""
    call, items = recorded.call, recorded.items
    used = used_by(call["pricing_snapshot"], items)
    if used is None:
        return None
    price = catalog.price(
        provider=call["provider"],
        model=call["model"],
        usage=used.usage,
        iterations=used.iterations,
        pricing_mode=call["pricing_mode"],
        at=call["occurred_at"],
    )
    names = ("component", "quantity", "unit", "rate_basis")
    before = [tuple(item[name] for name in names) for item in items]
    after = [tuple(getattr(item, name) for name in names) for item in price.line_items]
    return price if before == after else None
