"""Exact latency percentiles in one portable statement."""

from __future__ import annotations

from sqlalchemy import func
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..ledger import LlmCall
from .filters import Filters
from .values import Latency


def latency(session: Session, filters: Filters) -> Latency:
    """Average and percentiles over the calls that have a latency.

    The calls are counted per millisecond first, so only distinct latencies are sorted. A percentile is the
    value at which the running count reaches its share of all (nearest rank), told without a division.
    """
    counted = (
        select(LlmCall.latency_ms, func.count().label("calls"))
        .where(*filters.conditions(), LlmCall.latency_ms.is_not(None))
        .group_by(LlmCall.latency_ms)
        .subquery()
    )
    running = select(
        counted.c.latency_ms,
        counted.c.calls,
        func.sum(counted.c.calls).over(order_by=counted.c.latency_ms, rows=(None, 0)).label("so_far"),
        func.sum(counted.c.calls).over().label("all_calls"),
        func.sum(counted.c.calls * counted.c.latency_ms).over().label("all_ms"),
    ).subquery()
    reached = [
        (running.c.so_far * 100 >= running.c.all_calls * percent)
        & ((running.c.so_far - running.c.calls) * 100 < running.c.all_calls * percent)
        for percent in (50, 95)
    ]
    statement = select(running).where(or_(*reached)).order_by(running.c.latency_ms)
    # One row where both percentiles are the same value: the first is the median, the last the tail.
    rows = session.execute(statement).all()
    if not rows:
        return Latency(count=0, average_ms=None, p50_ms=None, p95_ms=None)
    count = int(rows[0].all_calls)
    return Latency(
        count=count,
        average_ms=int(rows[0].all_ms) / count,
        p50_ms=int(rows[0].latency_ms),
        p95_ms=int(rows[-1].latency_ms),
    )
