"""Spend over time: the stacked bars, their legend and the table of the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..analytics import Bucket
from ..analytics import Series
from ..wording import plural
from . import charts
from .costs import shown_cost
from .filters import Filters
from .formats import Shown
from .formats import money
from .formats import month
from .formats import percent
from .formats import short_day
from .periods import Period
from .responses import Place
from .spend_series import bucket_filters
from .spend_series import bucket_words
from .spend_series import part_filters
from .spend_series import summed
from .spend_table import spend_table
from .tables import Table

#: Pixels from the highest gridline to the base line.
HEIGHT = 200
_LABELS = 10
_LABELS_ON_PHONES = 4
_SATURDAY = 5
_OVERVIEW = Place(".overview")
#: Longer periods do not mark weekends: the chart would be a fence.
_WEEKENDS = 62


@dataclass(frozen=True, slots=True)
class Mark:
    """One series' part of a bar."""

    segment: charts.Segment
    title: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One day or hour. ``gap`` is true where there are calls and none of their cost is known."""

    band: charts.Band
    title: str
    href: str
    marks: tuple[Mark, ...]
    gap: bool
    running: bool
    weekend: bool


@dataclass(frozen=True, slots=True)
class Label:
    """The text under a bar."""

    position: float
    text: str
    minor: bool
    anchor: str


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One series: its colour's rank, its name, its total, and the view of it alone."""

    rank: int
    name: str
    total: Shown
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendChart:
    """Everything the chart macro prints. ``lines`` are SVG point lists over a width of 100."""

    height: int
    description: str
    bars: tuple[Bar, ...]
    gridlines: tuple[tuple[float, str], ...]
    axis: str
    labels: tuple[Label, ...]
    lines: tuple[str, ...]
    legend: tuple[LegendEntry, ...]
    before: Shown | None
    note: str
    table: Table


def spend_chart(
    series: Series,
    before: Series,
    filters: Filters,
    *,
    field: str,
    ranks: Mapping[str | None, int],
    place: Place = _OVERVIEW,
    nothing: str = "none",
) -> SpendChart:
    """Lay out a series split by ``field``, with the previous period's totals as a line.

    :param ranks: the colour of each named part.
    :param place: the page that a bar or a name shows more narrowly.
    :param nothing: the name of the calls without a value.
    """
    parts = _parts(series, ranks, nothing)
    drawn = _stacked(series, before, parts)
    names = {rank: name for name, rank, _ in parts}
    return SpendChart(
        height=HEIGHT,
        description=_description(series, filters.period),
        bars=tuple(
            _bar(column, bucket, series.bucket, names, filters, place)
            for column, bucket in zip(drawn.columns, series.buckets, strict=True)
        ),
        gridlines=tuple((tick.position, axis_money(tick.value)) for tick in drawn.ticks),
        axis=axis_size(drawn.ticks),
        labels=_labels(drawn.columns, series),
        lines=tuple(" ".join(f"{x},{y}" for x, y in run) for run in drawn.line),
        legend=_legend(series, filters, field, ranks, place, nothing),
        before=_before(before),
        note=_note(series),
        table=spend_table(series, before, filters, field=field, place=place, nothing=nothing),
    )


_Part = tuple[str, int, tuple[Bucket, ...]]


def _parts(series: Series, ranks: Mapping[str | None, int], nothing: str) -> list[_Part]:
    named = [(part.value or nothing, ranks[part.value], part.buckets) for part in series.parts]
    return [*named, ("other", charts.OTHER, series.other.buckets)] if series.other else named


def _stacked(series: Series, before: Series, parts: Sequence[_Part]) -> charts.StackedBars:
    columns = [
        [(rank, buckets[index].total_cost or Decimal(0)) for _, rank, buckets in parts]
        for index in range(len(series.buckets))
    ]
    return charts.stacked_bars(columns, height=HEIGHT, line=[bucket.total_cost for bucket in before.buckets])


def axis_money(value: Decimal) -> str:
    """A round amount for an axis: ``$0``, ``$2.50``, ``$0.0005``, ``$25 k``."""
    for unit, size in (("M", 1_000_000), ("k", 10_000)):
        if value >= size:
            scaled = (value / (1_000_000 if unit == "M" else 1_000)).normalize()
            return f"${scaled:,f}\u202f{unit}"
    digits = f"{value.normalize():,f}"
    whole, _, fraction = digits.partition(".")
    return f"${whole}.{fraction:0<2}" if fraction else f"${whole}"


def axis_size(ticks: Sequence[charts.Tick]) -> str:
    """The class of an axis that is wide enough for its longest amount."""
    longest = max(len(axis_money(tick.value)) for tick in ticks)
    return "axis-short" if longest <= 5 else "axis-middle" if longest <= 8 else "axis-long"


def _bar(
    column: charts.Column,
    bucket: Bucket,
    size: str,
    names: Mapping[int, str],
    filters: Filters,
    place: Place,
) -> Bar:
    when, here = bucket_words(bucket, size), bucket_filters(bucket, size, filters)
    cost = shown_cost(bucket.total_cost, unknown_calls=bucket.unknown_cost_calls)
    told = f"{when}: {cost}, {plural(bucket.calls, 'call')}" if bucket.calls else f"{when}: no calls"
    if bucket.unknown_cost_calls:
        told += f", {bucket.unknown_cost_calls:,} of them without a price"
    return Bar(
        band=column.band,
        title=told,
        href=place.link(here.arguments()) if here else "",
        marks=tuple(
            Mark(segment, _mark_title(when, names[segment.rank], segment.value, column.total))
            for segment in column.segments
        ),
        gap=bucket.total_cost is None and bucket.unknown_cost_calls > 0,
        running=not bucket.complete,
        weekend=size == "day" and filters.period.days <= _WEEKENDS and bucket.label.weekday() >= _SATURDAY,
    )


def _mark_title(when: str, name: str, value: Decimal, total: Decimal) -> str:
    return f"{when}, {name}: {money(value)}, {percent(value, total)}"


def _labels(columns: Sequence[charts.Column], series: Series) -> tuple[Label, ...]:
    wide = sorted(charts.thinned(len(columns), _LABELS))
    kept = charts.thinned(len(wide), _LABELS_ON_PHONES)
    last = len(columns) - 1
    one_day = series.buckets[0].label == series.buckets[-1].label
    return tuple(
        _label(
            columns[index].band,
            series.buckets[index],
            series.bucket,
            place not in kept,
            index == last,
            one_day=one_day,
        )
        for place, index in enumerate(wide)
    )


def _label(band: charts.Band, bucket: Bucket, size: str, minor: bool, last: bool, *, one_day: bool) -> Label:
    """A label under the middle of its bar; the last one ends with the axis, or it would be cut off."""
    text = short_day(bucket.label)
    if size == "hour":
        text = f"{bucket.start:%H:%M}" if one_day else f"{text} {bucket.start:%H}h"
    elif size == "month":
        text = month(bucket.label)[:3] + f" {bucket.label.year}"
    return Label(100.0 if last else band.middle, text, minor, "end" if last else "middle")


def _legend(
    series: Series,
    filters: Filters,
    field: str,
    ranks: Mapping[str | None, int],
    place: Place,
    nothing: str,
) -> tuple[LegendEntry, ...]:
    entries = [
        LegendEntry(
            ranks[part.value],
            part.value or nothing,
            summed(part),
            place.link(filters.narrowed(field, part.value).arguments()),
        )
        for part in series.parts
    ]
    if series.other:
        others = part_filters(None, series, filters, field)
        address = place.link(others.arguments()) if others else ""
        entries.append(LegendEntry(charts.OTHER, "other", summed(series.other), address))
    return tuple(entries)


def _before(before: Series) -> Shown | None:
    return summed(before) if any(bucket.calls for bucket in before.buckets) else None


def _description(series: Series, period: Period) -> str:
    dear = max(series.buckets, key=lambda bucket: bucket.total_cost or Decimal(0))
    spent = (
        f"The most was spent on {bucket_words(dear, series.bucket)}: {money(dear.total_cost or Decimal(0))}."
    )
    return f"{plural(len(series.buckets), series.bucket)}. {spent} The table below has all numbers."


def _note(series: Series) -> str:
    running = [bucket for bucket in series.buckets if not bucket.complete]
    if not running:
        return ""
    return f"Lighter: {bucket_words(running[0], series.bucket)} is not over yet."
