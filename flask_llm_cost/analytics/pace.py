"""How long calls take: median and 95th percentile, of the whole answer and up to its first token.

As in :mod:`.latency` the calls are counted per millisecond first, so that only distinct durations are
sorted, and a percentile is a duration that occurred (nearest rank).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select
from sqlalchemy import SQLColumnExpression
from sqlalchemy import func
from sqlalchemy import literal
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm import Session

from ..ledger import LlmCall
from .dimensions import Dimension
from .dimensions import dimension
from .filters import Filters
from .planner import read_calls
from .ranking import check_limit

_PERCENTS = (50, 95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Durations of the calls with one value, in milliseconds; ``None`` where none was measured.

    :param timed: calls with a latency; ``streamed``: calls whose first token was timed.
    """

    value: str | None
    timed: int
    p50_ms: int | None
    p95_ms: int | None
    streamed: int
    first_p50_ms: int | None
    first_p95_ms: int | None


_Measured = tuple[int, int, int]


def pace(session: Session, filters: Filters, name: str | None, limit: int) -> tuple[Pace, ...]:
    """The ``limit`` values of a dimension with most timed calls; of all calls where there is none."""
    check_limit(limit)
    by = None if name is None else dimension(name)
    whole = dict(_percentiles(session, filters, by, LlmCall.latency_ms))
    first = dict(_percentiles(session, filters, by, LlmCall.time_to_first_token_ms))
    values = sorted({*whole, *first}, key=lambda value: (-whole.get(value, (0, 0, 0))[0], value or ""))
    return tuple(_pace(value, whole.get(value), first.get(value)) for value in values[:limit])


def _pace(value: str | None, whole: _Measured | None, first: _Measured | None) -> Pace:
    return Pace(
        value=value,
        timed=whole[0] if whole else 0,
        p50_ms=whole[1] if whole else None,
        p95_ms=whole[2] if whole else None,
        streamed=first[0] if first else 0,
        first_p50_ms=first[1] if first else None,
        first_p95_ms=first[2] if first else None,
    )


def _percentiles(
    session: Session, filters: Filters, by: Dimension | None, duration: InstrumentedAttribute[int | None]
) -> Iterator[tuple[str | None, _Measured]]:
    """Count, median and 95th percentile by value."""
    found: dict[str | None, list[Any]] = {}
    for row in session.execute(_statement(filters, by, duration)):
        found.setdefault(row.value, []).append(row)
    for value, rows in found.items():
        # One row where both percentiles are the same duration: the first is the median, the last the tail.
        yield value, (int(rows[0].all_calls), int(rows[0].duration), int(rows[-1].duration))


def _statement(
    filters: Filters, by: Dimension | None, duration: InstrumentedAttribute[int | None]
) -> Select[Any]:
    value: SQLColumnExpression[Any] = literal(None) if by is None else by.column
    columns: list[SQLColumnExpression[Any]] = [
        value.label("value"),
        duration.label("duration"),
        func.count().label("calls"),
    ]
    groups: list[SQLColumnExpression[Any]] = [duration] if by is None else [value, duration]
    counted = (
        read_calls(filters, by).select(*columns).where(duration.is_not(None)).group_by(*groups).subquery()
    )
    calls, split = counted.c.calls, [] if by is None else [counted.c.value]
    running = select(
        counted,
        func.sum(calls).over(partition_by=split, order_by=counted.c.duration, rows=(None, 0)).label("so_far"),
        func.sum(calls).over(partition_by=split).label("all_calls"),
    ).subquery()
    reached = [
        (running.c.so_far * 100 >= running.c.all_calls * percent)
        & ((running.c.so_far - running.c.calls) * 100 < running.c.all_calls * percent)
        for percent in _PERCENTS
    ]
    return select(running).where(or_(*reached)).order_by(running.c.duration)
