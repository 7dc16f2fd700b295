"""The overview's tiles: a number, what it is, and how it changed against the previous period."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from ..analytics import Latency
from ..analytics import Totals
from ..wording import plural
from .costs import shown_cost
from .filters import Filters
from .formats import Shown
from .formats import change
from .formats import duration
from .formats import money
from .formats import number
from .formats import signed
from .responses import link

_NEW = "new"


@dataclass(frozen=True, slots=True)
class Change:
    """``relative`` is empty where the change cannot be told; ``before`` then still says what there was."""

    relative: str
    before: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the overview. ``href`` leads to the calls behind it."""

    name: str
    label: str
    value: Shown
    href: str
    change: Change


@dataclass(frozen=True, slots=True)
class Measured:
    """The sums and latencies of one period."""

    totals: Totals
    latency: Latency

    @property
    def spend(self) -> Shown:
        """What all calls cost."""
        return shown_cost(self.totals.total_cost, unknown_calls=self.totals.unknown_cost_calls)

    @property
    def average(self) -> Shown:
        """What one call costs, of those whose cost is known."""
        return shown_cost(self.totals.average_cost, unknown_calls=self.totals.unknown_cost_calls)


def tiles(now: Measured, before: Measured, filters: Filters) -> tuple[Tile, ...]:
    """The five tiles."""
    calls = link(".calls", filters.arguments())
    dearest = link(".calls", filters.arguments() | {"sort": "cost"})
    slowest = link(".calls", filters.arguments() | {"sort": "latency"})
    unpriced = link(".calls", filters.narrowed("price", "unknown").arguments())
    costs = dearest if now.spend.known else unpriced
    new = not before.totals.calls

    def changed(
        shown: Callable[[Decimal | None], Shown], value: _Number | None, earlier: _Number | None
    ) -> Change:
        return Change(_NEW, "nothing before") if new else _change(shown, _exact(value), _exact(earlier))

    averages = now.latency.average_ms, before.latency.average_ms
    average = duration(_exact(averages[0]))
    slow = now.latency.p95_ms, before.latency.p95_ms
    cost = now.totals.total_cost, before.totals.total_cost
    each = now.totals.average_cost, before.totals.average_cost
    count = now.totals.calls, before.totals.calls
    return (
        Tile("spend", _spend_label(now.totals), now.spend, costs, changed(money, *cost)),
        Tile("calls", _calls_label(now.totals), number(count[0]), calls, changed(number, *count)),
        Tile("average-cost", _average_label(now.totals), now.average, costs, changed(money, *each)),
        Tile("average-latency", "Average latency", average, slowest, changed(duration, *averages)),
        Tile("p95-latency", _slow_label(now.latency), duration(slow[0]), slowest, changed(duration, *slow)),
    )


_Number = Decimal | int | float


def _exact(value: _Number | None) -> Decimal | None:
    """Milliseconds are the only floats here, and whole ones say enough."""
    return None if value is None else Decimal(round(value) if isinstance(value, float) else value)


def _change(shown: Callable[[Decimal | None], Shown], now: Decimal | None, before: Decimal | None) -> Change:
    if now is None or before is None:
        return Change("", f"before: {shown(before)}")
    title = f"{signed(now - before, shown(abs(now - before)))} against {shown(before)} in the previous period"
    return Change(change(now, before), f"from {shown(before)}", title)


def _spend_label(totals: Totals) -> str:
    if totals.total_cost is not None and totals.unknown_cost_calls:
        return f"Spend, without {plural(totals.unknown_cost_calls, 'call')} of unknown cost"
    if totals.total_cost is not None and totals.partial_cost_calls:
        return f"Spend, {plural(totals.partial_cost_calls, 'call')} priced in part"
    return "Spend"


def _calls_label(totals: Totals) -> str:
    return f"Calls, {totals.failed_calls:,} of them failed" if totals.failed_calls else "Calls"


def _average_label(totals: Totals) -> str:
    return "Average of a priced call" if totals.unknown_cost_calls else "Average cost of a call"


def _slow_label(latency: Latency) -> str:
    if latency.count and latency.p95_ms is None:
        return "95th percentile latency, not read of so many calls"
    return f"95th percentile latency{', of a sample' if latency.sampled else ''}"
