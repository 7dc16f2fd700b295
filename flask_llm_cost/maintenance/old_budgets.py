"""Windows of budgets that are over, what was left set aside in them, and the alerts told of them."""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial

from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import Table
from sqlalchemy import and_
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import not_
from sqlalchemy import select

from ..budgets.clock import now_ms
from ..ledger import Base
from ..ledger import Ledger
from .pace import LOCK_WAIT
from .pace import PAUSE

_WINDOWS = Base.metadata.tables["llm_cost_budgets"]
_RESERVATIONS = Base.metadata.tables["llm_cost_reservations"]
_ALERTS = Base.metadata.tables["llm_cost_alerts"]
_DELIVERIES = Base.metadata.tables["llm_cost_alert_deliveries"]
#: Ids in one ``IN (...)``: below every database's limit on parameters.
_AT_ONCE = 500


def count_old(connection: Connection, horizon: datetime) -> tuple[int, int]:
    """How many windows and alerts are over by then."""
    windows, alerts = (
        connection.execute(
            select(func.count()).select_from(table).where(_is_over(table, horizon))
        ).scalar_one()
        for table in (_WINDOWS, _ALERTS)
    )
    return windows, alerts


def delete_old(ledger: Ledger, horizon: datetime, size: int) -> tuple[int, int]:
    """Delete them, at most ``size`` in one transaction; how many they were.

    No call of their time can come any more: older ones than the horizon are quarantined.

    :raises LedgerUnavailable: the database cannot be used now; what was deleted so far stays deleted.
    """
    windows = _in_batches(ledger, _WINDOWS, _RESERVATIONS, "budget_id", horizon, size)
    return windows, _in_batches(ledger, _ALERTS, _DELIVERIES, "alert_id", horizon, size)


def _is_over(table: Table, horizon: datetime) -> ColumnElement[bool]:
    """The window has ended by then, and no call under way has anything set aside in it.

    The window of all time never does.
    """
    row, lease = table.columns, _RESERVATIONS.columns
    ended = and_(row.window_end.is_not(None), row.window_end <= horizon)
    if table is _ALERTS:
        return and_(ended, row.reached_at < horizon)
    held = select(lease.event_id).where(lease.budget_id == row.id, lease.expires_at > now_ms()).exists()
    return and_(ended, not_(held))


def _in_batches(ledger: Ledger, table: Table, children: Table, key: str, horizon: datetime, size: int) -> int:
    deleted = 0
    work = partial(_delete_some, table=table, children=children, key=key, horizon=horizon, size=size)
    while count := ledger.transaction(work, LOCK_WAIT):
        deleted += count
        time.sleep(PAUSE)
    return deleted


def _delete_some(
    connection: Connection, table: Table, children: Table, key: str, horizon: datetime, size: int
) -> int:
    row = table.columns
    oldest = select(row.id).where(_is_over(table, horizon)).order_by(row.id).limit(min(size, _AT_ONCE))
    ids = list(connection.execute(oldest).scalars())
    if ids:
        connection.execute(delete(children).where(children.columns[key].in_(ids)))
        connection.execute(delete(table).where(row.id.in_(ids)))
    return len(ids)
