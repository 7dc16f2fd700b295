"""Latency percentiles: exact in one portable statement, of very many calls from a sample of them."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Select
from sqlalchemy import func
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..ledger import LlmCall
from .filters import Filters
from .filters import in_span
from .planner import plan
from .totals import totals
from .values import Latency

#: Of more calls than this, percentiles are those of a sample; average and count stay exact.
EXACT_UP_TO = 100_000
_SPANS = 60
_IDS_IN_SPAN = 100
#: A smaller sample, where ids do not follow time at all, is none.
_LEAST = 400


def latency(session: Session, filters: Filters, at_most: int | None = None) -> Latency:
    """Average and percentiles over the calls that have a latency.

    :param at_most: with a filter and more calls than that only the average is told, from the sums.
    """
    read = plan(session, filters)
    is_filtered = bool(filters.columns or filters.tags)
    if (is_filtered and at_most is None) or not read.rolled_up(filters):
        return _percentiles(session, select(LlmCall.latency_ms).where(*filters.conditions()))
    found = totals(session, filters)
    count, average = found.timed_calls, found.average_latency_ms
    if not count:
        return Latency(count=0, average_ms=None, p50_ms=None, p95_ms=None)
    if is_filtered and at_most is not None and count > at_most:
        return Latency(count=count, average_ms=average, p50_ms=None, p95_ms=None)
    if is_filtered or count <= EXACT_UP_TO:
        return _percentiles(session, select(LlmCall.latency_ms).where(*filters.conditions()))
    sample = _percentiles(session, _sample(session, filters))
    if sample.count < _LEAST:
        return _percentiles(session, select(LlmCall.latency_ms).where(*filters.conditions()))
    return replace(sample, count=count, average_ms=average, sampled=True)


def _sample(session: Session, filters: Filters) -> Select[int | None]:
    """Calls from many places of the range: neighbours by id, which were stored one after the other.

    Busy hours have more ids, so they have their share of the sample.
    """
    # Of several, as calls of one moment are stored in any order.
    ends = [
        select(LlmCall.id).where(*filters.conditions()).order_by(order).limit(_IDS_IN_SPAN).subquery()
        for order in (LlmCall.occurred_at, LlmCall.occurred_at.desc())
    ]
    first = session.scalar(select(func.min(ends[0].c.id))) or 0
    last = session.scalar(select(func.max(ends[1].c.id))) or 0
    starts = [first + (last - first) * number // _SPANS for number in range(_SPANS)]
    spans = [LlmCall.id.between(start, start + _IDS_IN_SPAN - 1) for start in starts]
    found = select(LlmCall.latency_ms, LlmCall.occurred_at).where(or_(*spans))
    # The limit leaves nothing out. It keeps PostgreSQL from looking all calls of the range up, to see which
    # of these are among them.
    some = found.limit(_SPANS * _IDS_IN_SPAN).subquery()
    return select(some.c.latency_ms).where(*in_span(some.c.occurred_at, filters.range or (None, None)))


def _percentiles(session: Session, latencies: Select[int | None]) -> Latency:
    """The calls are counted per millisecond first, so only distinct latencies are sorted. A percentile is the
    value at which the running count reaches its share of all (nearest rank), told without a division.
    """
    found = latencies.subquery()
    counted = (
        select(found.c.latency_ms, func.count().label("calls"))
        .where(found.c.latency_ms.is_not(None))
        .group_by(found.c.latency_ms)
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
