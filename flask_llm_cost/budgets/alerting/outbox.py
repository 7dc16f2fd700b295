"""What is still to be delivered, and whose turn it is: in the ledger's database, or in memory without one.

The row of an alert is the message itself: whoever finds one that no process has delivered on a channel takes
it for a while, sends it, and says so. A process that is killed on the way leaves a claim that runs out, and
another one sends the alert. A kill in the instant between the server's word and ours sends it twice, with the
same key: an alert that is told twice is a nuisance, one that is never told is a bill.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from functools import partial
from typing import Any
from typing import Protocol
from uuid import uuid4

from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import and_
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy import update

from ...ledger import Base
from ...ledger import LedgerSource
from ...ledger.statements import insert_ignoring
from ..clock import now_ms
from .message import Message

ALERTS = Base.metadata.tables["llm_cost_alerts"]
DELIVERIES = Base.metadata.tables["llm_cost_alert_deliveries"]

#: An alert that nobody could deliver in this time is news to nobody.
OLDEST = timedelta(days=1)
#: Milliseconds for which a process has an alert to itself; longer than a channel may take.
_CLAIM = 300_000
#: Milliseconds before the second attempt; doubled for each further one, up to the last.
_BACKOFF = 1_000
_LONGEST_BACKOFF = 900_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is this process's to send.

    :param attempt: which one it is, from 1 on.
    """

    message: Message
    channel: str
    alert_id: int
    attempt: int
    owner: str


class Outbox(Protocol):
    """Where alerts wait."""

    def claim(self, channel: str) -> Delivery | None:
        """Take the oldest one that is to be sent on a channel now.

        :raises LedgerUnavailable: the database does not answer.
        """

    def delivered(self, delivery: Delivery) -> None:
        """It arrived; nobody sends it again."""

    def failed(self, delivery: Delivery, reason: str, *, is_final: bool) -> None:
        """It did not; it is tried again later, or given up."""


class LedgerOutbox:
    """Alerts of all processes of a database."""

    def __init__(self, source: LedgerSource, service: str) -> None:
        self._source = source
        self._service = service

    def claim(self, channel: str) -> Delivery | None:
        ledger = self._source.get()
        while alert := ledger.reading(partial(_waiting, channel=channel)):
            owner = uuid4().hex
            attempt = ledger.transaction(partial(_take, alert_id=alert.id, channel=channel, owner=owner))
            if attempt:
                return Delivery(self._message(alert), channel, alert.id, attempt, owner)
        return None

    def delivered(self, delivery: Delivery) -> None:
        self._close(delivery, delivered_at=datetime.now(UTC), failure=None)

    def failed(self, delivery: Delivery, reason: str, *, is_final: bool) -> None:
        if is_final:
            self._close(delivery, failure=reason, is_given_up=True)
        else:
            self._close(delivery, failure=reason, claimed_until=now_ms() + backoff(delivery.attempt))

    def _close(self, delivery: Delivery, **values: Any) -> None:
        row = DELIVERIES.columns
        mine = and_(
            row.alert_id == delivery.alert_id,
            row.channel == delivery.channel,
            row.owner == delivery.owner,
        )
        statement = update(DELIVERIES).where(mine).values(**values)
        self._source.get().transaction(lambda connection: connection.execute(statement))

    def _message(self, alert: Any) -> Message:
        return Message(
            key=f"llm-cost-{alert.definition}-{alert.id}-{alert.reached_at:%Y%m%d%H%M%S%f}",
            service=self._service,
            budget=alert.budget,
            scope=alert.scope,
            threshold=alert.threshold.normalize(),
            limit=alert.limit_amount,
            spent=alert.spent,
            window_start=alert.window_start,
            window_end=alert.window_end,
            reached_at=alert.reached_at,
        )


def backoff(attempt: int) -> int:
    """Milliseconds before the next attempt."""
    return min(_LONGEST_BACKOFF, _BACKOFF << min(attempt - 1, 10))


def _waiting(connection: Connection, channel: str) -> Any:
    """The oldest alert that nobody has delivered on the channel, or is about to; ``None`` without one."""
    alert, row = ALERTS.columns, DELIVERIES.columns
    taken = and_(row.alert_id == alert.id, row.channel == channel)
    return connection.execute(
        select(ALERTS)
        .outerjoin(DELIVERIES, taken)
        .where(alert.reached_at > datetime.now(UTC) - OLDEST, or_(row.alert_id.is_(None), _is_free()))
        .order_by(alert.reached_at, alert.id)
        .limit(1)
    ).first()


def _is_free() -> ColumnElement[bool]:
    row = DELIVERIES.columns
    return and_(row.delivered_at.is_(None), row.is_given_up.is_(False), row.claimed_until <= now_ms())


def _take(connection: Connection, alert_id: int, channel: str, owner: str) -> int:
    """Claim an alert; which attempt that is, 0 where somebody else was faster."""
    row = DELIVERIES.columns
    fresh = {"alert_id": alert_id, "channel": channel, "owner": "", "attempts": 0, "claimed_until": 0}
    insert = insert_ignoring(DELIVERIES, ("alert_id", "channel"), connection.dialect.name)
    connection.execute(insert, {**fresh, "is_given_up": False})
    here = and_(row.alert_id == alert_id, row.channel == channel)
    connection.execute(
        update(DELIVERIES)
        .where(here, _is_free())
        .values(owner=owner, attempts=row.attempts + 1, claimed_until=now_ms() + _CLAIM)
    )
    attempt: int | None = connection.scalar(select(row.attempts).where(here, row.owner == owner))
    return attempt or 0


class MemoryOutbox:
    """Alerts of this process alone, where there is no ledger to keep them: they end with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[tuple[Delivery, datetime]]] = {}
        self._count = 0

    def forked(self) -> None:
        """In a forked child: a thread that held the lock did not come along, nor does what waits."""
        self._lock = threading.Lock()
        self._waiting = {}

    def put(self, message: Message, channels: Iterable[str]) -> None:
        """Let a message wait for each of the channels."""
        with self._lock:
            self._count += 1
            for channel in channels:
                entry = Delivery(message, channel, self._count, 1, "")
                self._waiting.setdefault(channel, []).append((entry, datetime.now(UTC)))

    def claim(self, channel: str) -> Delivery | None:
        now = datetime.now(UTC)
        with self._lock:
            waiting = self._waiting.get(channel, [])
            due = next((entry for entry in waiting if entry[1] <= now), None)
            if due is None:
                return None
            waiting.remove(due)
            return due[0]

    def delivered(self, delivery: Delivery) -> None:
        """It was taken out when it was claimed."""

    def failed(self, delivery: Delivery, reason: str, *, is_final: bool) -> None:
        now = datetime.now(UTC)
        if is_final or delivery.message.reached_at < now - OLDEST:
            return
        again = replace(delivery, attempt=delivery.attempt + 1)
        due = now + timedelta(milliseconds=backoff(delivery.attempt))
        with self._lock:
            self._waiting.setdefault(delivery.channel, []).append((again, due))
