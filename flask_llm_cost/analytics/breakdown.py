"""Calls by the values of a dimension, in one statement: the dearest values, and the rest in one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import Select
from sqlalchemy import case
from sqlalchemy import func
from sqlalchemy import null
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import InvalidFilterError
from ..money import EXACT
from ..money import to_scale
from .dimensions import Dimension
from .dimensions import dimension
from .filters import Filters
from .measures import labelled
from .measures import sums_of_groups
from .measures import totals_of
from .planner import Source
from .planner import plan
from .values import Breakdown
from .values import BreakdownRow
from .values import Totals

_SHARE_SCALE = 6
_SUMS = tuple(item.name for item in fields(Totals))


def breakdown(session: Session, filters: Filters, by: str, limit: int | None) -> Breakdown:
    """Split the calls by ``by``; at most ``limit`` values of their own, then "other"."""
    found = dimension(by)
    check_limit(limit)
    source = plan(session, filters, by=by)(filters)
    rows = session.execute(_statement(source, found, limit)).mappings().all()
    total = totals_of(rows)
    kept = [row for row in rows if limit is None or row["position"] <= limit]
    rest = [row for row in rows if limit is not None and row["position"] > limit]
    return Breakdown(
        dimension=by,
        rows=tuple(_row(row["value"], totals_of([row]), total) for row in kept),
        other=_row(None, totals_of(rest), total) if rest else None,
        other_values=sum(int(row["value_count"]) for row in rest),
        total=total,
    )


def check_limit(limit: int | None) -> None:
    """:raises InvalidFilterError: ``limit`` is neither ``None`` nor a whole number above zero."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise InvalidFilterError("limit", f"a whole number above zero or None, got {limit!r}")


def _statement(source: Source, by: Dimension, limit: int | None) -> Select[Any]:
    """Rank the values by cost in the database, then fold everything behind the limit into one row."""
    ranked = _ranked(source, by).subquery()
    if limit is None:
        return select(ranked).order_by(ranked.c.position)
    position: ColumnElement[int] = case((ranked.c.position <= limit, ranked.c.position), else_=limit + 1)
    placed = select(ranked, position.label("place")).subquery()
    return (
        select(
            placed.c.place.label("position"),
            func.min(placed.c.value).label("value"),
            func.count().label("value_count"),
            *labelled(sums_of_groups(placed)),
        )
        .group_by(placed.c.place)
        .order_by(placed.c.place)
    )


def _ranked(source: Source, by: Dimension) -> Select[Any]:
    # An expression instead of the column: to group in its order, MariaDB and SQLite walk through the whole
    # index of the column and fetch every row on its own, instead of reading the range once (five times slower).
    column = func.coalesce(by.column(source.entity), null())
    cost, calls = source.sums["total_cost"], source.sums["calls"]
    position = func.row_number().over(order_by=(cost.is_(None), cost.desc(), calls.desc(), column))
    columns = (column.label("value"), position.label("position"), *labelled(source.sums))
    return source.select(*columns, by=by).group_by(column)


def _row(value: str | None, sums: Totals, total: Totals) -> BreakdownRow:
    values: Mapping[str, Any] = {name: getattr(sums, name) for name in _SUMS}
    return BreakdownRow(value=value, share=_share(sums.total_cost, total.total_cost), **values)


def _share(cost: Decimal | None, total: Decimal | None) -> Decimal | None:
    if cost is None or not total:
        return None
    return to_scale(EXACT.divide(cost, total), _SHARE_SCALE)
