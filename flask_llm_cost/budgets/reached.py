"""Which thresholds calls have reached, and their alerts in the ledger: each is stored, and told of, once."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy import select

from ..ledger.statements import insert_ignoring
from .alerts import Alert
from .alerts import alert_of
from .alerts import thresholds_reached
from .declaration import Budget
from .matching import Claim
from .matching import Facts
from .matching import WindowKey
from .matching import claims_of
from .statements import ALERTS
from .status import BudgetStatus

_KEY = ("budget", "definition", "scope", "window_key", "threshold")

Call = Mapping[str, Any]


def reached_by_windows(
    claims: Mapping[WindowKey, Claim], standing: Mapping[WindowKey, BudgetStatus]
) -> list[Alert]:
    """The thresholds at or below where these windows stand."""
    now = datetime.now(UTC)
    return [
        alert_of(claims[key], share, status.limit, status.used, now)
        for key, status in standing.items()
        for share in thresholds_reached(claims[key].budget, status.used, status.limit)
    ]


def single_calls(calls: Iterable[Call], budgets: Sequence[Budget]) -> list[tuple[Claim, Call]]:
    """The calls that were made, each with every limit of single calls that it is under."""
    single = [budget for budget in budgets if budget.period == "call"]
    return [
        (claim, call)
        for call in (calls if single else ())
        if call["status"] != "blocked"
        for claim in claims_of(single, Facts.of_row(call))
    ]


def reached_by_calls(calls: Iterable[tuple[Claim, Call]], limits: Mapping[WindowKey, Decimal]) -> list[Alert]:
    """The thresholds that calls have reached by themselves."""
    now, found = datetime.now(UTC), []
    for claim, call in calls:
        cost, limit = call["total_cost"] or Decimal(0), limits[claim.key]
        for share in thresholds_reached(claim.budget, cost, limit):
            found.append(replace(alert_of(claim, share, limit, cost, now), event_id=call["event_id"]))
    return found


def store_alerts(connection: Connection, alerts: Sequence[Alert]) -> list[Alert]:
    """Store alerts, and answer those that nobody has stored before: by the mark on their rows."""
    mark = str(uuid4())
    insert = insert_ignoring(ALERTS, _KEY, connection.dialect.name)
    ordered = sorted(alerts, key=lambda alert: alert.key)
    for alert in ordered:
        connection.execute(insert, _row(alert, mark))
    mine = select(*(ALERTS.columns[name] for name in _KEY)).where(
        ALERTS.columns.found_by == mark,
        ALERTS.columns.window_key.in_({alert.window_key for alert in alerts}),
        ALERTS.columns.budget.in_({alert.budget.name for alert in alerts}),
    )
    stored = {tuple(row) for row in connection.execute(mine)}
    return [alert for alert in ordered if alert.key in stored]


def _row(alert: Alert, mark: str) -> dict[str, Any]:
    return {
        **dict(zip(_KEY, alert.key, strict=True)),
        "limit_amount": alert.limit,
        "spent": alert.spent,
        "window_start": alert.window_start,
        "window_end": alert.window_end,
        "reached_at": alert.reached_at,
        "found_by": mark,
    }
