"""Sums that name a person, of calls that are gone: they go on as sums of calls without a value."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from sqlalchemy import Connection
from sqlalchemy import and_
from sqlalchemy import delete
from sqlalchemy import or_
from sqlalchemy import select

from ..ledger import Ledger
from ..ledger.coverage import COLUMN_MARK
from ..ledger.rollups import add_to_rollups
from ..ledger.rollups import rollup_dim
from ..ledger.rows import CALLS
from ..ledger.rows import ROLLUPS
from ..ledger.rows import TAGS
from ..ledger.rows import Row
from .pace import LOCK_WAIT
from .person import Pair

#: The key of sums by user, as :data:`~flask_llm_cost.ledger.coverage.SUMMED_COLUMNS` has it.
USERS = f"{COLUMN_MARK}user_id"

_KEY = ("grain", "tag_key", "bucket", "dim")
_ROWS_AT_ONCE = 200


def forget_sums(ledger: Ledger, named: Iterable[Pair]) -> int:
    """Move the sums of these values, given as (key of the sums, value); how many rows that were.

    In small transactions: one that is interrupted leaves sums that add up to the same, and the next run moves
    the others.
    """
    moved = 0
    for key, value in named:
        work = partial(_move_some, key=key, value=value)
        while count := ledger.transaction(work, LOCK_WAIT):
            moved += count
    return moved


def move_sums(connection: Connection, named: Iterable[Pair]) -> int:
    """The same within the transaction that has changed the last call that has the value."""
    moved = 0
    for key, value in sorted(named):
        while count := _move_some(connection, key, value):
            moved += count
    return moved


def _move_some(connection: Connection, key: str, value: str) -> int:
    """Move some rows, where no call has the value any more.

    Calls that were pruned, whose sums were kept, are in there still. The rows are locked before the calls are
    looked at again: whoever has stored one that has the value, and not committed it, holds the row, or comes
    after us and begins another.
    """
    if _is_still_named(connection, key, value):
        return 0
    rollup = ROLLUPS.columns
    wanted = select(ROLLUPS).where(rollup.tag_key == key, rollup.tag_value == value)
    ordered = wanted.order_by(*(rollup[name] for name in _KEY)).limit(_ROWS_AT_ONCE)
    rows = [row._asdict() for row in connection.execute(ordered.with_for_update())]
    if not rows or _is_still_named(connection, key, value):
        return 0
    gone = (and_(*(rollup[name] == row[name] for name in _KEY)) for row in rows)
    connection.execute(delete(ROLLUPS).where(or_(*gone)))
    add_to_rollups(connection, sorted(map(_unnamed, rows), key=lambda row: [row[name] for name in _KEY]))
    return len(rows)


def _is_still_named(connection: Connection, key: str, value: str) -> bool:
    call, tag = CALLS.columns, TAGS.columns
    calls = select(tag.call_id).where(tag.key == key, tag.value == value)
    if key == USERS:
        calls = select(call.id).where(call.user_id == value)
    return connection.execute(calls.limit(1)).first() is not None


def _unnamed(row: Row) -> Row:
    return {**row, "tag_value": "", "dim": rollup_dim(row["provider"], row["model"])}
