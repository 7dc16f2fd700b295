"""How a cost is shown that may be known, in part known, free or unknown."""

from __future__ import annotations

from decimal import Decimal

from .formats import NOT_KNOWN
from .formats import Shown
from .formats import money

#: Calls the provider refused: they have no cost, and none is missing.
FREE = Shown("free", "refused calls are not billed")


def shown_cost(cost: Decimal | None, *, unknown_calls: int) -> Shown:
    """A cost, or "unknown", or "free" where no call had a cost and none is missing."""
    if cost is None:
        return NOT_KNOWN if unknown_calls else FREE
    return money(cost)
