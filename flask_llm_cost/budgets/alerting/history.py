"""What was told of budgets, and what became of it on each channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import func
from sqlalchemy import or_
from sqlalchemy import select

from ...wording import plural
from .outbox import ALERTS
from .outbox import DELIVERIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One alert on one channel: delivered, given up, or still tried.

    :param failure: why the last attempt failed: a class or a code.
    """

    channel: str
    attempts: int
    delivered_at: datetime | None
    is_given_up: bool
    failure: str | None

    @property
    def words(self) -> str:
        """What became of it, for a table."""
        if self.delivered_at is not None:
            return f"{self.channel} sent"
        if self.is_given_up:
            return f"{self.channel} given up ({self.failure})"
        if not self.failure:
            return f"{self.channel} waits"
        return f"{self.channel} waits ({self.failure}, {plural(self.attempts, 'attempt')})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAlert:
    """A threshold that was reached. ``window_key`` is the window's start, or a single call's event."""

    budget: str
    scope: str
    threshold: Decimal
    limit: Decimal
    spent: Decimal
    window_key: str
    window_start: datetime
    window_end: datetime | None
    reached_at: datetime
    told: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True)
class Undelivered:
    """How many alerts a channel has not taken, and why the last one was not."""

    channel: str
    count: int
    failure: str | None


def undelivered(connection: Connection, *, since: datetime, before: datetime) -> list[Undelivered]:
    """Alerts that nobody got: given up, or still tried, of those that were reached in this time."""
    told, alert = DELIVERIES.columns, ALERTS.columns
    statement = (
        select(told.channel, func.count(), func.max(told.failure))
        .join_from(DELIVERIES, ALERTS, alert.id == told.alert_id)
        .where(told.delivered_at.is_(None), alert.reached_at >= since)
        .where(or_(told.is_given_up, alert.reached_at < before))
        .group_by(told.channel)
        .order_by(told.channel)
    )
    return [Undelivered(*row) for row in connection.execute(statement)]


def past_alerts(connection: Connection, most: int) -> list[PastAlert]:
    """The newest alerts first."""
    column = ALERTS.columns
    newest = select(ALERTS).order_by(column.reached_at.desc(), column.id.desc()).limit(most)
    rows = connection.execute(newest).all()
    told = _told(connection, [row.id for row in rows])
    return [
        PastAlert(
            budget=row.budget,
            scope=row.scope,
            threshold=row.threshold,
            limit=row.limit_amount,
            spent=row.spent,
            window_key=row.window_key,
            window_start=row.window_start,
            window_end=row.window_end,
            reached_at=row.reached_at,
            told=tuple(told.get(row.id, ())),
        )
        for row in rows
    ]


def _told(connection: Connection, alert_ids: list[int]) -> dict[int, list[Told]]:
    column = DELIVERIES.columns
    found: dict[int, list[Told]] = {}
    statement = select(DELIVERIES).where(column.alert_id.in_(alert_ids)).order_by(column.channel)
    rows: Any = connection.execute(statement) if alert_ids else ()
    for row in rows:
        found.setdefault(row.alert_id, []).append(
            Told(
                channel=row.channel,
                attempts=row.attempts,
                delivered_at=row.delivered_at,
                is_given_up=row.is_given_up,
                failure=row.failure,
            )
        )
    return found
