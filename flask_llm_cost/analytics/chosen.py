"""The costs of chosen values of a dimension, such as those that another period's report shows."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func
from sqlalchemy import null
from sqlalchemy import or_
from sqlalchemy.orm import Session

from .dimensions import dimension
from .filters import Filters
from .measures import COSTS
from .measures import costs_of
from .measures import labelled
from .planner import plan
from .values import Costs


def costs_of_values(
    session: Session, filters: Filters, name: str, values: Sequence[str | None]
) -> dict[str | None, Costs]:
    """What these values of a dimension cost; one that has no calls is left out."""
    by = dimension(name)
    source = plan(session, filters, by=by)(filters).only(COSTS)
    wanted = [source.value.in_([value for value in values if value is not None])]
    if None in values:
        wanted.append(source.value.is_(None))
    value = func.coalesce(source.value, null())  # an expression: no index of the column is walked through
    statement = source.select(value.label("split_value"), *labelled(source.sums))
    rows = session.execute(statement.where(or_(*wanted)).group_by("split_value")).mappings()
    return {row["split_value"]: costs_of([row]) for row in rows}
