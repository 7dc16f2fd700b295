"""The windows of budgets as people ask for them: all that are open, and what was told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection
from sqlalchemy import select

from .alerts import status_of
from .declaration import Budget
from .limits import Limits
from .matching import Claim
from .statements import ALERTS
from .statements import SUMS
from .statements import WINDOWS
from .status import BudgetStatus
from .windows import Window
from .windows import window_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlert:
    """An alert as the ledger keeps it. ``window_key`` is the window's start, or a single call's event."""

    budget: str
    scope: str
    threshold: Decimal
    limit: Decimal
    spent: Decimal
    window_key: str
    window_start: datetime
    window_end: datetime | None
    reached_at: datetime


def open_window(budget: Budget, now: datetime) -> Window:
    """The window that a call of now would be in."""
    return window_of(budget.period, now, budget.zone)


def open_windows(
    connection: Connection, budgets: Sequence[Budget], limits: Limits, now: datetime, most: int
) -> list[BudgetStatus]:
    """The open windows of these budgets, in their order; of each at most so many, the dearest first."""
    row = WINDOWS.columns
    found: list[BudgetStatus] = []
    for budget in budgets:
        window = open_window(budget, now)
        statement = (
            select(WINDOWS)
            .where(
                row.budget == budget.name,
                row.definition == budget.definition,
                row.window_start == window.start,
                row.is_counted,
            )
            .order_by(row.spent.desc(), row.scope)
            .limit(most)
        )
        rows = connection.execute(statement).all()
        claims = {each.scope: Claim(budget, each.scope, window) for each in rows}
        in_force = limits.of(connection, claims.values())
        for each in rows:
            claim = claims[each.scope]
            found.append(
                status_of(claim, in_force[claim.key], **{name: getattr(each, name) for name in SUMS})
            )
    return found


def latest_alerts(connection: Connection, most: int, budget: str | None = None) -> list[StoredAlert]:
    """What was told last, the newest first."""
    column = ALERTS.columns
    statement = select(ALERTS).order_by(column.reached_at.desc(), column.id.desc()).limit(most)
    if budget is not None:
        statement = statement.where(column.budget == budget)
    return [
        StoredAlert(
            budget=each.budget,
            scope=each.scope,
            threshold=each.threshold,
            limit=each.limit_amount,
            spent=each.spent,
            window_key=each.window_key,
            window_start=each.window_start,
            window_end=each.window_end,
            reached_at=each.reached_at,
        )
        for each in connection.execute(statement)
    ]
