"""Both sides of a comparison, added up by the database: what the provider says, and what the ledger holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import case
from sqlalchemy import func
from sqlalchemy import select

from ..ledger.rows import CALLS
from ..ledger.rows import LINE_ITEMS
from ..money import EXACT
from .coverage import consecutive
from .dimensions import DAY
from .dimensions import LINE_ITEM
from .dimensions import Dimension
from .line import CALLS as CALL_COUNT
from .source import start_of
from .store import LINES

#: Values of the dimensions, in their order.
Key = tuple[str | date | None, ...]
Days = Mapping[date, Sequence[str]]
_ZERO = Decimal(0)


@dataclass(slots=True)
class Told:
    """What the provider says of one key.

    :param rounding: by how much all its lines together may be off, as they were written.
    """

    amount: Decimal = _ZERO
    rounding: Decimal = _ZERO
    lines: int = 0


@dataclass(slots=True)
class Recorded:
    """What the ledger holds of one key. ``unknown`` calls have no known cost, or one that is not whole."""

    amount: Decimal = _ZERO
    calls: int = 0
    unknown: int = 0


def told_costs(
    connection: Connection, provider: str, days: Days, split: Sequence[Dimension]
) -> dict[tuple[str, Key], Told]:
    """By currency and key the amounts of cost lines."""
    column = LINES.columns
    found: dict[tuple[str, Key], Told] = defaultdict(Told)
    sums = (func.sum(column.amount), func.sum(column.rounding), func.count())
    for currency, key, row in _told(connection, provider, days, split, column.currency, sums, ("cost",)):
        told = found[currency or "", key]
        told.amount = EXACT.add(told.amount, row[0])
        told.rounding = EXACT.add(told.rounding, row[1] or _ZERO)
        told.lines += row[2]
    return found


def told_usage(
    connection: Connection, provider: str, days: Days, split: Sequence[Dimension]
) -> dict[tuple[str, Key], Decimal]:
    """By component and key the quantities of usage lines."""
    column = LINES.columns
    found: dict[tuple[str, Key], Decimal] = defaultdict(Decimal)
    sums = (func.sum(column.quantity),)
    for component, key, row in _told(connection, provider, days, split, column.component, sums, ("usage",)):
        found[component or "", key] = EXACT.add(found[component or "", key], row[0])
    return found


def _told(
    connection: Connection,
    provider: str,
    days: Days,
    split: Sequence[Dimension],
    first: ColumnElement[Any],
    sums: Sequence[ColumnElement[Any]],
    row_types: Sequence[str],
) -> Iterator[tuple[str | None, Key, Sequence[Any]]]:
    column = LINES.columns
    by_day = any(each.name == DAY for each in split)
    names = [first, *(each.theirs for each in split)]
    for last_sources, span in _spans(days, by_day):
        statement = (
            select(*names, *sums)
            .where(
                column.provider == provider,
                column.source.in_(last_sources),
                column.row_type.in_(row_types),
                column.bucket_start >= start_of(span[0]),
                column.bucket_start < start_of(span[1]) + timedelta(days=1),
            )
            .group_by(*names)
        )
        for row in connection.execute(statement):
            key = tuple(
                value.date() if isinstance(value, datetime) else value for value in row[1 : len(names)]
            )
            yield row[0], key, row[len(names) :]


def _spans(days: Days, by_day: bool) -> Iterator[tuple[tuple[str, ...], tuple[date, date]]]:
    """Runs of days that have the same sources; single days where they are split by day."""
    by_sources: dict[tuple[str, ...], list[date]] = defaultdict(list)
    for day, sources in days.items():
        by_sources[tuple(sorted(sources))].append(day)
    for sources, some in by_sources.items():
        for span in [(day, day) for day in some] if by_day else consecutive(some):
            yield sources, span


def recorded_costs(
    connection: Connection, provider: str, days: Iterable[date], split: Sequence[Dimension]
) -> dict[Key, Recorded]:
    """By key what calls have cost; of their line items where they are split by these."""
    call, item = CALLS.columns, LINE_ITEMS.columns
    by_item = any(each.name == LINE_ITEM for each in split)
    status = item.cost_status if by_item else call.cost_status
    unknown = func.count(case((status.in_(("unknown", "partial")), 1)))
    amount = func.sum(item.cost if by_item else call.total_cost)
    found: dict[Key, Recorded] = defaultdict(Recorded)
    for key, row in _recorded(connection, provider, days, split, (amount, func.count(), unknown), by_item):
        recorded = found[key]
        recorded.amount = EXACT.add(recorded.amount, row[0] or _ZERO)
        recorded.calls += row[1]
        recorded.unknown += row[2]
    # Calls that cost nothing are no side of a bill: a refused one, or one that failed.
    return {key: each for key, each in found.items() if each.amount or each.unknown}


def recorded_usage(
    connection: Connection, provider: str, days: Sequence[date], split: Sequence[Dimension]
) -> dict[tuple[str, Key], Decimal]:
    """By component and key the quantities of line items, and how many calls were answered."""
    item = LINE_ITEMS.columns
    component = Dimension("component", "", item.component, item.component)
    found: dict[tuple[str, Key], Decimal] = {}
    sums = (func.sum(item.quantity),)
    for key, row in _recorded(connection, provider, days, [component, *split], sums, True):
        found[str(key[0]), key[1:]] = EXACT.add(found.get((str(key[0]), key[1:]), _ZERO), row[0])
    answered = func.count(case((CALLS.columns.status == "ok", 1)))
    for key, row in _recorded(connection, provider, days, split, (answered,), False):
        found[CALL_COUNT, key] = found.get((CALL_COUNT, key), _ZERO) + row[0]
    return {key: quantity for key, quantity in found.items() if quantity}


def _recorded(
    connection: Connection,
    provider: str,
    days: Iterable[date],
    split: Sequence[Dimension],
    sums: Sequence[ColumnElement[Any]],
    by_item: bool,
) -> Iterator[tuple[Key, Sequence[Any]]]:
    call = CALLS.columns
    by_day = any(each.name == DAY for each in split)
    # A database groups by columns only; days and what the ledger does not know are put in afterwards.
    known = [each for each in split if each.ours is not None]
    tables = CALLS.join(LINE_ITEMS, LINE_ITEMS.columns.call_id == call.id) if by_item else CALLS
    for first, last in [(day, day) for day in sorted(days)] if by_day else consecutive(days):
        names = [each.ours for each in known if each.ours is not None]
        statement = (
            select(*sums, *names)
            .select_from(tables)
            .where(
                call.provider == provider,
                call.occurred_at >= start_of(first),
                call.occurred_at < start_of(last) + timedelta(days=1),
            )
            .group_by(*names)
        )
        for row in connection.execute(statement):
            values = dict(zip((each.name for each in known), row[len(sums) :], strict=True))
            values[DAY] = first
            yield tuple(values.get(each.name) for each in split), row[: len(sums)]
