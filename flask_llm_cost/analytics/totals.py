"""The sums of all calls that the filters let through."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence

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
from .snapshot import is_shared
from .snapshot import kept
from .values import Costs
from .values import Totals


def totals(session: Session, filters: Filters) -> Totals:
    """Counts, tokens, cost and latency."""
    if not is_shared(session):
        return totals_of(sums(session, filters, MEASURES))
    return kept(session, (totals, filters), lambda: totals_of(sums(session, filters, MEASURES)))


def costs(session: Session, filters: Filters) -> Costs:
    """Counts and cost alone."""
    return costs_of(sums(session, filters, COSTS))


def sums(session: Session, filters: Filters, names: Iterable[str]) -> Sequence[Row]:
    """Rows with the measures called ``names`` or more, that are all calls together."""
    read = plan(session, filters)
    rows = rows_of(session, read, filters)
    if rows is not None:
        return rows
    source = read(filters).only(names)
    return session.execute(source.select(*labelled(source.sums))).mappings().all()
