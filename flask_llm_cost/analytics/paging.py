"""Pages of calls by keyset: each begins behind the last call of the one before, so none is left out or twice.

A cursor is the sort key and id of the call at the page's edge. It is opaque to the outside, and checked when
it comes back: it may have been changed, or belong to another sort.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import Literal

from sqlalchemy import ColumnElement
from sqlalchemy import Select
from sqlalchemy import and_
from sqlalchemy import case
from sqlalchemy import func
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import InvalidFilterError
from ..ledger import CallTag
from ..ledger import LlmCall
from ..usage import INPUT_FIELDS
from .dimensions import choice
from .filters import Filters
from .filters import in_range
from .values import OUTPUT_FIELDS
from .values import Page

SORTS = ("recent", "cost", "input", "output", "latency")
DIRECTIONS = ("desc", "asc")
MAX_SIZE = 1_000

_CURSOR_LENGTH = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INTEGERS = range(-(2**63), 2**63)

#: A page forward from a call, or the one that ends just before it.
_Way = Literal["next", "previous"]
_SortKey = datetime | Decimal | int | None


@dataclass(frozen=True, slots=True)
class _Anchor:
    """The call a page begins behind (``next``) or ends before (``previous``)."""

    way: _Way
    key: _SortKey
    call_id: int


@dataclass(frozen=True, slots=True)
class _Order:
    """A sort, in the direction of reading: NULLs last for the reader, ties by id in the same direction.

    :param along_tags: whether calls are read in the order of a tag's rows, which know their moment too.
    """

    sort: str
    direction: str
    along_tags: bool = False

    @property
    def key(self) -> ColumnElement[Any]:
        """What is sorted by. Input and output are all tokens of that side, NULL where none was told."""
        columns: dict[str, ColumnElement[Any]] = {
            "recent": (CallTag if self.along_tags else LlmCall).occurred_at.expression,
            "cost": LlmCall.total_cost.expression,
            "input": _told_tokens(INPUT_FIELDS),
            "output": _told_tokens(OUTPUT_FIELDS),
            "latency": LlmCall.latency_ms.expression,
        }
        return columns[self.sort]

    @property
    def call_id(self) -> ColumnElement[int]:
        """The call's id, from the rows that are read."""
        return CallTag.call_id.expression if self.along_tags else LlmCall.id.expression

    def ordering(self, way: _Way) -> list[ColumnElement[Any]]:
        """ORDER BY; the page before is read backwards."""
        backwards = way == "previous"
        descending = (self.direction == "desc") != backwards
        unknown = self.key.is_(None)
        columns = [self.key, self.call_id]
        ordered: list[ColumnElement[Any]] = [
            column.desc() if descending else column.asc() for column in columns
        ]
        # occurred_at is never NULL, and its index serves only a plain ORDER BY.
        return ordered if self.sort == "recent" else [unknown.desc() if backwards else unknown, *ordered]

    def beyond(self, anchor: _Anchor) -> ColumnElement[bool]:
        """The calls behind the anchor in reading order, or before it on the way back."""
        ascending = (self.direction == "asc") == (anchor.way == "next")
        key, call_id = self.key, self.call_id
        further_id = call_id > anchor.call_id if ascending else call_id < anchor.call_id
        if anchor.key is None:
            tied = and_(key.is_(None), further_id)
            return tied if anchor.way == "next" else or_(tied, key.is_not(None))
        # Said twice, as a bound and as the exact condition: an index is used for the bound.
        bound = key >= anchor.key if ascending else key <= anchor.key
        further = key > anchor.key if ascending else key < anchor.key
        known = and_(bound, or_(further, further_id))
        return known if self.sort == "recent" or anchor.way == "previous" else or_(known, key.is_(None))


def _told_tokens(names: Sequence[str]) -> ColumnElement[int | None]:
    columns = [getattr(LlmCall, name) for name in names]
    total: ColumnElement[Any] = func.coalesce(columns[0], 0)
    for column in columns[1:]:
        total = total + func.coalesce(column, 0)
    return case((func.coalesce(*columns).is_not(None), total))


def page(
    session: Session, filters: Filters, *, sort: str, direction: str, size: int, cursor: str | None
) -> Page:
    """One page of calls; see :meth:`CallQuery.page`."""
    order = _Order(
        choice("sort", sort, SORTS),
        choice("direction", direction, DIRECTIONS),
        along_tags=sort == "recent" and any(value is not None for _, value in filters.tags),
    )
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_SIZE:
        raise InvalidFilterError("size", f"a whole number from 1 to {MAX_SIZE}, got {size!r}")
    anchor = None if cursor is None else _decoded(cursor, order)
    rows = session.execute(_statement(filters, order, anchor, size + 1)).all()
    return _page(order, anchor, [(call, key) for call, key in rows], size)


def _statement(
    filters: Filters, order: _Order, anchor: _Anchor | None, limit: int
) -> Select[tuple[LlmCall, Any]]:
    statement = select(LlmCall, order.key)
    if order.along_tags:
        # Its index has a tag's calls in order: so many are read as are shown, of however many there are.
        leading = next(tag for tag in filters.tags if tag[1] is not None)
        others = replace(filters, range=None, tags=tuple(tag for tag in filters.tags if tag != leading))
        statement = statement.join(CallTag, CallTag.call_id == LlmCall.id).where(
            CallTag.key == leading[0],
            CallTag.value == leading[1],
            *in_range(CallTag.occurred_at, filters.range),
            *others.conditions(),
        )
    else:
        statement = statement.where(*filters.conditions())
    if anchor is not None:
        statement = statement.where(order.beyond(anchor))
    return statement.order_by(*order.ordering(anchor.way if anchor else "next")).limit(limit)


def _page(order: _Order, anchor: _Anchor | None, found: list[tuple[LlmCall, _SortKey]], size: int) -> Page:
    way = anchor.way if anchor else "next"
    # One row more than asked for says whether it goes on; on the other side there is the anchor itself.
    goes_on = len(found) > size
    rows = found[:size] if way == "next" else found[:size][::-1]
    has_next, has_previous = (goes_on, anchor is not None) if way == "next" else (True, goes_on)
    return Page(
        calls=tuple(call for call, _ in rows),
        sort=order.sort,
        direction=order.direction,
        size=size,
        next=_encoded(order, "next", rows[-1]) if rows and has_next else None,
        previous=_encoded(order, "previous", rows[0]) if rows and has_previous else None,
    )


def _encoded(order: _Order, way: _Way, edge: tuple[LlmCall, _SortKey]) -> str:
    call, key = edge
    told: int | str | None
    if isinstance(key, datetime):
        told = (key - _EPOCH) // _MICROSECOND
    else:
        told = str(key) if order.sort == "cost" and key is not None else key if key is None else int(key)
    text = json.dumps([order.sort, order.direction, way, told, call.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(cursor: str, order: _Order) -> _Anchor:
    """:raises InvalidFilterError: it is none of ours, or of another sort or direction."""
    sort, direction, way, told, call_id = _parts(cursor)
    if (sort, direction) != (order.sort, order.direction):
        raise InvalidFilterError("cursor", "it belongs to another sort; begin at the first page")
    if way not in ("next", "previous") or type(call_id) is not int or call_id not in _INTEGERS:
        raise _refused()
    return _Anchor(way, _sort_key(told, order.sort), call_id)


def _parts(cursor: str) -> list[Any]:
    if not isinstance(cursor, str) or len(cursor) > _CURSOR_LENGTH:
        raise _refused()
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = json.loads(text)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _refused() from error
    if not isinstance(parts, list) or len(parts) != 5:
        raise _refused()
    return parts


def _sort_key(told: object, sort: str) -> _SortKey:
    if told is None and sort != "recent":
        return None
    if sort == "cost":
        return _cost(told)
    if type(told) is not int or told not in _INTEGERS:
        raise _refused()
    if sort != "recent":
        return told
    try:
        return _EPOCH + told * _MICROSECOND
    except OverflowError as error:
        raise _refused() from error


def _cost(told: object) -> Decimal:
    if not isinstance(told, str):
        raise _refused()
    try:
        cost = Decimal(told)
    except InvalidOperation as error:
        raise _refused() from error
    # Within what NUMERIC(24, 12) holds, and what SQLite's integers can be compared with.
    if not cost.is_finite() or abs(cost) > 10**6:
        raise _refused()
    return cost


def _refused() -> InvalidFilterError:
    return InvalidFilterError("cursor", "it is not one of this ledger's pages; begin at the first page")
