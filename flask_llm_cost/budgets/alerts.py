"""Thresholds: which a window has reached, and what is told of one."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from decimal import Decimal

from ..money import EXACT
from .declaration import Budget
from .matching import Claim
from .matching import WindowKey
from .status import BudgetStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A threshold of a budget that was reached, told once to receivers of the signals.

    :param scope: the value whose limit it is where the budget has one for each, else ``""``.
    :param threshold: a share of the limit: ``Decimal("0.8")`` is 80 percent of it.
    :param spent: what the window had cost then, in USD.
    :param event_id: of the call, where the limit is one of single calls.
    """

    budget: Budget
    scope: str
    threshold: Decimal
    limit: Decimal
    spent: Decimal
    window_start: datetime
    window_end: datetime | None
    reached_at: datetime
    event_id: str | None = None

    @property
    def is_exceeded(self) -> bool:
        """Whether the limit itself is reached, and not just a part of it."""
        return self.threshold >= 1

    @property
    def window_key(self) -> str:
        """What it is told once for."""
        return self.event_id or self.window_start.isoformat()

    @property
    def key(self) -> tuple[str, str, str, str, Decimal]:
        """What no other alert has."""
        budget = self.budget
        return (budget.name, budget.definition, self.scope, self.window_key, self.threshold)


@dataclass(frozen=True, slots=True)
class Counted:
    """What came of calls that were counted.

    :param alerts: the thresholds that nobody has told of yet. :param standing: of the windows that changed.
    """

    alerts: Sequence[Alert] = ()
    standing: Mapping[WindowKey, BudgetStatus] = field(default_factory=dict)


def thresholds_reached(budget: Budget, used: Decimal, limit: Decimal) -> tuple[Decimal, ...]:
    """The thresholds that ``used`` has reached; of a single call's only the limit, and what is above it."""
    least = Decimal(1) if budget.period == "call" else Decimal(0)
    return tuple(
        share for share in budget.thresholds if share >= least and used >= EXACT.multiply(share, limit)
    )


def alert_of(claim: Claim, threshold: Decimal, limit: Decimal, used: Decimal, now: datetime) -> Alert:
    return Alert(
        budget=claim.budget,
        scope=claim.scope,
        threshold=threshold,
        limit=limit,
        spent=used,
        window_start=claim.window.start,
        window_end=claim.window.end,
        reached_at=now,
    )


def status_of(claim: Claim, limit: Decimal, **amounts: Decimal | int) -> BudgetStatus:
    """Where a claim's window stands, by these amounts."""
    return BudgetStatus(
        budget=claim.budget.name,
        scope=claim.scope,
        period=claim.budget.period,
        enforcement=claim.budget.enforcement,
        limit=limit,
        window_start=claim.window.start,
        window_end=claim.window.end,
        **amounts,  # type: ignore[arg-type]
    )
