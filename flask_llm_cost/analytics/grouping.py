"""The groups of a report: calls by day or by a dimension, each beside what it cost in the time before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from .measures import COSTS
from .measures import costs_of
from .measures import totals_of
from .query import CallQuery
from .ranking import share
from .spend import minus
from .values import TOTALS
from .values import Breakdown
from .values import BreakdownRow
from .values import Costs
from .values import Day
from .values import Totals

#: The group that is no dimension.
DAY = "day"
#: Words people use for a column.
ALIASES = {"user": "user_id", "mode": "pricing_mode"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow(BreakdownRow):
    """One line of a report.

    :param value: as in a breakdown; of a day, its date as ``YYYY-MM-DD``.
    :param previous: the same value in the time before, of a day the one in its place; ``None``: not compared.
    """

    previous: Costs | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportGroup(Breakdown):
    """Calls by one dimension or by ``day``: the lines of a breakdown, those of days in their order.

    :param previous: all calls of the time before; ``None``: not compared.
    """

    rows: tuple[ReportRow, ...]
    other: ReportRow | None
    previous: Costs | None


def group(query: CallQuery, name: str, limit: int | None, previous: CallQuery | None) -> ReportGroup:
    """Split the calls of a query, and hold each part against the same of ``previous``."""
    found = ALIASES.get(name, name)
    return _by_day(query, previous) if found == DAY else _by_dimension(query, found, limit, previous)


def _by_day(query: CallQuery, previous: CallQuery | None) -> ReportGroup:
    days = query.daily()
    total = totals_of([{**_mapping_of_all(day), **day.tokens} for day in days])
    # A month may be held against a shorter one, or the time before may be cut by a change of the clocks.
    before = previous.daily()[: len(days)] if previous is not None else ()
    rows = tuple(
        _row(day.day.isoformat(), day, total, _costs(then) if then is not None else None)
        for day, then in zip_longest(days, before)
        if day is not None
    )
    return ReportGroup(
        dimension=DAY,
        rows=rows,
        other=None,
        other_values=0,
        total=total,
        previous=None if previous is None else _costs(previous.totals()),
    )


def _by_dimension(query: CallQuery, name: str, limit: int | None, previous: CallQuery | None) -> ReportGroup:
    found = query.cost_by(name, limit)
    before: Mapping[str | None, Costs] = {}
    total_before = None
    if previous is not None:
        values = [row.value for row in found.rows]
        before = previous.costs_of(name, values)
        total_before = _costs(previous.totals())
    nothing = None if previous is None else costs_of([])
    rows = tuple(_row(row.value, row, found.total, before.get(row.value, nothing)) for row in found.rows)
    rest = None if total_before is None else minus(total_before, costs_of(map(_mapping, before.values())))
    return ReportGroup(
        dimension=name,
        rows=rows,
        other=None if found.other is None else _row(None, found.other, found.total, rest),
        other_values=found.other_values,
        total=found.total,
        previous=total_before,
    )


def _row(value: str | None, sums: Totals, total: Totals, previous: Costs | None) -> ReportRow:
    return ReportRow(
        value=value,
        share=share(sums.total_cost, total.total_cost),
        previous=previous,
        **{name: getattr(sums, name) for name in TOTALS},
    )


def _mapping_of_all(sums: Totals) -> dict[str, Any]:
    return {name: getattr(sums, name) for name in TOTALS}


def _costs(sums: Totals | Day) -> Costs:
    return Costs(**_mapping(sums))


def _mapping(costs: Costs) -> dict[str, Any]:
    return {name: getattr(costs, name) for name in COSTS}
