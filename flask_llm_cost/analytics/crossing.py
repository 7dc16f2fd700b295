"""Calls by two dimensions at once, such as who uses which model: all their sums, in one statement."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import RowMapping
from sqlalchemy import Select
from sqlalchemy import case
from sqlalchemy import func
from sqlalchemy import null
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import InvalidFilterError
from ..ledger import LlmCall
from .dimensions import Dimension
from .dimensions import dimension
from .filters import Filters
from .measures import labelled
from .measures import sums_of_calls
from .measures import sums_of_groups
from .measures import totals_of
from .ranking import check_limit
from .ranking import share
from .values import TOTALS
from .values import Crossing
from .values import CrossingRow
from .values import Totals


def crossing(session: Session, filters: Filters, names: tuple[str, str], limit: int | None) -> Crossing:
    """Split the calls by two dimensions; at most ``limit`` pairs of their own, then "other"."""
    if names[0] == names[1]:
        raise InvalidFilterError("dimension", f"two different ones are needed, got {names[0]!r} twice")
    by = (dimension(names[0]), dimension(names[1]))
    check_limit(limit)
    rows = session.execute(_statement(_ranked(filters, by), limit)).mappings().all()
    kept = [row for row in rows if limit is None or row["position"] <= limit]
    rest = rows[len(kept) :]
    total = totals_of(rows)
    return Crossing(
        dimensions=names,
        rows=tuple(_row((row["first"], row["second"]), row, total) for row in kept),
        other=_row((None, None), rest[0], total) if rest else None,
        other_values=int(rest[0]["value_count"]) if rest else 0,
        total=total,
    )


def _row(values: tuple[str | None, str | None], sums: RowMapping, total: Totals) -> CrossingRow:
    own = totals_of([sums])
    return CrossingRow(
        values=values,
        share=share(own.total_cost, total.total_cost),
        **{name: getattr(own, name) for name in TOTALS},
    )


def _ranked(filters: Filters, by: tuple[Dimension, Dimension]) -> Select[Any]:
    """Every pair of values with its sums and its place, dearest first, without a known cost last."""
    # Expressions, so that no index of one column is walked through; see ranking.
    first, second = (func.coalesce(each.column, null()) for each in by)
    sums = sums_of_calls()
    cost, calls = sums["total_cost"], sums["calls"]
    position = func.row_number().over(order_by=(cost.is_(None), cost.desc(), calls.desc(), first, second))
    columns = (first.label("first"), second.label("second"), position.label("position"), *labelled(sums))
    statement = select(*columns).select_from(LlmCall)
    for each in by:
        statement = each.beside(statement)
    return statement.where(*filters.conditions()).group_by(first, second)


def _statement(every_pair: Select[Any], limit: int | None) -> Select[Any]:
    """The first ``limit`` pairs, and what is left folded into one row behind them."""
    ranked = every_pair.subquery()
    if limit is None:
        return select(ranked).order_by(ranked.c.position)
    position: ColumnElement[int] = case((ranked.c.position <= limit, ranked.c.position), else_=limit + 1)
    placed = select(ranked, position.label("place")).subquery()
    return (
        select(
            placed.c.place.label("position"),
            func.min(placed.c.first).label("first"),
            func.min(placed.c.second).label("second"),
            func.count().label("value_count"),
            *labelled(sums_of_groups(placed, sums_of_calls())),
        )
        .group_by(placed.c.place)
        .order_by(placed.c.place)
    )
