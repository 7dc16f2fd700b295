"""The sums of all calls that the filters let through."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from .filters import Filters
from .measures import COSTS
from .measures import MEASURES
from .measures import Row
from .measures import costs_of
from .measures import labelled
from .measures import totals_of
from .planner import plan
from .sheet import rows_of
from .values import Costs
from .values import Totals


def totals(session: Session, filters: Filters) -> Totals:
    """Counts, tokens, cost and latency."""
    return totals_of(_sums(session, filters, MEASURES))


def costs(session: Session, filters: Filters) -> Costs:
    """Counts and cost alone."""
    return costs_of(_sums(session, filters, COSTS))


def _sums(session: Session, filters: Filters, names: Iterable[str]) -> Iterable[Row]:
    read = plan(session, filters)
    rows = rows_of(session, read, filters)
    if rows is not None:
        return rows
    source = read(filters).only(names)
    return session.execute(source.select(*labelled(source.sums))).mappings()
