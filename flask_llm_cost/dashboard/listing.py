"""Tables of one dimension with everything that is known of each value, in an order of the reader's choice."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from decimal import Decimal
from typing import cast

from ..analytics import ORDERS
from ..analytics import Breakdown
from ..analytics import BreakdownRow
from ..analytics import Costs
from ..analytics import Pace
from ..analytics import SeriesPart
from ..analytics import Totals
from . import charts
from .breakdowns import FULL
from .breakdowns import Subject
from .breakdowns import cost_cell
from .breakdowns import dimension_of
from .breakdowns import share_cell
from .breakdowns import table_name
from .csv_export import Direction
from .filters import Filters
from .formats import Shown
from .formats import change
from .formats import duration
from .formats import money
from .formats import number
from .formats import percent
from .formats import signed
from .formats import tokens
from .framing import View
from .responses import link
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import aligned

SORT, DIRECTION = "sort", "direction"
#: The parameters of a page with a listing.
PARAMETERS = (SORT, DIRECTION, FULL)
DIRECTIONS = ("desc", "asc")
ROWS = 20
#: The most that a page shows; an export has all.
MOST_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A table of the values of one dimension.

    :param lead: where a value's name leads to.
    :param paces: medians and percentiles by value, where they are shown.
    :param trends: the values' series, for sparklines.
    :param ranks: the colours of the page's chart.
    """

    subject: Subject
    lead: Callable[[Filters], str]
    paces: Mapping[str | None, Pace] | None = None
    trends: Mapping[str | None, SeriesPart] = field(default_factory=dict)
    ranks: Mapping[str | None, int] | None = None


@dataclass(frozen=True, slots=True)
class _Sums:
    """One row's sums, and where its numbers lead to: nowhere where the others' names fill no address."""

    totals: Totals
    here: Filters | None
    before: Costs | None
    pace: Pace | None


def is_full(view: View, subject: Subject) -> bool:
    """Whether the table is asked for with all its rows."""
    return view.asked.exporting or view.asked.filters.extra.get(FULL) == subject.field


def read_listing(view: View, subject: Subject) -> Breakdown:
    """The rows of a listing, in the order that the address asks for."""
    sort = view.asked.option(SORT, "cost", ORDERS)
    direction = cast(Direction, view.asked.option(DIRECTION, "desc", DIRECTIONS))
    limit = None if view.asked.exporting else MOST_ROWS if is_full(view, subject) else ROWS
    return view.asked.query.cost_by(dimension_of(subject), limit, sort, direction)


def listing_table(view: View, found: Breakdown, listing: Listing) -> Table:
    """The table; each number leads to the calls behind it, and the last row is the sum of all."""
    values = [row.value for row in found.rows]
    before = view.asked.previous.spend_of(dimension_of(listing.subject), values)
    shows_trends = bool(listing.trends) and not is_full(view, listing.subject)
    rows = [_row(view, found, row, before, listing, shows_trends) for row in found.rows]
    if found.other:
        rows.append(_others(view, found, listing, shows_trends))
    everything = _Sums(view.totals, view.asked.filters, view.asked.previous.totals(), None)
    if listing.paces is not None:
        (pace,) = view.asked.query.pace() or (None,)
        everything = replace(everything, pace=pace)
    total = _numbers(everything, view.totals, listing)
    return aligned(
        Table(
            name=table_name(listing.subject),
            caption=listing.subject.caption,
            columns=tuple(_columns(view, listing, shows_trends)),
            rows=tuple(rows),
            total=(Cell(text="Total"), *([Cell(text="")] if shows_trends else []), *total),
            dense=True,
        )
    )


_HEADINGS = (
    ("Calls", "", "calls"),
    ("Failed", "", "failed"),
    ("Input", "tokens", "input"),
    ("Output", "tokens", "output"),
    ("Spend", "USD", "cost"),
    ("Change", "of spend", ""),
    ("Share", "of spend", ""),
    ("Average", "USD a call", "average"),
    ("Latency", "average", "latency"),
)
_PACE_HEADINGS = (("Latency", "median"), ("Latency", "95 % under"), ("First token", "median"))


def _columns(view: View, listing: Listing, shows_trends: bool) -> Iterator[Column]:
    yield _sortable(view, listing.subject.heading, "", "name", numeric=False)
    if shows_trends:
        yield Column(label="Trend", drawn=True)
    for label, unit, sort in _HEADINGS:
        yield _sortable(view, label, unit, sort, numeric=True)
    if listing.paces is not None:
        for label, unit in _PACE_HEADINGS:
            yield Column(label=label, unit=unit, numeric=True)


def _sortable(view: View, label: str, unit: str, sort: str, *, numeric: bool) -> Column:
    if not sort:
        return Column(label=label, unit=unit, numeric=numeric)
    extra = view.asked.filters.extra
    current, direction = extra.get(SORT, "cost"), extra.get(DIRECTION, "desc")
    wanted = "asc" if (sort == current and direction == "desc") or (sort == "name" != current) else "desc"
    order = {SORT: sort} if sort != "cost" else {}
    order |= {DIRECTION: wanted} if wanted != "desc" else {}
    kept = {name: value for name, value in extra.items() if name not in (SORT, DIRECTION)}
    return Column(
        label=label,
        unit=unit,
        numeric=numeric,
        href=view.place.link(view.asked.filters.arguments() | kept | order),
        sorted_by=("descending" if direction == "desc" else "ascending") if sort == current else "",
    )


def _row(
    view: View,
    found: Breakdown,
    row: BreakdownRow,
    before: Mapping[str | None, Costs],
    listing: Listing,
    shows_trends: bool,
) -> Row:
    subject, here = listing.subject, view.asked.filters.narrowed(listing.subject.field, row.value)
    name = subject.nothing if row.value is None else row.value
    head = Cell(
        text=name,
        title=name if row.value is not None else "",
        href=listing.lead(here),
        rank=None if listing.ranks is None else listing.ranks.get(row.value, charts.OTHER),
        code=subject.code and row.value is not None,
        muted=row.value is None,
        absent=row.value is None,
    )
    pace = (listing.paces or {}).get(row.value)
    sums = _Sums(row, here, before.get(row.value) or _NOTHING, pace)
    trend = (_trend(listing.trends.get(row.value)),) if shows_trends else ()
    return (head, *trend, *_numbers(sums, found.total, listing))


_WHOLE = Cell.of(percent(1, 1), share=0.0)
_NOTHING = Costs(calls=0, unknown_cost_calls=0, partial_cost_calls=0, priced_calls=0, total_cost=Decimal(0))


def _others(view: View, found: Breakdown, listing: Listing, shows_trends: bool) -> Row:
    assert found.other is not None  # noqa: S101  (the caller asked)
    kept = view.asked.filters.arguments() | view.asked.filters.extra
    head = Cell(
        text=f"{found.other_values:,} others",
        title="Show more of them",
        href="" if is_full(view, listing.subject) else view.place.link(kept | {FULL: listing.subject.field}),
        rank=None if listing.ranks is None else charts.OTHER,
        muted=True,
    )
    trend = (Cell(text="none", muted=True),) if shows_trends else ()
    here = view.asked.filters.besides(listing.subject.field, [row.value for row in found.rows])
    return (head, *trend, *_numbers(_Sums(found.other, here, None, None), found.total, listing))


def _numbers(sums: _Sums, total: Totals, listing: Listing) -> Iterator[Cell]:
    row, here = sums.totals, sums.here
    yield Cell.of(number(row.calls), _calls(here))
    failed = here.narrowed("failed", "yes") if here and row.failed_calls else None
    yield Cell.of(number(row.failed_calls), _calls(failed, "recent"))
    yield Cell.of(tokens(row.tokens_in), _calls(here, "input"))
    yield Cell.of(tokens(row.tokens_out), _calls(here, "output"))
    yield cost_cell(row, here)
    yield _change(row, sums.before)
    yield share_cell(row, total) if row is not total else _WHOLE
    yield Cell.of(money(row.average_cost) if row.priced_calls else _no_average(row), _calls(here, "cost"))
    average = row.average_latency_ms
    yield Cell.of(duration(None if average is None else round(average)), _calls(here, "latency"))
    if listing.paces is not None:
        yield from _paces(sums.pace, here)


def _no_average(row: Costs) -> Shown:
    return Shown("free") if not row.unknown_cost_calls else money(None)


def _calls(here: Filters | None, sort: str = "") -> str:
    if here is None:
        return ""
    return link(".calls", here.arguments() | ({"sort": sort} if sort and sort != "recent" else {}))


def _paces(pace: Pace | None, here: Filters | None) -> Iterator[Cell]:
    slowest = _calls(here, "latency")
    for value in (pace.p50_ms, pace.p95_ms) if pace else (None, None):
        yield Cell.of(duration(value), slowest)
    if pace and pace.first_p50_ms is not None:
        streamed = here.narrowed("stream", "yes") if here else None
        title = f"95th percentile {duration(pace.first_p95_ms)}, of {pace.streamed:,} streams"
        yield Cell.of(duration(pace.first_p50_ms), _calls(streamed, "latency"), title=title)
    else:
        yield Cell(text="no streams", muted=True, absent=True)


def _change(row: Costs, before: Costs | None) -> Cell:
    """How the cost changed against the period before."""
    if before is None:
        return Cell(text="not told", muted=True, absent=True)
    if not before.calls:
        return Cell(text="new", title="no calls in the period before", muted=True)
    if row.total_cost is None or before.total_cost is None:
        return Cell.of(money(None), title=f"before: {money(before.total_cost)}")
    difference = row.total_cost - before.total_cost
    title = f"{signed(difference, money(abs(difference)))} against {money(before.total_cost)}"
    return Cell(text=change(row.total_cost, before.total_cost), title=title, value=difference)


def _trend(part: SeriesPart | None) -> Cell:
    if part is None:
        return Cell(text="none", muted=True)
    costs = [bucket.total_cost if bucket.calls else Decimal(0) for bucket in part.buckets]
    known = [cost for cost in costs if cost is not None]
    if not known:
        return Cell.of(money(None))
    runs = tuple(charts.svg_points(run) for run in charts.sparkline(costs))
    words = f"from {money(min(known))} to {money(max(known))}, {money(known[-1])} at the end"
    return Cell(text=words, lines=runs)
