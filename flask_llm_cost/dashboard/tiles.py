"""The overview's tiles: a number, what it is, and how it changed against the previous period."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ..analytics import Latency
from ..analytics import Totals
from .costs import shown_cost
from .filters import Filters
from .formats import Shown
from .formats import change
from .formats import duration
from .formats import money
from .formats import number
from .formats import plural
from .formats import signed
from .responses import link


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number of the overview. ``change`` is empty where it cannot be told."""

    name: str
    value: Shown
    label: str
    href: str
    change: str
    before: str
    change_title: str


@dataclass(frozen=True, slots=True)
class Measured:
    """The sums and latencies of one period."""

    totals: Totals
    latency: Latency


def tiles(now: Measured, before: Measured, filters: Filters) -> tuple[Tile, ...]:
    """The five tiles. Each leads to the calls behind its number."""
    calls = link(".calls", filters.arguments())
    dearest = link(".calls", filters.arguments() | {"sort": "cost"})
    slowest = link(".calls", filters.arguments() | {"sort": "latency"})
    unpriced = link(".calls", filters.narrowed("price", "unknown").arguments())
    spend = shown_cost(now.totals.total_cost, unknown_calls=now.totals.unknown_cost_calls)
    return (
        Tile(
            name="spend",
            value=spend,
            label=_spend_label(now),
            href=dearest if spend.known else unpriced,
            **_cost_change(now.totals.total_cost, before.totals.total_cost),
        ),
        Tile(
            name="calls",
            value=number(now.totals.calls),
            label=_calls_label(now.totals),
            href=calls,
            **_count_change(now.totals.calls, before.totals.calls),
        ),
        Tile(
            name="average-cost",
            value=_average(now),
            label="Average cost of a priced call"
            if now.totals.unknown_cost_calls
            else "Average cost of a call",
            href=dearest,
            **_cost_change(now.totals.average_cost, before.totals.average_cost),
        ),
        _latency_tile(
            "average-latency", "Average latency", now.latency.average_ms, before.latency.average_ms, slowest
        ),
        _latency_tile(
            "p95-latency", "95th percentile latency", now.latency.p95_ms, before.latency.p95_ms, slowest
        ),
    )


def _spend_label(now: Measured) -> str:
    if now.totals.total_cost is None:
        return "Spend"
    if unknown := now.totals.unknown_cost_calls:
        return f"Spend, without {plural(unknown, 'unpriced call')}"
    if partial := now.totals.partial_cost_calls:
        return f"Spend, {plural(partial, 'call')} priced in part"
    return "Spend"


def _calls_label(totals: Totals) -> str:
    return f"Calls, {totals.failed_calls:,} of them failed" if totals.failed_calls else "Calls"


def _average(now: Measured) -> Shown:
    return shown_cost(now.totals.average_cost, unknown_calls=now.totals.unknown_cost_calls)


def _latency_tile(name: str, label: str, now: float | None, before: float | None, href: str) -> Tile:
    return Tile(
        name=name,
        value=duration(_whole(now)),
        label=label,
        href=href,
        **_duration_change(_whole(now), _whole(before)),
    )


def _whole(milliseconds: float | None) -> int | None:
    return None if milliseconds is None else round(milliseconds)


def _cost_change(now: Decimal | None, before: Decimal | None) -> dict[str, str]:
    if now is None or before is None:
        return _told(None, "unknown" if before is None else str(money(before)))
    return _told(change(now, before), str(money(before)), signed(now - before, money(abs(now - before))))


def _count_change(now: int, before: int) -> dict[str, str]:
    return _told(change(now, before), f"{before:,}", signed(now - before, number(abs(now - before))))


def _duration_change(now: int | None, before: int | None) -> dict[str, str]:
    if now is None or before is None:
        return _told(None, str(duration(before)))
    return _told(
        change(now, before), str(duration(before)), signed(now - before, duration(abs(now - before)))
    )


def _told(relative: str | None, before: str, absolute: str = "") -> dict[str, str]:
    if relative is None:
        return {"change": "", "before": before, "change_title": ""}
    title = f"{absolute} against {before} in the previous period"
    return {"change": relative, "before": before, "change_title": title}
