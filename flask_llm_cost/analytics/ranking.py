"""Sums per value, ranked by the database: the dearest values each in a row, the rest folded into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import Float
from sqlalchemy import RowMapping
from sqlalchemy import Select
from sqlalchemy import SQLColumnExpression
from sqlalchemy import case
from sqlalchemy import func
from sqlalchemy import null
from sqlalchemy import select
from sqlalchemy import type_coerce
from sqlalchemy.orm import Session

from ..errors import InvalidFilterError
from ..money import EXACT
from ..money import to_scale
from ..usage import INPUT_FIELDS
from .dimensions import choice
from .filters import Filters
from .measures import COSTS
from .measures import MEASURES
from .measures import Row
from .measures import Sums
from .measures import added
from .measures import labelled
from .measures import sums_of_groups
from .measures import without
from .planner import Plan
from .planner import Source
from .sheet import by_value
from .sheet import costs_by_tag
from .sheet import rows_of
from .totals import sums
from .values import OUTPUT_FIELDS

_SHARE_SCALE = 6


@dataclass(frozen=True, slots=True)
class Ranked:
    """Result rows with the source's measures: ``kept`` with their values, ``rest`` none or one.

    :param rest_values: how many values are in ``rest``.
    """

    kept: Sequence[Row]
    rest: Sequence[Row]
    rest_values: int


#: What values can be put in order by.
ORDERS = ("cost", "calls", "failed", "input", "output", "average", "latency", "name")


@dataclass(frozen=True, slots=True)
class Order:
    """In which order values come. What is not known comes last both ways."""

    name: str = "cost"
    direction: str = "desc"

    def __post_init__(self) -> None:
        choice("sort", self.name, ORDERS)
        choice("direction", self.direction, ("desc", "asc"))

    def key(self, sums: Sums, value: SQLColumnExpression[Any]) -> SQLColumnExpression[Any]:
        """What is compared."""
        if self.name in ("cost", "calls", "failed"):
            return sums[{"cost": "total_cost", "calls": "calls", "failed": "failed_calls"}[self.name]]
        if self.name == "name":
            return value
        if self.name == "average":
            # For the order alone: the average itself is made in Python, from the exact sum.
            return type_coerce(sums["total_cost"], Float()) * 1.0 / func.nullif(sums["priced_calls"], 0)
        if self.name == "latency":
            return sums["latency_ms"] * 1.0 / func.nullif(sums["timed_calls"], 0)
        names = INPUT_FIELDS if self.name == "input" else OUTPUT_FIELDS
        total: ColumnElement[Any] = func.coalesce(sums[names[0]], 0)
        for name in names[1:]:
            total = total + func.coalesce(sums[name], 0)
        return total

    def ordered(self, sums: Sums, value: SQLColumnExpression[Any]) -> list[SQLColumnExpression[Any]]:
        """ORDER BY, the same for two values only where they are one."""
        key = self.key(sums, value)
        told = key.desc() if self.direction == "desc" else key.asc()
        return [key.is_(None), told, sums["calls"].desc(), value]


DEAREST_FIRST = Order()


def rank(session: Session, source: Source, limit: int | None, order: Order = DEAREST_FIRST) -> Ranked:
    """The values of a split ``source`` with its sums, in ``order``."""
    rows = session.execute(fold(_ranked(source, order), limit, ("value",), source.sums)).mappings().all()
    return kept_and_rest(rows, limit)


def ranked(
    session: Session,
    read: Plan,
    filters: Filters,
    limit: int | None,
    names: Sequence[str] = MEASURES,
    order: Order = DEAREST_FIRST,
) -> Ranked:
    """The values of a planned split, with the measures called ``names`` or more, in ``order``."""
    if order != DEAREST_FIRST:
        return rank(session, read(filters).only(names), limit, order)
    values = _values(session, read, filters, names)
    if values is None:
        dearest = _dearest(session, read, filters, limit, names) if limit is not None else None
        return dearest or rank(session, read(filters).only(names), limit)
    found = sorted(values, key=_dearest_first)
    if limit is None or len(found) <= limit:
        return Ranked(found, (), 0)
    return Ranked(found[:limit], [added(found[limit:])], len(found) - limit)


def _values(session: Session, read: Plan, filters: Filters, names: Sequence[str]) -> Sequence[Row] | None:
    """Every value with its sums, where they are few and need no further statement."""
    if read.by is None:
        return None
    if (rows := rows_of(session, read, filters)) is not None:
        values = by_value(rows, read.by.name)
        return [{"value": value, **added(values[value], names)} for value in values]
    return costs_by_tag(session, read, filters) if set(names) <= set(COSTS) else None


def _dearest(
    session: Session, read: Plan, filters: Filters, limit: int, names: Sequence[str]
) -> Ranked | None:
    """The dearest values by nothing but their cost, then all sums of these alone: the others are what is left
    of all calls. ``None`` where that is no quicker, or where costs do not tell which ones come first.
    """
    if not read.has_weeks or set(names) <= set(COSTS):
        return None  # of few values or few sums all are added up at once
    first = session.execute(_by_cost(read(filters), limit + 1)).all()
    if len(first) <= limit or first[limit - 1].total_cost in (None, first[limit].total_cost):
        return None
    values = [row.value for row in first[:limit]]
    source = read(filters, values).only(names)
    statement = source.select(_value(source).label("split_value"), *labelled(source.sums))
    rows = session.execute(statement.group_by("split_value")).mappings()
    kept = sorted(({"value": row["split_value"], **added([row])} for row in rows), key=_dearest_first)
    rest = without(added(sums(session, filters, names)), added(kept))
    return Ranked(kept, [rest], int(first[0].value_count) - limit)


def _by_cost(source: Source, limit: int) -> Select[Any]:
    """The dearest values with their costs, and how many values there are."""
    costs = source.only(("priced_calls", "total_cost")).sums
    found = source.select(_value(source).label("split_value"), *labelled(costs))
    each = found.group_by("split_value").subquery()
    cost = each.c.total_cost
    columns = (each.c.split_value.label("value"), cost, func.count().over().label("value_count"))
    return select(*columns).order_by(cost.is_(None), cost.desc()).limit(limit)


def _value(source: Source) -> SQLColumnExpression[Any]:
    """What is grouped by: an expression instead of the column. To group in a column's order, MariaDB and
    SQLite would walk through the whole index of it and fetch row by row, five times slower than reading the
    range once.
    """
    return source.value if source.name == "tags" else func.coalesce(source.value, null())


def _dearest_first(sums: Row) -> tuple[bool, Decimal, int, str]:
    cost: Decimal | None = sums["total_cost"]
    return cost is None, -(cost or Decimal(0)), -sums["calls"], sums["value"] or ""


def kept_and_rest(rows: Sequence[RowMapping], limit: int | None) -> Ranked:
    """The rows of a folded statement, apart."""
    if limit is None:
        return Ranked(rows, (), 0)
    kept = [row for row in rows if row["position"] <= limit]
    rest = rows[len(kept) :]
    return Ranked(kept, rest, sum(int(row["value_count"]) for row in rest))


def check_limit(limit: int | None) -> None:
    """:raises InvalidFilterError: ``limit`` is neither ``None`` nor a whole number above zero."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise InvalidFilterError("limit", f"a whole number above zero or None, got {limit!r}")


def share(cost: Decimal | None, total: Decimal | None) -> Decimal | None:
    """The part of ``total`` that ``cost`` is; ``None`` where either is unknown or the total is zero."""
    if cost is None or not total:
        return None
    return to_scale(EXACT.divide(cost, total), _SHARE_SCALE)


def fold(ranked: Select[Any], limit: int | None, values: Sequence[str], sums: Sums) -> Select[Any]:
    """The first ``limit`` rows by their ``position``, and what is left in one row behind them.

    :param values: the columns that the rows are split by.
    :param sums: the measures, each a column of that name.
    """
    rows = ranked.subquery()
    if limit is None:
        return select(rows).order_by(rows.c.position)
    position: ColumnElement[int] = case((rows.c.position <= limit, rows.c.position), else_=limit + 1)
    placed = select(rows, position.label("place")).subquery()
    return (
        select(
            placed.c.place.label("position"),
            *(func.min(placed.c[name]).label(name) for name in values),
            func.count().label("value_count"),
            *labelled(sums_of_groups(placed, sums)),
        )
        .group_by(placed.c.place)
        .order_by(placed.c.place)
    )


def _ranked(source: Source, order: Order) -> Select[Any]:
    # By name, and ranked around it: in MySQL's mode, MariaDB knows no expression again that it groups by.
    found = source.select(_value(source).label("split_value"), *labelled(source.sums))
    each = found.group_by("split_value").subquery()
    value, named = each.c.split_value, {name: each.c[name] for name in source.sums}
    position = func.row_number().over(order_by=order.ordered(named, value))
    return select(value.label("value"), position.label("position"), *named.values())
