"""The answer of pricing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..events import CostSource
from ..events import CostStatus
from ..events import PricedItem
from ..money import MONEY_LIMIT
from ..money import MONEY_SCALE
from ..money import to_scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a call costs, in USD.

    ``total_cost`` is the exact sum of the line items' costs; ``None`` where nothing could be priced, which is
    not zero. ``snapshot`` is the frozen reason: matched key and step, source, version, list rates, discount;
    ``None`` where no entry matched.
    """

    total_cost: Decimal | None
    line_items: tuple[PricedItem, ...] = ()
    cost_status: CostStatus = "unknown"
    cost_source: CostSource | None = None
    snapshot: dict[str, Any] | None = None


def caller_price(cost: Decimal) -> Price:
    """The price of a call whose exact charge the caller knows: one line item, no rate of ours."""
    amount = to_scale(cost, MONEY_SCALE)
    if not 0 <= amount < MONEY_LIMIT:
        raise ValueError(f"cost must be from 0 to {MONEY_LIMIT} USD, got {cost}")
    item = PricedItem(
        component="billed_cost",
        quantity=Decimal(1),
        unit="call",
        rate=amount,
        rate_basis="per_unit",
        cost=amount,
        cost_status="complete",
    )
    return Price(
        total_cost=amount,
        line_items=(item,),
        cost_status="complete",
        cost_source="caller",
        snapshot={"source": "caller", "cost": str(amount)},
    )
