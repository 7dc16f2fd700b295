"""Calls by the values of a dimension with all their sums, in one statement."""

from __future__ import annotations

from sqlalchemy.orm import Session

from .dimensions import dimension
from .filters import Filters
from .measures import totals_of
from .planner import plan
from .ranking import DEAREST_FIRST
from .ranking import Order
from .ranking import check_limit
from .ranking import ranked
from .ranking import share
from .values import Breakdown
from .values import BreakdownRow
from .values import Totals


def breakdown(
    session: Session, filters: Filters, name: str, limit: int | None, order: Order = DEAREST_FIRST
) -> Breakdown:
    """Split the calls by a dimension; at most ``limit`` values of their own, then "other"."""
    by = dimension(name)
    check_limit(limit)
    found = ranked(session, plan(session, filters, by=by), filters, limit, order=order)
    total = totals_of([*found.kept, *found.rest])
    return Breakdown(
        dimension=name,
        rows=tuple(_row(row["value"], totals_of([row]), total) for row in found.kept),
        other=_row(None, totals_of(found.rest), total) if found.rest else None,
        other_values=found.rest_values,
        total=total,
    )


def _row(value: str | None, sums: Totals, total: Totals) -> BreakdownRow:
    return BreakdownRow(
        value=value,
        share=share(sums.total_cost, total.total_cost),
        calls=sums.calls,
        failed_calls=sums.failed_calls,
        unknown_cost_calls=sums.unknown_cost_calls,
        partial_cost_calls=sums.partial_cost_calls,
        priced_calls=sums.priced_calls,
        total_cost=sums.total_cost,
        tokens=sums.tokens,
        timed_calls=sums.timed_calls,
        latency_ms=sums.latency_ms,
    )
