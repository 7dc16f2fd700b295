"""Spend over time: the stacked bars, their legend and the table of the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from datetime import date
from datetime import timedelta
from decimal import Decimal

from ..analytics import Bucket
from ..analytics import Series
from ..analytics import SeriesPart
from ..analytics import add_costs
from ..wording import plural
from . import charts
from .costs import shown_cost
from .filters import TAG_PREFIX
from .filters import Filters
from .formats import Shown
from .formats import day
from .formats import money
from .formats import month
from .formats import percent
from .formats import short_day
from .periods import Period
from .responses import Place
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import aligned

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
        table=_table(series, before, filters, field, place, nothing),
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
    when = _when(bucket, size)
    cost = shown_cost(bucket.total_cost, unknown_calls=bucket.unknown_cost_calls)
    told = f"{when}: {cost}, {plural(bucket.calls, 'call')}" if bucket.calls else f"{when}: no calls"
    if bucket.unknown_cost_calls:
        told += f", {bucket.unknown_cost_calls:,} of them without a price"
    return Bar(
        band=column.band,
        title=told,
        href=_bucket_link(bucket, size, filters, place),
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


def _when(bucket: Bucket, size: str) -> str:
    if size == "day":
        return day(bucket.label)
    if size == "hour":
        return f"{short_day(bucket.label)}, {bucket.start:%H:%M}"
    return month(bucket.label) if size == "month" else f"week of {day(bucket.label)}"


def _bucket_link(bucket: Bucket, size: str, filters: Filters, place: Place) -> str:
    """The same page about the days of a bucket; an hour has no address of its own, only its day."""
    if size == "hour":
        return "" if filters.period.days == 1 else place.link(_days(bucket.label, bucket.label, filters))
    last = (bucket.end - timedelta(microseconds=1)).date()
    return place.link(_days(bucket.start.date(), last, filters))


def _days(first: date, last: date, filters: Filters) -> dict[str, str]:
    return filters.by(None).during(Period(first, last, filters.period.zone)).arguments()


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
            _sum(part),
            place.link(filters.narrowed(field, part.value).arguments()),
        )
        for part in series.parts
    ]
    if series.other:
        entries.append(LegendEntry(charts.OTHER, "other", _sum(series.other), ""))
    return tuple(entries)


def _sum(part: SeriesPart | Series) -> Shown:
    costs = [bucket.total_cost for bucket in part.buckets if bucket.calls and bucket.total_cost is not None]
    unknown = sum(bucket.unknown_cost_calls for bucket in part.buckets)
    return shown_cost(sum(costs, Decimal(0)) if costs else None, unknown_calls=unknown)


def _before(before: Series) -> Shown | None:
    return _sum(before) if any(bucket.calls for bucket in before.buckets) else None


def _description(series: Series, period: Period) -> str:
    dear = max(series.buckets, key=lambda bucket: bucket.total_cost or Decimal(0))
    spent = f"The most was spent on {_when(dear, series.bucket)}: {money(dear.total_cost or Decimal(0))}."
    return f"{plural(len(series.buckets), series.bucket)}. {spent} The table below has all numbers."


def _note(series: Series) -> str:
    running = [bucket for bucket in series.buckets if not bucket.complete]
    if not running:
        return ""
    return f"Lighter: {_when(running[0], series.bucket)} is not over yet."


def _table(series: Series, before: Series, filters: Filters, field: str, place: Place, nothing: str) -> Table:
    parts = [*series.parts, *([series.other] if series.other else [])]
    names = [part.value or nothing for part in series.parts] + (["other"] if series.other else [])
    rows = tuple(
        _table_row(index, series, before, parts, filters, place) for index in range(len(series.buckets))
    )
    total = (
        Cell(text="Total"),
        *(Cell.of(_sum(part), at_least=_is_incomplete(part)) for part in parts),
        Cell.of(_sum(series), at_least=_is_incomplete(series)),
        Cell.of(_sum(before), at_least=_is_incomplete(before)),
    )
    return aligned(
        Table(
            name="spend-data",
            caption=f"Spend by {series.bucket} and {_named(field)}",
            columns=(
                Column(label=series.bucket.capitalize()),
                *(Column(label=name, unit="USD", numeric=True, value=name) for name in names),
                Column(label="Total", unit="USD", numeric=True),
                Column(label="Period before", unit="USD", numeric=True),
            ),
            rows=rows,
            total=total,
            hidden_caption=True,
        )
    )


def _named(field: str) -> str:
    """A dimension in a sentence; a tag's name as it is."""
    return field.removeprefix(TAG_PREFIX) if field.startswith(TAG_PREFIX) else field.replace("_", " ")


def _table_row(
    index: int,
    series: Series,
    before: Series,
    parts: Sequence[SeriesPart],
    filters: Filters,
    place: Place,
) -> Row:
    bucket = series.buckets[index]
    has_earlier = index < len(before.buckets)
    return (
        Cell(
            text=_when(bucket, series.bucket),
            href=_bucket_link(bucket, series.bucket, filters, place),
            value=bucket.start.isoformat() if series.bucket == "hour" else bucket.label.isoformat(),
        ),
        *(_cell(part.buckets[index]) for part in parts),
        _cell(bucket),
        _cell(before.buckets[index]) if has_earlier else Cell(text="none", muted=True, absent=True),
    )


def _cell(bucket: Bucket) -> Cell:
    if not bucket.calls:
        return Cell.of(money(Decimal(0)))
    cost = shown_cost(bucket.total_cost, unknown_calls=bucket.unknown_cost_calls)
    return Cell.of(cost, at_least=bucket.unknown_cost_calls > 0)


def _is_incomplete(part: SeriesPart | Series) -> bool:
    return any(bucket.unknown_cost_calls for bucket in part.buckets)
