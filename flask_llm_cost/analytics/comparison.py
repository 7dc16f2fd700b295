"""What some values of a dimension cost: to hold the rows of a table against another period."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func
from sqlalchemy import null
from sqlalchemy.orm import Session

from .dimensions import dimension
from .filters import Filters
from .measures import COSTS
from .measures import costs_of
from .measures import labelled
from .planner import plan
from .sheet import by_value
from .sheet import rows_of
from .values import Costs


def spend_of(
    session: Session, filters: Filters, name: str, values: Collection[str | None]
) -> dict[str | None, Costs]:
    """The costs of each of ``values`` that has calls, ``None`` for the calls without a value."""
    by = dimension(name)
    read = plan(session, filters, by=by)
    if (rows := rows_of(session, read, filters)) is not None:
        return {value: costs_of(found) for value, found in by_value(rows, name).items() if value in values}
    source = read(filters, values).only(COSTS)
    value = func.coalesce(source.value, null())  # an expression: no index of the column is walked through
    statement = source.select(value.label("split_value"), *labelled(source.sums)).group_by("split_value")
    return {row["split_value"]: costs_of([row]) for row in session.execute(statement).mappings()}
