"""Events as rows, made storable at the border: no driver refuses a NUL, a lone surrogate or a long text.

Numbers are checked, not mended: a wrong count must not become a plausible one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL
from uuid import uuid5

from sqlalchemy import JSON
from sqlalchemy import BigInteger
from sqlalchemy import Integer
from sqlalchemy import String
from sqlalchemy import Table

from ..events import Event
from ..events import PricedItem
from ..money import MONEY_LIMIT
from ..money import QUANTITY_LIMIT
from .failures import EventRefused
from .models import TAG_KEY_LENGTH
from .models import TAG_VALUE_LENGTH
from .models import Base
from .types import Money
from .types import Quantity
from .types import UTCDateTime

Row = dict[str, Any]

CALLS = Base.metadata.tables["llm_cost_calls"]
LINE_ITEMS = Base.metadata.tables["llm_cost_line_items"]
TAGS = Base.metadata.tables["llm_cost_tags"]
REPRICINGS = Base.metadata.tables["llm_cost_repricings"]
ROLLUPS = Base.metadata.tables["llm_cost_rollups"]
COVERAGE = Base.metadata.tables["llm_cost_rollup_coverage"]
QUARANTINE = Base.metadata.tables["llm_cost_quarantine"]
META = Base.metadata.tables["llm_cost_meta"]
#: What goes with its call.
CHILDREN = (LINE_ITEMS, TAGS, REPRICINGS)

_INTEGER_LIMIT = 2**31
_BIGINT_LIMIT = 2**63
_EVENT_ID_LENGTH = 36
_JSON_DEPTH = 20

#: Columns of a call that the database or the writer fills in.
_MADE_HERE = {"id", "batch_id", "created_at", "tags"}
_CALL_COLUMNS = tuple(column.name for column in CALLS.columns if column.name not in _MADE_HERE)
_ITEM_COLUMNS = tuple(item.name for item in fields(PricedItem))


@dataclass(frozen=True, slots=True)
class CallRows:
    """The rows one event becomes. The writer adds ``call_id`` once the call has one."""

    event: Event
    call: Row
    line_items: tuple[Row, ...]
    tags: tuple[Row, ...]

    @property
    def event_id(self) -> str:
        return str(self.call["event_id"])


def rows_of(events: Iterable[Event]) -> list[CallRows]:
    """The rows of ``events`` in the order of their ids; those with the same id in the order they came in.

    One order for all writers: two that replay the same events do not lock each other's rows crosswise.

    :raises EventRefused: a number is no number or out of range, or a time has no zone.
    """
    return sorted(map(_rows_of_one, events), key=lambda rows: rows.event_id)


def _rows_of_one(event: Event) -> CallRows:
    call = {name: _storable(CALLS, name, getattr(event, name)) for name in _CALL_COLUMNS}
    call["event_id"] = storable_id(event.event_id)
    tags = _storable_tags(event.tags)
    call["tags"] = tags or None
    items = (
        {
            "position": position,
            **{name: _storable(LINE_ITEMS, name, getattr(item, name)) for name in _ITEM_COLUMNS},
        }
        for position, item in enumerate(event.line_items)
    )
    beside = {"occurred_at": call["occurred_at"], "total_cost": call["total_cost"]}
    return CallRows(
        event=event,
        call=call,
        line_items=tuple(items),
        tags=tuple({"key": key, "value": value, **beside} for key, value in tags.items()),
    )


def storable_id(event_id: str) -> str:
    """``event_id`` if it fits its column, else an id that stands for it and is the same each time."""
    text = storable_text(event_id, _EVENT_ID_LENGTH + 1)
    return text if len(text) <= _EVENT_ID_LENGTH else str(uuid5(NAMESPACE_URL, event_id))


def storable_text(value: str, length: int) -> str:
    """``value`` without NUL, lone surrogates and trailing spaces, cut to ``length`` code points.

    MySQL's and MariaDB's binary collation takes 'acme' and 'acme ' for one value; the others do not.
    """
    return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")[:length].rstrip(" ")


def _storable_tags(tags: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tags.items():
        name = storable_text(str(key), TAG_KEY_LENGTH)
        text = storable_text(str(value), TAG_VALUE_LENGTH)
        if name and text:
            found.setdefault(name, text)
    return found


def _storable(table: Table, name: str, value: Any) -> Any:
    column = table.columns[name]
    if value is None:
        if not column.nullable:
            raise EventRefused(f"{name} is missing")
        return None
    kind = column.type
    if isinstance(kind, String):
        text = storable_text(str(value), kind.length or 65_535)
        return text or None if column.nullable else text  # '' in the sums is "none"
    if isinstance(kind, Integer):
        return _whole_number(name, value, _BIGINT_LIMIT if isinstance(kind, BigInteger) else _INTEGER_LIMIT)
    if isinstance(kind, Money | Quantity):
        return _amount(name, value, MONEY_LIMIT if isinstance(kind, Money) else Decimal(QUANTITY_LIMIT))
    if isinstance(kind, UTCDateTime):
        return _moment(name, value)
    if isinstance(kind, JSON):
        return storable_json(value)
    return value


def _whole_number(name: str, value: object, limit: int) -> int:
    if not isinstance(value, int) or not 0 <= value < limit:
        raise EventRefused(f"{name} is not a whole number in range")
    return int(value)


def _amount(name: str, value: object, limit: Decimal) -> Decimal:
    amount = Decimal(value) if isinstance(value, Decimal | int) else Decimal("NaN")
    if not amount.is_finite() or abs(amount) > limit:
        raise EventRefused(f"{name} is not an amount in range")
    return amount


def _moment(name: str, value: object) -> datetime:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise EventRefused(f"{name} is not a time with a zone")
    return value


def storable_json(value: Any, depth: int = _JSON_DEPTH) -> Any:
    """``value`` as strict JSON: text cleaned, infinities and NaN left out, other types by their name."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return storable_text(value, len(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return str(value)
    if depth and isinstance(value, Mapping):
        return {storable_text(str(key), 255): storable_json(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list | tuple):
        return [storable_json(item, depth - 1) for item in value]
    return type(value).__name__
