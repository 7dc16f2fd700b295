"""The answer of pricing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..events import CostSource
from ..events import CostStatus
from ..events import PricedItem


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
