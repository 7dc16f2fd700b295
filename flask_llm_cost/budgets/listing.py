"""The windows of budgets as people ask for them: all that are open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy import select

from .alerts import status_of
from .declaration import Budget
from .limits import Limits
from .matching import Claim
from .statements import SUMS
from .statements import WINDOWS
from .status import BudgetStatus
from .windows import Window
from .windows import window_of


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
