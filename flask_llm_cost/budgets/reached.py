"""Alerts in the ledger's database: each threshold of a window is stored, and so told of, once."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import and_
from sqlalchemy import or_
from sqlalchemy import select

from ..ledger.statements import insert_ignoring
from .alerts import Alert
from .alerts import alert_of
from .alerts import thresholds_reached
from .declaration import Budget
from .limits import Limits
from .matching import Claim
from .matching import Facts
from .matching import WindowKey
from .matching import claims_of
from .statements import ALERTS
from .status import BudgetStatus

_KEY = ("budget", "definition", "scope", "window_key", "threshold")


def store_alerts(
    connection: Connection,
    claims: Mapping[WindowKey, Claim],
    standing: Mapping[WindowKey, BudgetStatus],
    calls: Sequence[Mapping[str, Any]],
    budgets: Sequence[Budget],
    limits: Limits,
) -> list[Alert]:
    """Store the thresholds that these windows and calls have reached, and answer those that are new.

    The windows' rows are locked, so nobody else stores one of them meanwhile.
    """
    reached = [*_of_windows(claims, standing), *_of_calls(connection, calls, budgets, limits)]
    known = _known(connection, reached)
    fresh = [alert for alert in reached if _key(alert) not in known]
    if fresh:
        insert = insert_ignoring(ALERTS, _KEY, connection.dialect.name)
        connection.execute(insert, [_row(alert) for alert in fresh])
    return fresh


def _of_windows(claims: Mapping[WindowKey, Claim], standing: Mapping[WindowKey, BudgetStatus]) -> list[Alert]:
    now = datetime.now(UTC)
    return [
        alert_of(claims[key], share, status.limit, status.used, now)
        for key, status in standing.items()
        for share in thresholds_reached(claims[key].budget, status.used, status.limit)
    ]


def _of_calls(
    connection: Connection, calls: Iterable[Mapping[str, Any]], budgets: Sequence[Budget], limits: Limits
) -> list[Alert]:
    single = [budget for budget in budgets if budget.period == "call"]
    found: list[Alert] = []
    for call in calls if single else ():
        claims = list(claims_of(single, Facts.of_row(call)))
        in_force = limits.of(connection, claims)
        cost, now = call["total_cost"] or Decimal(0), datetime.now(UTC)
        for claim in claims if call["status"] != "blocked" else ():
            for share in thresholds_reached(claim.budget, cost, in_force[claim.key]):
                alert = alert_of(claim, share, in_force[claim.key], cost, now)
                found.append(replace(alert, event_id=call["event_id"]))
    return found


def _known(connection: Connection, alerts: Sequence[Alert]) -> set[tuple[object, ...]]:
    if not alerts:
        return set()
    column = ALERTS.columns
    windows = {
        (alert.budget.name, alert.budget.definition, alert.scope, alert.window_key) for alert in alerts
    }
    which = or_(
        *(
            and_(
                column.budget == budget,
                column.definition == definition,
                column.scope == scope,
                column.window_key == key,
            )
            for budget, definition, scope, key in sorted(windows)
        )
    )
    return {tuple(row) for row in connection.execute(select(*(column[name] for name in _KEY)).where(which))}


def _key(alert: Alert) -> tuple[object, ...]:
    return (alert.budget.name, alert.budget.definition, alert.scope, alert.window_key, alert.threshold)


def _row(alert: Alert) -> dict[str, Any]:
    return {
        **dict(zip(_KEY, _key(alert), strict=True)),
        "limit_amount": alert.limit,
        "spent": alert.spent,
        "window_start": alert.window_start,
        "window_end": alert.window_end,
        "reached_at": alert.reached_at,
    }
