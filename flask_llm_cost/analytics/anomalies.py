"""Days and hours that cost far more than usual, each with what "usual" means there.

Usual is the median of what came before. An amount stands out where it is three times that, beyond eight times
the usual distance from it, half as much again as all but the dearest before, and enough money to matter.
After a week without any cost every amount that matters stands out.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from statistics import median
from typing import TYPE_CHECKING

from ..errors import InvalidFilterError
from .values import Bucket

if TYPE_CHECKING:
    from .query import CallQuery

WINDOW_DAYS = 28
LEAST_DAYS = 7
#: Days whose hours are looked at, and how many days before them say what is usual at that hour.
HOUR_DAYS, HOUR_WINDOW = 7, 14
_VALUES = 20
_TIMES = 3
#: A normal distribution's deviation by its median distance; costs have longer tails, so eight of them.
_DEVIATIONS = Decimal("1.4826") * 8
#: One amount may lie so much above before; a second like it no longer hides a third.
_ABOVE_SECOND = Decimal("1.5")
#: What matters: more than the usual by a quarter of what an average day costs in all.
_MATTERS = Decimal("0.25")
_DAY = timedelta(days=1)
_SCALE = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One bucket of one value that stands out, in USD.

    :param dimension: what ``value`` is a value of; ``None`` where it is about all calls.
    :param usual: the median of the ``compared`` buckets before; ``limit`` what was normal at most.
    """

    dimension: str | None
    value: str | None
    bucket: str
    start: datetime
    end: datetime
    calls: int
    amount: Decimal
    usual: Decimal
    limit: Decimal
    compared: int

    @property
    def ratio(self) -> Decimal | None:
        """How many times the usual amount it is; ``None`` where nothing was usual."""
        return self.amount / self.usual if self.usual else None

    @property
    def excess(self) -> Decimal:
        """What was spent beyond the usual."""
        return self.amount - self.usual


def find_anomalies(query: CallQuery, tag_keys: Iterable[str] = (), limit: int = 10) -> tuple[Anomaly, ...]:
    """What stands out within the range of ``query``: days by model and tag, and hours; the dearest first.

    :raises InvalidFilterError: the query is about all time.
    """
    if query.range is None:
        raise InvalidFilterError("range", "all time has no days before it; choose a range first")
    start, end = query.range
    wide = query.between(start - WINDOW_DAYS * _DAY, end)
    whole = wide.series("day").buckets
    days = [bucket for bucket in whole if bucket.end > start]
    matters = _average(days) * _MATTERS
    found: list[Anomaly] = []
    for dimension in ("model", *(f"tag:{key}" for key in tag_keys)):
        for part in wide.series("day", by=dimension, limit=_VALUES).parts:
            found += _outliers(part.buckets, start, matters, dimension, part.value)
    found += _hours(query, whole, matters)
    return tuple(sorted(found, key=lambda each: each.excess, reverse=True)[:limit])


def _average(buckets: Sequence[Bucket]) -> Decimal:
    known = [bucket.total_cost for bucket in buckets if bucket.total_cost is not None]
    return sum(known, Decimal(0)) / len(known) if known else Decimal(0)


def _outliers(
    buckets: Sequence[Bucket],
    start: datetime,
    matters: Decimal,
    dimension: str | None,
    value: str | None,
) -> Iterator[Anomaly]:
    for at, bucket in enumerate(buckets):
        if bucket.end <= start:
            continue
        before = [each.total_cost for each in buckets[max(0, at - WINDOW_DAYS) : at]]
        if (one := _judged(bucket, before, matters, "day", dimension, value)) is not None:
            yield one


def _hours(query: CallQuery, whole: Sequence[Bucket], matters: Decimal) -> Iterator[Anomaly]:
    """Hours of the range's last days against the same hour of the days before."""
    assert query.range is not None  # noqa: S101  (the caller asked)
    first, end = query.range
    last = min(end, query.now().astimezone(query.zone))
    start = max(first, last - HOUR_DAYS * _DAY)
    if start >= last or not any(bucket.calls for bucket in whole):
        return
    buckets = query.between(start - HOUR_WINDOW * _DAY, end).series("hour").buckets
    by_hour: dict[int, list[Bucket]] = {}
    for bucket in buckets:
        mine = by_hour.setdefault(bucket.start.hour, [])
        if bucket.end > start:
            before = [each.total_cost for each in mine[-HOUR_WINDOW:]]
            if (one := _judged(bucket, before, matters, "hour", None, None)) is not None:
                yield one
        mine.append(bucket)


def _judged(
    bucket: Bucket,
    before: Sequence[Decimal | None],
    matters: Decimal,
    size: str,
    dimension: str | None,
    value: str | None,
) -> Anomaly | None:
    known = [cost for cost in before if cost is not None]
    if bucket.total_cost is None or len(known) < LEAST_DAYS or bucket.total_cost <= 0:
        return None
    usual = median(known)
    distance = median(abs(cost - usual) for cost in known)
    second = sorted(known)[-2]
    limit = max(usual * _TIMES, usual + distance * _DEVIATIONS, second * _ABOVE_SECOND)
    if bucket.total_cost <= limit or bucket.total_cost - usual < matters:
        return None
    return Anomaly(
        dimension=dimension,
        value=value,
        bucket=size,
        start=bucket.start,
        end=bucket.end,
        calls=bucket.calls,
        amount=bucket.total_cost,
        usual=usual.quantize(_SCALE),
        limit=limit.quantize(_SCALE),
        compared=len(known),
    )
