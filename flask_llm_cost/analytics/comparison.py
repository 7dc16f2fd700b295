"""What some values of a dimension cost: to hold the rows of a table against another period."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement
from sqlalchemy import false
from sqlalchemy import or_
from sqlalchemy.orm import Session

from .dimensions import dimension
from .filters import Filters
from .measures import COSTS
from .measures import costs_of
from .measures import labelled
from .planner import plan
from .values import Costs


def spend_of(
    session: Session, filters: Filters, name: str, values: Collection[str | None]
) -> dict[str | None, Costs]:
    """The costs of each of ``values`` that has calls, ``None`` for the calls without a value."""
    by = dimension(name)
    source = plan(session, filters, by=by)(filters).only(COSTS)
    column = source.value
    named = [value for value in values if value is not None]
    wanted: list[ColumnElement[bool]] = [column.in_(named)] if named else []
    if None in values:
        wanted.append(column.is_(None))
    statement = source.select(column.label("value"), *labelled(source.sums)).group_by(column)
    rows = session.execute(statement.where(or_(false(), *wanted))).mappings()
    return {row["value"]: costs_of([row]) for row in rows}
