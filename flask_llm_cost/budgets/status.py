"""Where a budget stands in a window: a value that errors, alerts, commands and pages are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ..money import EXACT
from .declaration import Enforcement
from .windows import Period

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """One budget, or one of its values, in one window. Amounts are in USD.

    :param scope: the value whose limit it is where the budget has one for each, else ``""``.
    :param spent: what its recorded calls have cost. Calls under way, and those that a process has not
        written to the ledger yet, are not in it.
    :param reserved: what is set aside for calls under way.
    :param unpriced: estimates of calls that were answered and did not tell what they used.
    :param excess: by how much calls have cost more than was set aside for them.
    :param estimated: what was set aside for calls that are settled; those have cost ``settled``.
    :param window_end: ``None`` where the window has no end.
    """

    budget: str
    scope: str
    period: Period
    enforcement: Enforcement
    limit: Decimal
    window_start: datetime
    window_end: datetime | None
    spent: Decimal = _ZERO
    reserved: Decimal = _ZERO
    unpriced: Decimal = _ZERO
    excess: Decimal = _ZERO
    estimated: Decimal = _ZERO
    settled: Decimal = _ZERO
    calls: int = 0
    blocked_calls: int = 0

    @property
    def used(self) -> Decimal:
        """What counts as spent: calls without a known cost at their estimates."""
        return self.spent + self.unpriced

    @property
    def remaining(self) -> Decimal:
        """What further calls may cost; 0 where nothing is left."""
        return max(_ZERO, self.limit - self.used - self.reserved)

    @property
    def is_reached(self) -> bool:
        """Whether the limit is reached or crossed."""
        return self.used >= self.limit

    @property
    def share(self) -> Decimal | None:
        """What part of the limit is used: 1 is all of it. ``None`` of a limit of nothing."""
        return EXACT.divide(self.used, self.limit) if self.limit else None
