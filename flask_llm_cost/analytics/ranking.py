"""Sums per value, ranked by the database: the dearest values each in a row, the rest folded into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
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
from ..money import EXACT
from ..money import to_scale
from .measures import labelled
from .measures import sums_of_groups
from .planner import Source

_SHARE_SCALE = 6


@dataclass(frozen=True, slots=True)
class Ranked:
    """Result rows with the source's measures: ``kept`` with a ``value`` each, ``rest`` none or one.

    :param rest_values: how many values are in ``rest``.
    """

    kept: Sequence[RowMapping]
    rest: Sequence[RowMapping]
    rest_values: int


def rank(session: Session, source: Source, limit: int | None) -> Ranked:
    """The values of a split ``source`` with its sums, dearest first, without a known cost last."""
    rows = session.execute(_statement(source, limit)).mappings().all()
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


def _statement(source: Source, limit: int | None) -> Select[Any]:
    ranked = _ranked(source).subquery()
    if limit is None:
        return select(ranked).order_by(ranked.c.position)
    position: ColumnElement[int] = case((ranked.c.position <= limit, ranked.c.position), else_=limit + 1)
    placed = select(ranked, position.label("place")).subquery()
    return (
        select(
            placed.c.place.label("position"),
            func.min(placed.c.value).label("value"),
            func.count().label("value_count"),
            *labelled(sums_of_groups(placed, source.sums)),
        )
        .group_by(placed.c.place)
        .order_by(placed.c.place)
    )


def _ranked(source: Source) -> Select[Any]:
    column = source.value
    if source.name != "tags":
        # An expression instead of the column: to group in its order, MariaDB and SQLite would walk through
        # the whole index of the column and fetch row by row, five times slower than reading the range once.
        column = func.coalesce(source.value, null())
    # By name, and ranked around it: in MySQL's mode, MariaDB knows no expression again that it groups by.
    sums = (
        source.select(column.label("split_value"), *labelled(source.sums)).group_by("split_value").subquery()
    )
    cost, calls, value = sums.c.total_cost, sums.c.calls, sums.c.split_value
    position = func.row_number().over(order_by=(cost.is_(None), cost.desc(), calls.desc(), value))
    return select(value.label("value"), position.label("position"), *(sums.c[name] for name in source.sums))
