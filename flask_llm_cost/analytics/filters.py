"""What a query narrows the calls to: validated values, and the SQL conditions they become."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import SQLColumnExpression
from sqlalchemy import and_
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from ..errors import InvalidFilterError
from ..identity import identity
from ..identity import trackable_identity
from ..ledger import CallTag
from ..ledger import LlmCall
from ..sanitize import clean_value
from ..sanitize import plain_text
from .dimensions import CLOSED
from .dimensions import COLUMNS
from .dimensions import DIMENSIONS
from .dimensions import FLAGS
from .dimensions import choice
from .dimensions import tag_key

#: Aware and half-open: the start is in, the end is out.
DateRange = tuple[datetime, datetime]
#: The same, with ends that may be open.
Span = tuple[datetime | None, datetime | None]
_TAG = "tag:"
#: The name of the condition that a call has no tag at all.
_ANY_TAG = "any_tag"


class Told(Enum):
    """The value of a condition that a column has any value at all."""

    TOLD = "told"


@dataclass(frozen=True, slots=True)
class Besides:
    """The condition that a value is none of these; ``None`` stands for having none."""

    values: tuple[str | None, ...]


#: What is asked of one column. With ``tag:KEY`` in the place of a column it is asked of a tag.
Condition = str | bool | Told | Besides | None


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that all hold. A second one on the same column narrows further; it never replaces.

    So a query that was narrowed to a tenant cannot be widened by a filter added later. The range of time
    is one, and a new one takes the old one's place.
    """

    columns: tuple[tuple[str, Condition], ...] = ()
    tags: tuple[tuple[str, str | None], ...] = ()
    range: DateRange | None = None

    def where(self, wanted: Mapping[str, object]) -> Filters:
        """Narrow by columns; ``None`` asks for calls without a value."""
        found = tuple((choice("filter", name, COLUMNS), _column_value(name, wanted[name])) for name in wanted)
        return replace(self, columns=tuple(dict.fromkeys((*self.columns, *found))))

    def tagged(self, wanted: Mapping[str, object]) -> Filters:
        """Narrow by tags; ``None`` and ``""`` ask for calls without that tag."""
        found = tuple((tag_key(key, "tag"), _tag_value(key, value)) for key, value in wanted.items())
        return replace(self, tags=tuple(dict.fromkeys((*self.tags, *found))))

    def user(self, user: object) -> Filters:
        """Narrow to one user, given as an id or as the host's object."""
        user_id = identity(user)
        if user_id is None:
            raise InvalidFilterError(
                "user",
                f"a {type(user).__name__} has no id; where(user_id=None) asks for calls without a user",
            )
        return self.where({"user_id": user_id})

    def trackable(self, trackable: object) -> Filters:
        """Narrow to the object that calls are about, given as itself or as (type, id)."""
        pair = trackable_identity(trackable)
        if pair is None:
            raise InvalidFilterError(
                "trackable", f"a stored model object or a (type, id) pair, got a {type(trackable).__name__}"
            )
        found = (("trackable_type", pair[0]), ("trackable_id", pair[1]))
        return replace(self, columns=tuple(dict.fromkeys((*self.columns, *found))))

    def told(self, column: str) -> Filters:
        """Narrow to calls that have a value in a column, which can be any."""
        return replace(self, columns=tuple(dict.fromkeys((*self.columns, (column, Told.TOLD)))))

    def untold(self, column: str) -> Filters:
        """Narrow to calls that have none."""
        return replace(self, columns=tuple(dict.fromkeys((*self.columns, (column, None)))))

    def besides(self, dimension: str, values: Iterable[object]) -> Filters:
        """Narrow to calls with none of these values of a column or ``tag:KEY``; ``None`` is having none."""
        if dimension.startswith(_TAG):
            key = tag_key(dimension.removeprefix(_TAG), "tag")
            found = Besides(tuple(_tag_value(key, value) for value in values))
        else:
            choice("filter", dimension, DIMENSIONS)
            found = Besides(tuple(_text(dimension, value) for value in values))
        return replace(self, columns=tuple(dict.fromkeys((*self.columns, (dimension, found)))))

    def untagged(self) -> Filters:
        """Narrow to calls without any tag."""
        return replace(self, columns=tuple(dict.fromkeys((*self.columns, (_ANY_TAG, None)))))

    def conditions(self) -> list[ColumnElement[bool]]:
        """The WHERE clause over ``llm_cost_calls``, to be joined by AND."""
        found = in_range(LlmCall.occurred_at, self.range)
        found += [_column_condition(name, value) for name, value in self.columns]
        found += [self._tag_condition(key, value) for key, value in self.tags]
        return found

    def _tag_condition(self, key: str, value: str | None) -> ColumnElement[bool]:
        if value is None:
            here = select(1).where(CallTag.call_id == LlmCall.id, CallTag.key == key)
            return ~here.correlate(LlmCall).exists()
        # The range once more: it makes the subquery read a span of the (key, value, occurred_at) index.
        there = select(CallTag.call_id).where(
            CallTag.key == key, CallTag.value == value, *in_range(CallTag.occurred_at, self.range)
        )
        return LlmCall.id.in_(there)


#: Every call.
NO_FILTERS = Filters()

#: Columns of which one value leads to few calls by an index.
INDEXED = ("user_id", "trackable_type", "trackable_id")


def in_span(column: SQLColumnExpression[datetime], span: Span) -> list[ColumnElement[bool]]:
    """The conditions that keep ``column`` in the half-open ``span``, whose ends may be open."""
    start, end = span
    found = [] if start is None else [column >= start]
    return found if end is None else [*found, column < end]


def in_range(column: InstrumentedAttribute[datetime], span: DateRange | None) -> list[ColumnElement[bool]]:
    """The conditions that keep ``column`` in the half-open ``span``."""
    return [] if span is None else [and_(column >= span[0], column < span[1])]


def holds(column: InstrumentedAttribute[Any], condition: Condition) -> ColumnElement[bool]:
    """``condition`` of a column of calls or of rollups."""
    if condition is Told.TOLD:
        return column.is_not(None)
    if isinstance(condition, Besides):
        named = column.not_in([value for value in condition.values if value is not None])
        return and_(column.is_not(None), named) if None in condition.values else or_(column.is_(None), named)
    # IS NULL for None, = for everything else: SQLAlchemy's == does both.
    found: ColumnElement[bool] = column == condition
    return found


def _besides_tags(key: str, found: Besides) -> ColumnElement[bool]:
    named = [value for value in found.values if value is not None]
    here = select(1).where(CallTag.call_id == LlmCall.id, CallTag.key == key).correlate(LlmCall)
    if None in found.values:
        return here.where(CallTag.value.not_in(named)).exists()
    return ~here.where(CallTag.value.in_(named)).exists()


def _column_condition(name: str, value: Condition) -> ColumnElement[bool]:
    if name == _ANY_TAG:
        return ~select(1).where(CallTag.call_id == LlmCall.id).correlate(LlmCall).exists()
    if isinstance(value, Besides) and name.startswith(_TAG):
        return _besides_tags(name.removeprefix(_TAG), value)
    if name == "failed":
        return LlmCall.status != "ok" if value else LlmCall.status == "ok"
    if name == "retried":
        return LlmCall.attempts > 1 if value else LlmCall.attempts <= 1
    return holds(getattr(LlmCall, name), value)


def _column_value(name: str, value: object) -> str | bool | None:
    if name in FLAGS:
        if not isinstance(value, bool):
            raise InvalidFilterError(name, f"True or False, got {type(value).__name__}")
        return value
    return _text(name, value)


def _text(name: str, value: object) -> str | None:
    if value is None:
        return None
    text = None if isinstance(value, bool) else plain_text(value)
    if text is None:
        raise InvalidFilterError(name, f"a text or None, got {type(value).__name__}")
    if "\x00" in text or not _is_unicode(text):
        raise InvalidFilterError(name, "a text without NUL characters and lone surrogates")
    return choice(name, text, CLOSED[name]) if name in CLOSED else text


def _tag_value(key: str, value: object) -> str | None:
    if value is None:
        return None
    text = plain_text(value)
    if text is None:
        text = identity(value)
    if text is None:
        raise InvalidFilterError(f"tag {key}", f"a {type(value).__name__} is no tag value")
    # Cleaned as it was when it was stored, or it could not be found.
    return clean_value(text) or None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
