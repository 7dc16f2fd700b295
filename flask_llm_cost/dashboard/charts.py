"""The geometry of charts: pure functions from numbers to frozen values that a template only prints.

Horizontal positions are percentages of the plot's width and vertical ones pixels, so that one drawing fits
every screen while its text keeps its size. No colour lives here: a mark carries the rank of its series.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

#: Named series of a stacked chart; what is left is summed up as "other".
MAX_SERIES = 7
#: The rank of "other": drawn in grey, always last.
OTHER = 0
#: How much of a band its bar fills.
_BAR_SHARE = 0.72
#: Pixels of the smallest part of a bar, so that it is seen.
_SLIVER = 0.5
#: A line's points, in percent of the width and pixels from the top.
Points = tuple[tuple[float, float], ...]

_NICE_STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))


@dataclass(frozen=True, slots=True)
class Tick:
    """A value on the vertical axis and its distance from the top, in pixels."""

    position: float
    value: Decimal


@dataclass(frozen=True, slots=True)
class Band:
    """The place of one bar on a discrete axis, in percent of the plot's width."""

    start: float
    width: float
    bar_start: float
    bar_width: float

    @property
    def middle(self) -> float:
        """Where a label of the band is centred."""
        return round(self.start + self.width / 2, 4)


@dataclass(frozen=True, slots=True)
class Segment:
    """One series' part of one bar, in pixels from the top."""

    rank: int
    value: Decimal
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """One bar: its band and its segments from the bottom up. ``top`` is where the bar ends."""

    band: Band
    segments: tuple[Segment, ...]
    total: Decimal
    top: float


@dataclass(frozen=True, slots=True)
class StackedBars:
    """A bar chart over a discrete axis with an optional line of other totals over the same axis.

    :param line: runs of points as ``(percent, pixels)``; the line is broken where a value is unknown.
    """

    height: float
    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    line: tuple[Points, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a horizontal bar, in percent of its width."""

    rank: int
    start: float
    width: float


def nice_ticks(highest: Decimal, wanted: int = 4) -> tuple[Decimal, ...]:
    """Round numbers from 0 to at least ``highest``: ``wanted`` steps at most, equally far apart."""
    if highest <= 0:
        return (Decimal(0), Decimal(1))
    raw = highest / wanted
    power = Decimal(1).scaleb(raw.adjusted())
    step = next(power * nice for nice in _NICE_STEPS if power * nice >= raw)
    count = math.ceil(highest / step)
    return tuple(step * index for index in range(count + 1))


def bands(count: int) -> tuple[Band, ...]:
    """``count`` equal bands that fill the whole width, with a bar in the middle of each."""
    width = 100 / count if count else 0
    return tuple(
        Band(
            start=round(index * width, 4),
            width=round(width, 4),
            bar_start=round((index + (1 - _BAR_SHARE) / 2) * width, 4),
            bar_width=round(width * _BAR_SHARE, 4),
        )
        for index in range(count)
    )


def thinned(count: int, most: int) -> frozenset[int]:
    """At most ``most`` of ``count`` positions, evenly apart and counted from the last one."""
    if count <= 0 or most <= 0:
        return frozenset()
    step = math.ceil(count / most)
    return frozenset(range(count - 1, -1, -step))


def stacked_bars(
    columns: Sequence[Sequence[tuple[int, Decimal]]],
    *,
    height: float,
    line: Sequence[Decimal | None] = (),
) -> StackedBars:
    """Lay out bars of ``(rank, amount)`` parts, bottom first, and a line over the same axis.

    Every part that is more than nothing gets at least half a pixel, so that a day next to one a
    thousand times larger is still seen.
    """
    totals = [sum((amount for _, amount in parts), Decimal(0)) for parts in columns]
    highest = max([*totals, *(amount for amount in line if amount is not None)], default=Decimal(0))
    ticks = nice_ticks(highest)
    scale = height / float(ticks[-1])
    places = bands(len(columns))
    drawn = tuple(
        _column(band, parts, total, height, scale)
        for band, parts, total in zip(places, columns, totals, strict=True)
    )
    positions = tuple(Tick(round(height - float(value) * scale, 2), value) for value in ticks)
    return StackedBars(height, drawn, positions, _runs(places, line, height, scale))


def _runs(
    places: Sequence[Band], line: Sequence[Decimal | None], height: float, scale: float
) -> tuple[Points, ...]:
    runs: list[list[tuple[float, float]]] = [[]]
    for band, amount in zip(places, line, strict=False):
        if amount is None:
            runs.append([])
        else:
            runs[-1].append((band.middle, round(height - float(amount) * scale, 2)))
    return tuple(tuple(run) for run in runs if run)


def _column(
    band: Band, parts: Iterable[tuple[int, Decimal]], total: Decimal, height: float, scale: float
) -> Column:
    told = [(rank, amount) for rank, amount in parts if amount > 0]
    segments = []
    bottom = height
    for (rank, amount), size in zip(told, _sizes([amount for _, amount in told], height, scale), strict=True):
        bottom -= size
        segments.append(Segment(rank, amount, round(bottom, 2), round(size, 2)))
    return Column(band, tuple(segments), total, round(bottom, 2))


def _sizes(amounts: Sequence[Decimal], height: float, scale: float) -> list[float]:
    """Pixels of each amount; what slivers get on top of their share, the largest one gives."""
    sizes = [max(float(amount) * scale, _SLIVER) for amount in amounts]
    if (excess := sum(sizes) - height) > 0:
        sizes[sizes.index(max(sizes))] -= excess
    return sizes


def spans(parts: Sequence[tuple[int, Decimal]]) -> tuple[Span, ...]:
    """Lay ``(rank, amount)`` parts one after another over the whole width; nothing for a sum of zero."""
    whole = sum((amount for _, amount in parts if amount > 0), Decimal(0))
    laid = []
    start = 0.0
    for rank, amount in parts:
        if amount <= 0:
            continue
        width = float(amount / whole) * 100
        laid.append(Span(rank, round(start, 3), round(width, 3)))
        start += width
    return tuple(laid)


@dataclass(frozen=True, slots=True)
class LineChart:
    """Lines over a discrete axis: each as runs of points in percent of the width and pixels from the top.

    :param band: the outline of an area between two of the amounts; empty where there is none.
    :param places: where each position of the axis is, in percent.
    """

    height: float
    lines: tuple[tuple[Points, ...], ...]
    band: Points
    places: tuple[float, ...]
    ticks: tuple[Tick, ...]


def line_chart(
    lines: Sequence[Sequence[Decimal | None]],
    *,
    height: float,
    low: Sequence[Decimal | None] = (),
    high: Sequence[Decimal | None] = (),
) -> LineChart:
    """Lay out lines over one axis, each broken where an amount is unknown, and the area from low to high."""
    count = max(map(len, lines), default=0)
    places = tuple(band.middle for band in bands(count))
    amounts = [amount for line in (*lines, high) for amount in line if amount is not None]
    ticks = nice_ticks(max(amounts, default=Decimal(0)))
    scale = height / float(ticks[-1])

    def drawn(line: Sequence[Decimal | None]) -> list[tuple[float, float] | None]:
        return [
            None if amount is None else (place, round(height - float(amount) * scale, 2))
            for place, amount in zip(places, line, strict=False)
        ]

    upper, lower = ([point for point in drawn(line) if point is not None] for line in (high, low))
    return LineChart(
        height=height,
        lines=tuple(_broken(drawn(line)) for line in lines),
        band=(*upper, *reversed(lower)),
        places=places,
        ticks=tuple(Tick(round(height - float(value) * scale, 2), value) for value in ticks),
    )


def _broken(points: Iterable[tuple[float, float] | None]) -> tuple[Points, ...]:
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return tuple(tuple(run) for run in runs if run)


def sparkline(
    amounts: Sequence[Decimal | None], *, height: float = 20, inset: float = 2
) -> tuple[Points, ...]:
    """Runs of points over a width of 100, from zero at the bottom to the highest amount at the top.

    The line is broken where an amount is unknown; a lone amount becomes a short dash, so that it is seen.
    """
    highest = max((amount for amount in amounts if amount is not None), default=Decimal(0))
    step = 100 / max(len(amounts) - 1, 1)
    room = height - 2 * inset
    runs: list[list[tuple[float, float]]] = [[]]
    for at, amount in enumerate(amounts):
        if amount is None:
            runs.append([])
            continue
        part = float(amount / highest) if highest else 0.0
        runs[-1].append((round(at * step, 2), round(height - inset - part * room, 2)))
    return tuple(tuple(_dash(run)) for run in runs if run)


def _dash(run: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(run) > 1:
        return run
    x, y = run[0]
    return [(max(x - 1.5, 0), y), (min(x + 1.5, 100), y)]


def svg_points(run: Iterable[tuple[float, float]]) -> str:
    """A run of points as SVG writes it."""
    return " ".join(f"{x},{y}" for x, y in run)


@dataclass(frozen=True, slots=True)
class Meter:
    """A value on a track: parts in percent of the whole, and where marks stand. ``over`` is past the end."""

    spans: tuple[Span, ...]
    marks: tuple[float, ...]
    over: bool


def meter(parts: Sequence[tuple[int, Decimal]], whole: Decimal, marks: Sequence[Decimal] = ()) -> Meter:
    """Lay ``(rank, amount)`` parts from the left of a track that is ``whole`` long.

    Where they are longer together, the track grows to hold them, so that what is over can be seen.
    """
    filled = sum((amount for _, amount in parts if amount > 0), Decimal(0))
    length = max(filled, whole, *(mark for mark in marks), Decimal(0))
    laid, start = [], 0.0
    for rank, amount in parts:
        if amount > 0 and length:
            width = float(amount / length) * 100
            laid.append(Span(rank, round(start, 3), round(width, 3)))
            start += width
    places = tuple(round(float(mark / length) * 100, 3) for mark in marks) if length else ()
    return Meter(tuple(laid), places, filled > whole)


def share(part: Decimal | int | None, whole: Decimal | int | None) -> float:
    """The width of a bar that shows ``part`` of ``whole``, in percent from 0 to 100."""
    if not part or not whole or part < 0 or whole < 0:
        return 0.0
    return round(min(float(Decimal(part) / Decimal(whole)) * 100, 100.0), 2)
