"""Reading calls that may be priced again, and writing new prices with everything that depends on them."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import Table
from sqlalchemy import and_
from sqlalchemy import bindparam
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy import update

from ..ledger import Ledger
from ..ledger.rollups import recount_calls
from ..ledger.rows import CALLS
from ..ledger.rows import LINE_ITEMS
from ..ledger.rows import REPRICINGS
from ..ledger.rows import TAGS
from ..ledger.rows import storable_json
from .judgement import Recorded
from .judgement import Repriced

_CALL = CALLS.columns
#: Where a batch ended: the time and id of its last call.
Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which calls to price again, by the moment they occurred.

    :param start: the first moment; ``end`` is the first one after. ``None`` is all time.
    :param unpriced: only calls whose cost is unknown or partial.
    :param up_to_id: only calls that were there when a run began: those that arrive meanwhile have their price
        by then, and a run must not chase them.
    """

    start: datetime | None = None
    end: datetime | None = None
    provider: str | None = None
    model: str | None = None
    unpriced: bool = False
    up_to_id: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The WHERE clause."""
        found: list[ColumnElement[bool]] = []
        if self.start is not None:
            found.append(_CALL.occurred_at >= self.start)
        if self.end is not None:
            found.append(_CALL.occurred_at < self.end)
        if self.provider is not None:
            found.append(_CALL.provider == self.provider)
        if self.model is not None:
            found.append(_CALL.model == self.model)
        if self.up_to_id is not None:
            found.append(_CALL.id <= self.up_to_id)
        if self.unpriced:
            found.append(_CALL.cost_status.in_(("unknown", "partial")))
        return found


def bounded(connection: Connection, selection: Selection) -> Selection:
    """The same selection of the calls that are there now."""
    return replace(selection, up_to_id=connection.execute(select(func.max(_CALL.id))).scalar() or 0)


def count_selected(ledger: Ledger, selection: Selection) -> int:
    """How many calls are selected now."""
    with ledger.engine.connect() as connection:
        return connection.execute(select(func.count(_CALL.id)).where(*selection.conditions())).scalar_one()


def next_places(connection: Connection, selection: Selection, after: Place | None, size: int) -> list[Place]:
    """The next selected calls by time, at most ``size``. Nothing is locked."""
    statement = select(_CALL.occurred_at, _CALL.id).where(*selection.conditions())
    if after is not None:
        moment, call_id = after
        # Said twice, as a bound and exactly: an index is used for the bound.
        beyond = or_(_CALL.occurred_at > moment, _CALL.id > call_id)
        statement = statement.where(and_(_CALL.occurred_at >= moment, beyond))
    rows = connection.execute(statement.order_by(_CALL.occurred_at, _CALL.id).limit(size))
    return [(row[0], row[1]) for row in rows]


def read_calls(
    connection: Connection, ids: Sequence[int], selection: Selection, *, lock: bool
) -> list[Recorded]:
    """Those of the calls that are still there and still selected.

    :param lock: keep others from changing or deleting them until the transaction ends.
    """
    statement = select(CALLS).where(_CALL.id.in_(ids), *selection.conditions()).order_by(_CALL.id)
    found = connection.execute(statement.with_for_update() if lock else statement)
    calls = [row._asdict() for row in found]
    item = LINE_ITEMS.columns
    lines = select(LINE_ITEMS).where(item.call_id.in_([call["id"] for call in calls]))
    rows = (row._asdict() for row in connection.execute(lines.order_by(item.call_id, item.position)))
    items = {call_id: tuple(some) for call_id, some in groupby(rows, key=itemgetter("call_id"))}
    return [Recorded(call, items.get(call["id"], ())) for call in calls]


def write_prices(connection: Connection, changes: Sequence[Repriced], audit: Mapping[str, object]) -> None:
    """Put the new prices in place, with line items, tags, sums and the audit trail.

    :param audit: what the trail's rows have in common. The rollups come last: writers wait for them.
    """
    if not changes:
        return
    keys = {"key_id": _CALL.id}
    connection.execute(_update(CALLS, keys, _NEW_CALL), [_new_call(change) for change in changes])
    item = LINE_ITEMS.columns
    connection.execute(
        _update(LINE_ITEMS, {"key_id": item.call_id, "key_position": item.position}, _NEW_ITEM),
        [row for change in changes for row in _new_items(change)],
    )
    connection.execute(
        _update(TAGS, {"key_id": TAGS.columns.call_id}, ("total_cost",)),
        [{"key_id": _id(change), "new_total_cost": change.price.total_cost} for change in changes],
    )
    connection.execute(insert(REPRICINGS), [{**audit, **_trail(change)} for change in changes])
    before = [dict(change.recorded.call) for change in changes]
    after = [
        {**call, "total_cost": change.price.total_cost, "cost_status": change.price.cost_status}
        for call, change in zip(before, changes, strict=True)
    ]
    recount_calls(connection, before, after)


_NEW_CALL = ("total_cost", "cost_status", "cost_source", "pricing_snapshot")
_NEW_ITEM = ("rate", "cost", "cost_status")


def _update(table: Table, keys: Mapping[str, ColumnElement[Any]], names: Sequence[str]) -> Any:
    """An UPDATE of one row at a time; the values are called ``new_`` and the column's name."""
    values = {name: bindparam(f"new_{name}", type_=table.columns[name].type) for name in names}
    where = [column == bindparam(name) for name, column in keys.items()]
    return update(table).where(*where).values(values)


def _id(change: Repriced) -> int:
    return int(change.recorded.call["id"])


def _new_call(change: Repriced) -> dict[str, object]:
    price = change.price
    return {
        "key_id": _id(change),
        "new_total_cost": price.total_cost,
        "new_cost_status": price.cost_status,
        "new_cost_source": price.cost_source,
        "new_pricing_snapshot": storable_json(price.snapshot),
    }


def _new_items(change: Repriced) -> list[dict[str, object]]:
    return [
        {
            "key_id": _id(change),
            "key_position": old["position"],
            "new_rate": new.rate,
            "new_cost": new.cost,
            "new_cost_status": new.cost_status,
        }
        for old, new in zip(change.recorded.items, change.price.line_items, strict=True)
    ]


def _trail(change: Repriced) -> dict[str, object]:
    call, price = change.recorded.call, change.price
    return {
        "call_id": call["id"],
        "old_total_cost": call["total_cost"],
        "old_cost_status": call["cost_status"],
        "old_pricing_snapshot": call["pricing_snapshot"],
        "new_total_cost": price.total_cost,
        "new_cost_status": price.cost_status,
    }
