"""Days and hours that cost far more than usual, each with what "usual" means there.

Usual is the median of what came before, from the ledger's first call on. An amount stands out where it is
three times that, beyond eight times the usual distance from it, half as much again as all but the dearest
before, and enough money to matter. Where there was a cost on fewer than a week of the days before, their
median says little: there it must be three times the dearest of them. Where there was none at all, what
matters stands out.
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
#: With fewer days before there is no usual; with a cost on fewer of them the dearest is the measure.
LEAST_DAYS = 7
#: In USD: what was spent beyond the usual for less, nobody looks into.
LEAST_AMOUNT = Decimal(1)
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
    :param active: how many of those cost something.
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
    active: int

    @property
    def ratio(self) -> Decimal | None:
        """How many times the usual amount it is; ``None`` where nothing was usual."""
        return self.amount / self.usual if self.usual else None

    @property
    def excess(self) -> Decimal:
        """What was spent beyond the usual."""
        return self.amount - self.usual


@dataclass(frozen=True, slots=True)
class Usual:
    """What was normal in some buckets: their median, and what was normal at most."""

    median: Decimal
    limit: Decimal
    compared: int
    active: int


def usual(before: Sequence[Decimal]) -> Usual | None:
    """What these amounts say of the next one; ``None`` where they are too few."""
    if len(before) < LEAST_DAYS:
        return None
    middle = median(before)
    distance = median(abs(amount - middle) for amount in before)
    *_, second, highest = sorted(before)
    active = sum(amount > 0 for amount in before)
    limit = max(middle * _TIMES, middle + distance * _DEVIATIONS, second * _ABOVE_SECOND)
    if active < LEAST_DAYS:
        limit = max(limit, highest * _TIMES)
    return Usual(middle, limit, len(before), active)


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
    matters = max(LEAST_AMOUNT, _average(days) * _MATTERS)
    began = next((bucket.start for bucket in whole if bucket.calls), end)
    found: list[Anomaly] = []
    for dimension in ("model", *(f"tag:{key}" for key in tag_keys)):
        for part in wide.series("day", by=dimension, limit=_VALUES).parts:
            found += _outliers(_since(part.buckets, began), start, matters, dimension, part.value)
    found += _hours(query, began, matters)
    return tuple(sorted(found, key=lambda each: each.excess, reverse=True)[:limit])


def _since(buckets: Iterable[Bucket], began: datetime) -> list[Bucket]:
    """Without those before the first call, which are no days on which nothing was spent."""
    return [bucket for bucket in buckets if bucket.end > began]


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
        if bucket.end <= start or not _could_matter(bucket, matters):
            continue
        before = [each.total_cost for each in buckets[max(0, at - WINDOW_DAYS) : at]]
        if (one := _judged(bucket, before, matters, "day", dimension, value)) is not None:
            yield one


def _hours(query: CallQuery, began: datetime, matters: Decimal) -> Iterator[Anomaly]:
    """Hours of the range's last days against the same hour of the days before."""
    assert query.range is not None  # noqa: S101  (the caller asked)
    first, end = query.range
    last = min(end, query.now().astimezone(query.zone))
    # Whole hours: a part of one is no measure, and would be read from the calls.
    start = max(first, (last - HOUR_DAYS * _DAY).replace(minute=0, second=0, microsecond=0))
    if start >= last or began >= last:
        return
    buckets = _since(query.between(start - HOUR_WINDOW * _DAY, end).series("hour").buckets, began)
    by_hour: dict[int, list[Bucket]] = {}
    for bucket in buckets:
        mine = by_hour.setdefault(bucket.start.hour, [])
        if bucket.end > start and _could_matter(bucket, matters):
            before = [each.total_cost for each in mine[-HOUR_WINDOW:]]
            if (one := _judged(bucket, before, matters, "hour", None, None)) is not None:
                yield one
        mine.append(bucket)


def _could_matter(bucket: Bucket, matters: Decimal) -> bool:
    """Whether it costs enough to look at what is usual, which is never less than nothing."""
    return bucket.total_cost is not None and bucket.total_cost >= matters


def _judged(
    bucket: Bucket,
    before: Sequence[Decimal | None],
    matters: Decimal,
    size: str,
    dimension: str | None,
    value: str | None,
) -> Anomaly | None:
    normal = usual([cost for cost in before if cost is not None])
    amount = bucket.total_cost
    if normal is None or amount is None or amount <= normal.limit or amount - normal.median < matters:
        return None
    return Anomaly(
        dimension=dimension,
        value=value,
        bucket=size,
        start=bucket.start,
        end=bucket.end,
        calls=bucket.calls,
        amount=amount,
        usual=normal.median.quantize(_SCALE),
        limit=normal.limit.quantize(_SCALE),
        compared=normal.compared,
        active=normal.active,
    )
