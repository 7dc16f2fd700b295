"""Read calls, or what belongs to them, out of the ledger in the order of their ids, in bounded memory.

Pages by key instead of one long cursor: between two pages no connection is held and no snapshot is kept, so
that a slow reader disturbs no writer, and an export that ended early goes on behind the last call it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import Literal

from sqlalchemy import Column
from sqlalchemy import Connection
from sqlalchemy import Select
from sqlalchemy import Table
from sqlalchemy import func
from sqlalchemy import select

from ..analytics import CallQuery
from ..ledger.rows import CALLS
from ..ledger.rows import LINE_ITEMS
from ..ledger.rows import TAGS

#: Calls read at a time.
BATCH_SIZE = 1_000
What = Literal["calls", "line-items", "tags"]

_CALL = CALLS.columns
#: Told with each line item and tag, so that a file of them can be read by itself.
_OF_THE_CALL = ("event_id", "occurred_at", "provider", "model")
_CHILDREN = {"line-items": LINE_ITEMS, "tags": TAGS}


@dataclass(frozen=True, slots=True)
class Extent:
    """The calls to be exported: how many, and the first and last id among them."""

    calls: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows, in the order of :func:`columns_of`.

    :param calls: how many calls they belong to.
    :param last_id: the last of these: an export that ended here goes on behind it.
    """

    rows: Sequence[Sequence[Any]]
    calls: int
    last_id: int


def columns_of(what: What) -> tuple[Column[Any], ...]:
    """The columns of an export, named like those of the ledger."""
    if what == "calls":
        return tuple(column for column in CALLS.columns if column.name != "batch_id")
    child = [column for column in _CHILDREN[what].columns if column.name not in _OF_THE_CALL]
    return (child[0], *(_CALL[name] for name in _OF_THE_CALL), *child[1:])


def extent(query: CallQuery, after: int = 0) -> Extent:
    """The calls of a query that are there now, behind the one with the id ``after``.

    What arrives later is not chased.
    """
    query.before_read()
    with query.ledger.read_engine.connect() as connection:
        counted = select(func.count(_CALL.id), func.min(_CALL.id), func.max(_CALL.id)).where(
            *query.filters.conditions(), _CALL.id > after
        )
        calls, first, last = connection.execute(counted).one()
    return Extent(calls, first or 0, last or 0)


def batches(query: CallQuery, what: What, found: Extent, size: int = BATCH_SIZE) -> Iterator[Batch]:
    """The rows, in the order of the calls' ids; those of one call are never divided.

    :raises LedgerUnavailable: the database cannot be read now.
    """
    after = found.first - 1
    while after < found.last:
        with query.ledger.read_engine.connect() as connection:
            batch = _read(connection, query, what, (after, found.last), size)
        if batch is None:
            return
        after = batch.last_id
        yield batch


def _read(
    connection: Connection, query: CallQuery, what: What, span: tuple[int, int], size: int
) -> Batch | None:
    after, last = span
    conditions = (*query.filters.conditions(), _CALL.id > after, _CALL.id <= last)
    if what == "calls":
        wanted = select(*columns_of(what)).where(*conditions).order_by(_CALL.id).limit(size)
        rows = connection.execute(wanted).all()
        return Batch(rows, len(rows), rows[-1].id) if rows else None
    ids = (
        connection.execute(select(_CALL.id).where(*conditions).order_by(_CALL.id).limit(size)).scalars().all()
    )
    if not ids:
        return None
    rows = connection.execute(_children(_CHILDREN[what], what, ids)).all()
    return Batch(rows, len(ids), ids[-1])


def _children(child: Table, what: What, ids: Sequence[int]) -> Select[Any]:
    key = child.columns.call_id
    return (
        select(*columns_of(what))
        .select_from(child.join(CALLS, key == _CALL.id))
        .where(key.in_(ids))
        .order_by(*child.primary_key.columns)
    )
