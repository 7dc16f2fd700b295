"""Calls by two dimensions at once: as a table whose rows and columns each add up to the total of the filter,
or as a list of pairs of values, such as who uses which model.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import Select
from sqlalchemy import case
from sqlalchemy import func
from sqlalchemy import literal_column
from sqlalchemy import null
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import InvalidFilterError
from .dimensions import Dimension
from .dimensions import dimension
from .filters import Filters
from .measures import COSTS
from .measures import Row
from .measures import costs_of
from .measures import labelled
from .measures import totals_of
from .planner import Source
from .planner import plan
from .planner import read_calls
from .planner import splits_beside
from .ranking import DEAREST_FIRST
from .ranking import check_limit
from .ranking import fold
from .ranking import kept_and_rest
from .ranking import ranked
from .ranking import share
from .values import TOTALS
from .values import Costs
from .values import Crossing
from .values import CrossingRow
from .values import Totals

#: Which row and which column a cell is in; one past the last value is "other".
_Place = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The values along one side, dearest first.

    :param values: ``None`` is the calls without a value.
    :param totals: one for each value, and one more for the others, where there are others.
    :param others: how many values are in "other".
    """

    dimension: str
    values: tuple[str | None, ...]
    totals: tuple[Costs, ...]
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cross:
    """Costs by two dimensions.

    :param cells: by row and column; those without calls are missing.
    :param total: the sum of all cells, which is that of either side.
    """

    rows: Axis
    columns: Axis
    cells: Mapping[_Place, Costs]
    total: Costs


def cross(session: Session, filters: Filters, rows: tuple[str, int], columns: tuple[str, int]) -> Cross:
    """Split the costs by two dimensions, each given as its name and how many values it shows."""
    sides = []
    for name, limit in (rows, columns):
        check_limit(limit)
        by = dimension(name)
        found = ranked(session, plan(session, filters, by=by), filters, limit, COSTS)
        sides.append((by, tuple(row["value"] for row in found.kept), found.rest_values))
    (by_row, row_values, more_rows), (by_column, column_values, more_columns) = sides
    statement = _cells(session, filters, (by_row, row_values), (by_column, column_values))
    cells = {
        (int(row["row_number"]), int(row["column_number"])): costs_of([row])
        for row in session.execute(statement).mappings()
    }
    return Cross(
        rows=_axis(rows[0], row_values, more_rows, cells, 0),
        columns=_axis(columns[0], column_values, more_columns, cells, 1),
        cells=MappingProxyType(cells),
        total=add_up(cells.values()),
    )


def add_up(costs: Iterable[Costs]) -> Costs:
    """The sum of costs, exact."""
    return costs_of([{name: getattr(each, name) for name in COSTS} for each in costs])


def _axis(
    name: str, values: tuple[str | None, ...], others: int, cells: Mapping[_Place, Costs], side: int
) -> Axis:
    count = len(values) + bool(others)
    totals = (
        add_up(costs for place, costs in cells.items() if place[side] == number) for number in range(count)
    )
    return Axis(dimension=name, values=values, totals=tuple(totals), others=others)


def pairs(session: Session, filters: Filters, names: tuple[str, str], limit: int | None) -> Crossing:
    """Split the calls by pairs of values with all their sums, dearest first; beyond ``limit`` in one row."""
    if names[0] == names[1]:
        raise InvalidFilterError("dimension", f"two different ones are needed, got {names[0]!r} twice")
    by = (dimension(names[0]), dimension(names[1]))
    check_limit(limit)
    source = read_calls(filters)
    statement = fold(_ranked(source, by), limit, ("first", "second"), source.sums)
    rows = session.execute(statement).mappings().all()
    found, total = kept_and_rest(rows, limit), totals_of(rows)
    return Crossing(
        dimensions=names,
        rows=tuple(_pair((row["first"], row["second"]), row, total) for row in found.kept),
        other=_pair((None, None), found.rest[0], total) if found.rest else None,
        other_values=found.rest_values,
        total=total,
    )


def _pair(values: tuple[str | None, str | None], sums: Row, total: Totals) -> CrossingRow:
    own = totals_of([sums])
    return CrossingRow(
        values=values,
        share=share(own.total_cost, total.total_cost),
        **{name: getattr(own, name) for name in TOTALS},
    )


def _ranked(source: Source, by: tuple[Dimension, Dimension]) -> Select[Any]:
    """Every pair of values with its sums and its place."""
    # Expressions, so that no index of one column is walked through; see ranking.
    first, second = (func.coalesce(each.column, null()) for each in by)
    pair = _split(source, by, {"first_value": first, "second_value": second}).subquery()
    named = {name: pair.c[name] for name in source.sums}
    order = [*DEAREST_FIRST.ordered(named, pair.c.first_value), pair.c.second_value]
    return select(
        pair.c.first_value.label("first"),
        pair.c.second_value.label("second"),
        func.row_number().over(order_by=order).label("position"),
        *named.values(),
    )


#: A dimension and the values of it that are shown.
_Side = tuple[Dimension, Sequence[str | None]]


def _cells(session: Session, filters: Filters, rows: _Side, columns: _Side) -> Select[Any]:
    names = ("row_number", "column_number")
    by, beside = rows[0], columns[0]
    if not splits_beside(beside):
        by, beside, rows, columns, names = beside, by, columns, rows, names[::-1]
    if not splits_beside(beside):
        numbers = {names[0]: _number(by.column, rows[1]), names[1]: _number(beside.column, columns[1])}
        return _split(read_calls(filters).only(COSTS), (by, beside), numbers)
    source = plan(session, filters, by=by, beside=beside)(filters).only(COSTS)
    found = ((source.value, rows[1]), (source.beside, columns[1]))
    labels = (_number(*each).label(name) for name, each in zip(names, found, strict=True))
    return source.select(*labels, *labelled(source.sums)).group_by(*names)


def _split(
    source: Source, by: tuple[Dimension, Dimension], keys: Mapping[str, ColumnElement[Any]]
) -> Select[Any]:
    """The sums per pair of ``keys``, which are made of two dimensions' columns.

    Of the calls: sums are kept apart by one tag or column, and by provider and model.
    """
    named = (expression.label(name) for name, expression in keys.items())
    statement = source.select(*named, *labelled(source.sums))
    for each in by:
        statement = each.beside(statement)
    return statement.group_by(*keys)


def _number(column: Any, values: Sequence[str | None]) -> ColumnElement[int]:
    rest: ColumnElement[int] = literal_column(str(len(values)))
    # == None is IS NULL.
    whens: list[tuple[ColumnElement[bool], ColumnElement[int]]] = [
        (column == value, literal_column(str(number))) for number, value in enumerate(values)
    ]
    return case(*whens, else_=rest) if whens else rest
