"""Delete old calls in small transactions, children first, without reading a row into Python."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from functools import partial

from sqlalchemy import Column
from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import Select
from sqlalchemy import Table
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import select

from ..errors import ConfigurationError
from ..errors import LLMCostError
from ..ledger import EventRefused
from ..ledger import Ledger
from ..ledger.meta import PRUNED_BEFORE_KEY
from ..ledger.meta import pruned_before
from ..ledger.meta import write_meta
from ..ledger.rollups import hour_of
from ..ledger.rows import CALLS
from ..ledger.rows import CHILDREN
from ..ledger.rows import LINE_ITEMS
from ..ledger.rows import QUARANTINE
from ..ledger.rows import ROLLUPS
from ..ledger.rows import TAGS
from .old_budgets import count_old
from .old_budgets import delete_old
from .pace import LOCK_WAIT
from .pace import PAUSE

_ROLLUP_WINDOW = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What a prune deleted, or with ``dry_run`` would delete.

    :param before: everything older is gone; the full UTC hour of the moment asked for.
    :param budget_windows: of budgets, that had ended by then; ``alerts`` those that were told of them.
    """

    before: datetime
    calls: int
    line_items: int
    tags: int
    rollups: int
    quarantined: int
    dry_run: bool
    budget_windows: int = 0
    alerts: int = 0


@dataclass(frozen=True, slots=True)
class _Batch:
    last_id: int
    calls: int
    line_items: int
    tags: int


def prune(
    ledger: Ledger,
    before: datetime,
    *,
    batch_size: int = 5_000,
    keep_rollups: bool = True,
    dry_run: bool = False,
    on_progress: Callable[[int, int], object] | None = None,
) -> PruneResult:
    """Delete the calls older than ``before``, rounded down to the full UTC hour so that rollups stay whole,
    and what budgets keep of windows that had ended by then.

    Interrupted, it can simply be started again. Events of that time which arrive afterwards go to the
    quarantine, because nobody could tell a replay from a new call.

    :param batch_size: calls per transaction.
    :param keep_rollups: keep the sums, so that totals and charts still show the time before.
    :param on_progress: called with (calls deleted, calls to delete) after each batch.
    :raises ConfigurationError: ``before`` has no time zone or is not in the past, or ``batch_size`` is < 1.
    :raises LedgerUnavailable: the database cannot be used now; what was deleted so far stays deleted.
    :raises LLMCostError: a table of the app refers to a call without saying what to do on its deletion.
    """
    horizon = _checked_horizon(before, batch_size)
    to_delete = _count(ledger, horizon, keep_rollups)
    if dry_run:
        return to_delete
    ledger.transaction(partial(_tell, horizon=horizon), LOCK_WAIT)
    calls = line_items = tags = last_id = 0
    while batch := _delete_batch(ledger, last_id, horizon, batch_size):
        last_id = batch.last_id
        calls, line_items, tags = calls + batch.calls, line_items + batch.line_items, tags + batch.tags
        if on_progress is not None:
            on_progress(calls, max(calls, to_delete.calls))
        time.sleep(PAUSE)
    windows, alerts = delete_old(ledger, horizon, batch_size)
    return PruneResult(
        before=horizon,
        calls=calls,
        line_items=line_items,
        tags=tags,
        rollups=0 if keep_rollups else _delete_rollups(ledger, horizon),
        quarantined=_delete_quarantine(ledger, horizon, batch_size),
        dry_run=False,
        budget_windows=windows,
        alerts=alerts,
    )


def _checked_horizon(before: datetime, batch_size: int) -> datetime:
    if before.utcoffset() is None:
        raise ConfigurationError("prune: `before` needs a time zone.")
    if before > datetime.now(UTC):
        raise ConfigurationError("prune: `before` must be in the past.")
    if batch_size < 1:
        raise ConfigurationError("prune: `batch_size` must be at least 1.")
    return hour_of(before)


def _count(ledger: Ledger, horizon: datetime, keep_rollups: bool) -> PruneResult:
    doomed = select(CALLS.columns.id).where(CALLS.columns.occurred_at < horizon)
    summed = select(func.count()).where(ROLLUPS.columns.bucket < horizon)
    with ledger.session() as session:

        def count(statement: Select[int]) -> int:
            return session.execute(statement).scalar_one()

        windows, alerts = count_old(session.connection(), horizon)
        return PruneResult(
            before=horizon,
            calls=count(select(func.count()).select_from(doomed.subquery())),
            line_items=count(select(func.count()).where(LINE_ITEMS.columns.call_id.in_(doomed))),
            tags=count(select(func.count()).where(TAGS.columns.call_id.in_(doomed))),
            rollups=0 if keep_rollups else count(summed),
            quarantined=count(select(func.count()).where(QUARANTINE.columns.created_at < horizon)),
            dry_run=True,
            budget_windows=windows,
            alerts=alerts,
        )


def _tell(connection: Connection, horizon: datetime) -> None:
    """Say it before doing it: from now on writers send what is older to the quarantine."""
    told = pruned_before(connection)
    if told is None or told < horizon:
        write_meta(connection, PRUNED_BEFORE_KEY, horizon.isoformat())


def _delete_batch(ledger: Ledger, after: int, horizon: datetime, size: int) -> _Batch | None:
    try:
        return ledger.transaction(partial(_delete_after, after=after, horizon=horizon, size=size), LOCK_WAIT)
    except EventRefused as error:
        raise LLMCostError(
            f"The database refuses to delete calls ({error.reason}): a table of the app refers to them. Give "
            "that foreign key ON DELETE CASCADE or ON DELETE SET NULL."
        ) from None


def _delete_after(connection: Connection, after: int, horizon: datetime, size: int) -> _Batch | None:
    call = CALLS.columns
    last_id = _last_of_next(connection, call.id, after, call.occurred_at < horizon, size)
    if last_id is None:
        return None
    doomed = (call.id > after, call.id <= last_id, call.occurred_at < horizon)
    line_items, tags, _ = (
        _delete_children(connection, table, select(call.id).where(*doomed)) for table in CHILDREN
    )
    deleted = connection.execute(delete(CALLS).where(*doomed)).rowcount
    return _Batch(last_id=last_id, calls=deleted, line_items=line_items, tags=tags)


def _delete_children(connection: Connection, table: Table, calls: Select[int]) -> int:
    # By hand: SQLite follows ON DELETE CASCADE only where the host switched foreign keys on.
    return connection.execute(delete(table).where(table.columns.call_id.in_(calls))).rowcount


def _delete_rollups(ledger: Ledger, horizon: datetime) -> int:
    deleted = 0
    work = partial(_delete_oldest_rollups, horizon=horizon)
    while (count := ledger.transaction(work, LOCK_WAIT)) is not None:
        deleted += count
        time.sleep(PAUSE)
    return deleted


def _delete_oldest_rollups(connection: Connection, horizon: datetime) -> int | None:
    bucket = ROLLUPS.columns.bucket
    oldest = connection.execute(select(func.min(bucket)).where(bucket < horizon)).scalar()
    if oldest is None:
        return None
    return connection.execute(delete(ROLLUPS).where(bucket < min(horizon, oldest + _ROLLUP_WINDOW))).rowcount


def _delete_quarantine(ledger: Ledger, horizon: datetime, size: int) -> int:
    deleted, last_id = 0, 0
    work = partial(_delete_quarantined, horizon=horizon, size=size)
    while batch := ledger.transaction(partial(work, after=last_id), LOCK_WAIT):
        last_id, count = batch
        deleted += count
        time.sleep(PAUSE)
    return deleted


def _delete_quarantined(
    connection: Connection, after: int, horizon: datetime, size: int
) -> tuple[int, int] | None:
    put = QUARANTINE.columns
    last_id = _last_of_next(connection, put.id, after, put.created_at < horizon, size)
    if last_id is None:
        return None
    doomed = (put.id > after, put.id <= last_id, put.created_at < horizon)
    return last_id, connection.execute(delete(QUARANTINE).where(*doomed)).rowcount


def _last_of_next(
    connection: Connection, key: Column[int], after: int, condition: ColumnElement[bool], size: int
) -> int | None:
    """The last of the next ``size`` ids behind ``after``: where a batch ends."""
    next_ids = select(key.label("id")).where(key > after, condition).order_by(key).limit(size).subquery()
    found: int | None = connection.execute(select(func.max(next_ids.columns.id))).scalar()
    return found
