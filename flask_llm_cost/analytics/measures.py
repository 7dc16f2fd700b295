"""The sums every answer is made of: which there are, and how result rows become :class:`Totals`."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy import ColumnElement
from sqlalchemy import FromClause
from sqlalchemy import RowMapping
from sqlalchemy import case
from sqlalchemy import func
from sqlalchemy import literal_column

from ..ledger import CallTag
from ..ledger import LlmCall
from ..ledger import Rollup
from ..money import EXACT
from .values import TOKENS
from .values import Costs
from .values import Totals
from .values import add_costs

_COUNTS = (
    "calls",
    "failed_calls",
    "unknown_cost_calls",
    "partial_cost_calls",
    "priced_calls",
    "timed_calls",
    "latency_ms",
)
MEASURES = (*_COUNTS, "total_cost", *TOKENS)
#: The measures of :class:`Costs`.
COSTS = ("calls", "unknown_cost_calls", "partial_cost_calls", "priced_calls", "total_cost")

Sums = Mapping[str, ColumnElement[Any]]
#: Measures by name: of a row that the database found, or added up here.
Row = Mapping[str, Any] | RowMapping


@cache
def sums_of_calls() -> Sums:
    """The measures as SQL over the calls. NULL costs add nothing; the sum of none is NULL."""
    return {
        "calls": func.count(),
        "failed_calls": count_where(LlmCall.status != "ok"),
        "unknown_cost_calls": count_where(LlmCall.cost_status == "unknown"),
        "partial_cost_calls": count_where(LlmCall.cost_status == "partial"),
        "priced_calls": func.count(LlmCall.total_cost),
        "timed_calls": func.count(LlmCall.latency_ms),
        "latency_ms": func.sum(LlmCall.latency_ms),
        "total_cost": func.sum(LlmCall.total_cost),
        **{name: func.sum(getattr(LlmCall, name)) for name in TOKENS},
    }


@cache
def sums_of_rollups() -> Sums:
    """The same over the rollups."""
    return _summed(numbers_of_rollups())


def sums_of_columns(rows: FromClause) -> Sums:
    """The same over rows of calls and rollups that carry the measures as columns."""
    return _summed({name: rows.c[name] for name in MEASURES})


@cache
def numbers_of_rollups() -> Sums:
    """The measures of one rollup."""
    return {name: getattr(Rollup, name) for name in MEASURES}


@cache
def numbers_of_calls() -> Sums:
    """The measures of one call, as if it were a rollup."""
    return {
        "calls": _one_where(None),
        "failed_calls": _one_where(LlmCall.status != "ok"),
        "unknown_cost_calls": _one_where(LlmCall.cost_status == "unknown"),
        "partial_cost_calls": _one_where(LlmCall.cost_status == "partial"),
        "priced_calls": _one_where(LlmCall.total_cost.is_not(None)),
        "timed_calls": _one_where(LlmCall.latency_ms.is_not(None)),
        **{name: getattr(LlmCall, name) for name in ("latency_ms", "total_cost", *TOKENS)},
    }


def _one_where(condition: ColumnElement[bool] | None) -> ColumnElement[int]:
    one = literal_column("1", BigInteger())
    return one if condition is None else case((condition, one), else_=literal_column("0", BigInteger()))


def _summed(numbers: Sums) -> Sums:
    # A cost of NULL was added to a rollup as zero: without a priced call the sum is NULL.
    sums = {name: func.sum(number) for name, number in numbers.items()}
    return {**sums, "total_cost": case((sums["priced_calls"] > 0, sums["total_cost"]))}


@cache
def sums_of_tags() -> Sums:
    """What the rows of one tag key tell by themselves, each standing for a call."""
    return {
        "calls": func.count(),
        "priced_calls": func.count(CallTag.total_cost),
        "total_cost": func.sum(CallTag.total_cost),
    }


def sums_of_groups(groups: FromClause, names: Iterable[str]) -> Sums:
    """The measures called ``names`` over groups that carry them as columns."""
    return {name: func.sum(groups.c[name]) for name in names}


def labelled(sums: Sums) -> list[ColumnElement[Any]]:
    """``sums`` as columns of a SELECT."""
    return [expression.label(name) for name, expression in sums.items()]


def count_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows satisfy ``condition``; a CASE, as MySQL knows no FILTER."""
    return func.count(case((condition, 1)))


def added(rows: Iterable[Row], names: Iterable[str] = MEASURES) -> dict[str, Any]:
    """The sums over rollups, as the database adds them up: of those measures that the first one has."""
    found = list(rows)
    counts = [name for name in names if name in found[0] and name != "total_cost"]
    sums: dict[str, Any] = {name: sum(int(row[name] or 0) for row in found) for name in counts}
    cost = add_costs(row["total_cost"] for row in found) if sums["priced_calls"] else None
    return {**sums, "total_cost": cost}


def without(whole: Row, part: Row) -> dict[str, Any]:
    """What is left of sums without a part of them, of those measures that the part has."""
    sums: dict[str, Any] = {name: whole[name] - part[name] for name in part if name != "total_cost"}
    cost = EXACT.subtract(whole["total_cost"] or Decimal(0), part["total_cost"] or Decimal(0))
    return {**sums, "total_cost": cost if sums["priced_calls"] else None}


def known_cost(calls: int, priced_calls: int, cost: Decimal | None) -> Decimal | None:
    """Zero where there are no calls, ``None`` where there are calls and none has a cost."""
    if priced_calls:
        return cost
    return None if calls else Decimal(0)


def costs_of(rows: Iterable[Row]) -> Costs:
    """The costs over rows that carry :data:`COSTS`; a count that is missing is zero."""
    found = list(rows)
    calls, unknown, partial, priced = (
        # PostgreSQL and MySQL answer SUM(BIGINT) with a NUMERIC.
        sum(int(row.get(name) or 0) for row in found)
        for name in COSTS[:-1]
    )
    return Costs(
        calls=calls,
        unknown_cost_calls=unknown,
        partial_cost_calls=partial,
        priced_calls=priced,
        total_cost=known_cost(calls, priced, add_costs(row["total_cost"] for row in found)),
    )


def totals_of(rows: Iterable[Row]) -> Totals:
    """The totals over result rows that carry :data:`MEASURES`; over none, the totals of no calls."""
    found = list(rows)
    costs = costs_of(found)
    counts = {name: sum(int(row[name] or 0) for row in found) for name in MEASURES if name not in COSTS}
    return Totals(
        **{name: getattr(costs, name) for name in COSTS},
        failed_calls=counts["failed_calls"],
        tokens=MappingProxyType({name: counts[name] for name in TOKENS}),
        timed_calls=counts["timed_calls"],
        latency_ms=counts["latency_ms"],
    )
