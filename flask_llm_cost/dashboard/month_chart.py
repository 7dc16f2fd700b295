"""The running month as a line: what was spent day by day, where it leads to, and the month before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from datetime import timedelta
from decimal import Decimal
from itertools import accumulate

from ..analytics import Forecast
from ..analytics import Series
from . import charts
from .formats import Shown
from .formats import day
from .formats import money
from .formats import month
from .spend_chart import axis_money
from .spend_chart import axis_size
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import aligned

HEIGHT = 180
_LABEL_EVERY = 5
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Dot:
    """One day of a line, with its words."""

    x: float
    y: float
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthChart:
    """Everything the macro prints; lines are SVG point lists over a width of 100."""

    height: int
    spent: tuple[str, ...]
    expected: tuple[str, ...]
    before: tuple[str, ...]
    band: str
    dots: tuple[Dot, ...]
    gridlines: tuple[tuple[float, str], ...]
    axis: str
    labels: tuple[tuple[float, str], ...]
    legend: tuple[tuple[str, str, Shown], ...]
    description: str
    table: Table


def month_chart(found: Forecast, this_month: Series, month_before: Series) -> MonthChart:
    """Lay the running totals of both months over one axis of days."""
    spent = _running(this_month)
    before = _running(month_before)
    so_far = len(spent)
    count = max(so_far - 1 + len(found.path), len(before))
    expected = [*([None] * (so_far - 1)), *(point[1] for point in found.path)]
    low = [*([None] * (so_far - 1)), *(point[2] for point in found.path)]
    high = [*([None] * (so_far - 1)), *(point[3] for point in found.path)]
    expected[so_far - 1] = spent[-1]
    low[so_far - 1] = high[so_far - 1] = spent[-1]
    lines = [_padded(line, count) for line in (spent, expected, before)]
    drawn = charts.line_chart(lines, height=HEIGHT, low=_padded(low, count), high=_padded(high, count))
    return MonthChart(
        height=HEIGHT,
        spent=_points(drawn.lines[0]),
        expected=_points(drawn.lines[1]),
        before=_points(drawn.lines[2]),
        band=charts.svg_points(drawn.band),
        dots=tuple(_dot(found, drawn, at, amount) for at, amount in enumerate(spent)),
        gridlines=tuple((tick.position, axis_money(tick.value)) for tick in drawn.ticks),
        axis=axis_size(drawn.ticks),
        labels=tuple(
            (drawn.places[at], str(at + 1)) for at in range(count) if at == 0 or (at + 1) % _LABEL_EVERY == 0
        ),
        legend=(
            ("spent", f"{month(found.month)} so far", money(found.spent)),
            ("expected", "expected by its end", money(found.expected)),
            ("before", f"{month(found.month - _DAY)}", money(before[-1] if before else Decimal(0))),
        ),
        description=f"Spend of {month(found.month)} day by day: {money(found.spent)} so far, "
        f"{money(found.expected)} expected by its end. The table below has all numbers.",
        table=_table(found, spent, before, count),
    )


def _running(series: Series) -> list[Decimal]:
    """The totals up to the end of each day; what is unknown adds nothing, which the page says."""
    return list(accumulate(bucket.total_cost or Decimal(0) for bucket in series.buckets))


def _padded(line: list[Decimal] | list[Decimal | None], count: int) -> list[Decimal | None]:
    return [*line, *([None] * (count - len(line)))]


def _points(runs: tuple[charts.Points, ...]) -> tuple[str, ...]:
    return tuple(charts.svg_points(run) for run in runs)


def _dot(found: Forecast, drawn: charts.LineChart, at: int, amount: Decimal) -> Dot:
    highest = float(drawn.ticks[-1].value)
    y = round(drawn.height - float(amount) / highest * drawn.height, 2)
    return Dot(drawn.places[at], y, f"{day(found.month + at * _DAY)}: {money(amount)} since the first")


def _table(found: Forecast, spent: list[Decimal], before: list[Decimal], count: int) -> Table:
    return aligned(
        Table(
            name="month-data",
            caption=f"{month(found.month)} day by day",
            columns=(
                Column(label="Day of the month"),
                Column(label="Spent", unit="USD", numeric=True),
                Column(label="Expected", unit="USD", numeric=True),
                Column(label="Low", unit="USD", numeric=True),
                Column(label="High", unit="USD", numeric=True),
                Column(label="Month before", unit="USD", numeric=True),
            ),
            rows=tuple(_row(found, spent, before, at) for at in range(count)),
            hidden_caption=True,
        )
    )


_NONE = Cell(text="none", muted=True, absent=True)


def _row(found: Forecast, spent: list[Decimal], before: list[Decimal], at: int) -> Row:
    points = {point[0]: point for point in found.path}
    when = date(found.month.year, found.month.month, 1) + at * _DAY
    point = points.get(when)
    return (
        Cell(text=str(at + 1), value=at + 1),
        Cell.of(money(spent[at])) if at < len(spent) else _NONE,
        *((Cell.of(money(amount)) for amount in point[1:]) if point else (_NONE,) * 3),
        Cell.of(money(before[at])) if at < len(before) else _NONE,
    )
