"""What is asked of a series of spend over time: its parts' colours and sums, and its buckets in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from ..analytics import Bucket
from ..analytics import Series
from ..analytics import SeriesPart
from ..analytics import add_costs
from .costs import shown_cost
from .filters import Filters
from .formats import Shown
from .formats import day
from .formats import month
from .formats import short_day
from .periods import Period


def chart_ranks(series: Series) -> dict[str | None, int]:
    """The colours of a series' parts, by their order: the dearest is 1."""
    return {part.value: rank for rank, part in enumerate(series.parts, start=1)}


def folded(series: Series, limit: int) -> Series:
    """The same series with only its first ``limit`` parts named; the rest is in "other"."""
    kept, rest = series.parts[:limit], [*series.parts[limit:], *([series.other] if series.other else [])]
    if len(series.parts) <= limit:
        return series
    buckets = tuple(_added([part.buckets[at] for part in rest]) for at in range(len(series.buckets)))
    return replace(series, parts=kept, other=SeriesPart(value=None, buckets=buckets))


def _added(buckets: Sequence[Bucket]) -> Bucket:
    costs = [bucket.total_cost for bucket in buckets if bucket.calls and bucket.total_cost is not None]
    calls = sum(bucket.calls for bucket in buckets)
    return replace(
        buckets[0],
        calls=calls,
        unknown_cost_calls=sum(bucket.unknown_cost_calls for bucket in buckets),
        total_cost=add_costs(costs) if costs or calls else Decimal(0),
    )


def bucket_words(bucket: Bucket, size: str) -> str:
    """A bucket as people say it: ``22 November 2026``, ``22 Nov, 14:00``, ``week of ...``."""
    if size == "day":
        return day(bucket.label)
    if size == "hour":
        return f"{short_day(bucket.label)}, {bucket.start:%H:%M}"
    return month(bucket.label) if size == "month" else f"week of {day(bucket.label)}"


def bucket_filters(bucket: Bucket, size: str, filters: Filters) -> Filters | None:
    """The same filters about the days of a bucket; an hour has no address of its own, only its day."""
    if size == "hour" and filters.period.days == 1:
        return None
    last = (bucket.end - timedelta(microseconds=1)).date()
    first = bucket.label if size == "hour" else bucket.start.date()
    if size == "hour":
        last = first
    return filters.by(None).during(Period(first, last, filters.period.zone))


def part_filters(part: SeriesPart | None, series: Series, filters: Filters, field: str) -> Filters | None:
    """The filters of one part; of "other", where it is ``None``: all values but those of the named parts."""
    if part is None:
        return filters.besides(field, [each.value for each in series.parts])
    return filters.narrowed(field, part.value)


def summed(part: SeriesPart | Series) -> Shown:
    """What all buckets cost together."""
    costs = [bucket.total_cost for bucket in part.buckets if bucket.calls and bucket.total_cost is not None]
    unknown = sum(bucket.unknown_cost_calls for bucket in part.buckets)
    return shown_cost(sum(costs, Decimal(0)) if costs else None, unknown_calls=unknown)


def is_incomplete(part: SeriesPart | Series) -> bool:
    """Whether the cost of some call in it is unknown."""
    return any(bucket.unknown_cost_calls for bucket in part.buckets)
