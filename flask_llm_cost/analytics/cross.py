"""Costs by two dimensions at once: a table whose rows and columns each add up to the total of the filter."""

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
from sqlalchemy import literal_column
from sqlalchemy.orm import Session

from .dimensions import Dimension
from .dimensions import dimension
from .filters import Filters
from .measures import COSTS
from .measures import costs_of
from .measures import labelled
from .planner import plan
from .planner import read_calls
from .ranking import check_limit
from .ranking import rank
from .values import Costs

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
        found = rank(session, plan(session, filters, by=by)(filters).only(COSTS), limit)
        sides.append((by, tuple(row["value"] for row in found.kept), found.rest_values))
    (by_row, row_values, more_rows), (by_column, column_values, more_columns) = sides
    statement = _statement(filters, (by_row, row_values), (by_column, column_values))
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


#: A dimension and the values of it that are shown.
_Side = tuple[Dimension, Sequence[str | None]]


def _statement(filters: Filters, rows: _Side, columns: _Side) -> Select[Any]:
    """Of the calls: no rollups are kept apart by enough to be split twice."""
    source = read_calls(filters).only(COSTS)
    numbers = [
        _number(by.column, values).label(name)
        for name, (by, values) in (("row_number", rows), ("column_number", columns))
    ]
    statement = source.select(*numbers, *labelled(source.sums))
    for by, _ in (rows, columns):
        statement = by.beside(statement)
    return statement.group_by("row_number", "column_number")


def _number(column: Any, values: Sequence[str | None]) -> ColumnElement[int]:
    rest: ColumnElement[int] = literal_column(str(len(values)))
    # == None is IS NULL.
    whens: list[tuple[ColumnElement[bool], ColumnElement[int]]] = [
        (column == value, literal_column(str(number))) for number, value in enumerate(values)
    ]
    return case(*whens, else_=rest) if whens else rest
