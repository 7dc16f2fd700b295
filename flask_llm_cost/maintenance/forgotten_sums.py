"""Sums by a tag that stands for a person, of calls that are gone: they go on as sums of calls without it."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection
from sqlalchemy import and_
from sqlalchemy import delete
from sqlalchemy import or_
from sqlalchemy import select

from ..ledger import Ledger
from ..ledger.coverage import lock_kinds
from ..ledger.rollups import add_to_rollups
from ..ledger.rollups import rollup_dim
from ..ledger.rows import ROLLUPS
from ..ledger.rows import TAGS
from ..ledger.rows import Row
from .pace import LOCK_WAIT

_KEY = ("grain", "tag_key", "bucket", "dim")
_ROWS_AT_ONCE = 200


def forget_sums(ledger: Ledger, key: str, value: str) -> int:
    """Move the sums of a tag's value to those of calls without the tag, where no call has it any more.

    Calls that were pruned, whose sums were kept, are in there still. Returns how many rows were moved.
    """
    moved = 0
    work = partial(_move, key=key, value=value)
    while count := ledger.transaction(work, LOCK_WAIT):
        moved += count
    return moved


def _move(connection: Connection, key: str, value: str) -> int:
    # Whoever counts calls waits: one that has the tag and is not committed yet begins a sum of its own.
    lock_kinds(connection)
    tag, rollup = TAGS.columns, ROLLUPS.columns
    if connection.execute(select(tag.key).where(tag.key == key, tag.value == value).limit(1)).first():
        return 0
    wanted = select(ROLLUPS).where(rollup.tag_key == key, rollup.tag_value == value)
    ordered = wanted.order_by(*(rollup[name] for name in _KEY)).limit(_ROWS_AT_ONCE)
    rows = [row._asdict() for row in connection.execute(ordered)]
    if rows:
        gone = (and_(*(rollup[name] == row[name] for name in _KEY)) for row in rows)
        connection.execute(delete(ROLLUPS).where(or_(*gone)))
        add_to_rollups(connection, sorted(map(_untagged, rows), key=lambda row: [row[name] for name in _KEY]))
    return len(rows)


def _untagged(row: Row) -> Row:
    return {**row, "tag_value": "", "dim": rollup_dim(row["provider"], row["model"])}
