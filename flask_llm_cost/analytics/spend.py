"""What was spent by the values of a dimension: costs and counts only, for pages with many splits.

A tag's costs are read from the tag table alone, whose index holds them. The calls are asked only for those
whose cost is unknown or partial, usually few; calls without the tag are all calls minus the tagged ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import case
from sqlalchemy import func
from sqlalchemy.orm import Session

from ..ledger import LlmCall
from ..ledger.drift import one_snapshot
from ..money import EXACT
from .dimensions import Dimension
from .dimensions import dimension
from .filters import Filters
from .measures import COSTS
from .measures import costs_of
from .measures import known_cost
from .measures import labelled
from .planner import plan
from .planner import read_calls
from .planner import read_tags
from .ranking import check_limit
from .ranking import rank
from .ranking import ranked
from .ranking import share
from .totals import costs
from .values import Costs
from .values import Spend
from .values import SpendRow


@dataclass(frozen=True, slots=True)
class _Part:
    """The costs of one value, or of several values together."""

    value: str | None
    values: int
    costs: Costs


def spend(session: Session, filters: Filters, name: str, limit: int | None) -> Spend:
    """Split the costs by a dimension; at most ``limit`` values of their own, then "other"."""
    by = dimension(name)
    check_limit(limit)
    one_snapshot(session)
    read = plan(session, filters, by=by)
    if by.is_alone(filters.columns, filters.tags) and not read.rolled_up(filters):
        parts, rest = _tag_parts(session, filters, by, limit)
    else:
        found = ranked(session, read, filters, limit, COSTS)
        parts = [_Part(row["value"], 1, costs_of([row])) for row in found.kept]
        rest = [_Part(None, found.rest_values, costs_of(found.rest))] if found.rest else []
    total = _sum([*parts, *rest])
    return Spend(
        dimension=name,
        rows=tuple(_row(part.value, part.costs, total) for part in parts),
        other=_row(None, _sum(rest), total) if rest else None,
        other_values=sum(part.values for part in rest),
        total=total,
    )


def _tag_parts(
    session: Session, filters: Filters, by: Dimension, limit: int | None
) -> tuple[list[_Part], list[_Part]]:
    """The parts of their own and those of the rest."""
    found = rank(session, read_tags(filters, by.key), limit)
    doubts = _doubts(session, filters, by, None if limit is None else [row["value"] for row in found.kept])
    parts = [
        _Part(row["value"], 1, costs_of([{**row, **doubts.pop(row["value"], {})}])) for row in found.kept
    ]
    rest = [_Part(None, found.rest_values, costs_of([{**row, **doubts.pop(None, {})}])) for row in found.rest]
    untagged = minus(costs(session, filters), _sum([*parts, *rest]))
    if untagged.calls:
        parts = sorted([*parts, _Part(None, 1, untagged)], key=_place)
    if limit is not None:
        parts, rest = parts[:limit], [*parts[limit:], *rest]
    return parts, rest


def _doubts(
    session: Session, filters: Filters, by: Dimension, values: Sequence[str] | None
) -> dict[str | None, Mapping[str, Any]]:
    """The counts of unknown and partial costs by tag value; of all but ``values`` together under ``None``."""
    source = read_calls(filters, by).only(("unknown_cost_calls", "partial_cost_calls"))
    column: ColumnElement[Any] = func.coalesce(by.column, "")
    if values is not None:
        column = case((by.column.in_(values), by.column))
    statement = (
        source.select(column.label("tag_value"), *labelled(source.sums))
        .where(by.column.is_not(None), LlmCall.cost_status.in_(("unknown", "partial")))
        .group_by("tag_value")
    )
    rows = session.execute(statement).mappings()
    return {row["tag_value"]: {name: row[name] for name in source.sums} for row in rows}


def _sum(parts: Sequence[_Part]) -> Costs:
    return costs_of([{name: getattr(part.costs, name) for name in COSTS} for part in parts])


def minus(total: Costs, part: Costs) -> Costs:
    """What is left of a total without one of its parts."""
    calls, priced = total.calls - part.calls, total.priced_calls - part.priced_calls
    cost = EXACT.subtract(total.total_cost or Decimal(0), part.total_cost or Decimal(0))
    return Costs(
        calls=calls,
        unknown_cost_calls=total.unknown_cost_calls - part.unknown_cost_calls,
        partial_cost_calls=total.partial_cost_calls - part.partial_cost_calls,
        priced_calls=priced,
        total_cost=known_cost(calls, priced, cost),
    )


def _place(part: _Part) -> tuple[bool, Decimal, int]:
    cost = part.costs.total_cost
    return cost is None, -(cost or Decimal(0)), -part.costs.calls


def _row(value: str | None, costs: Costs, total: Costs) -> SpendRow:
    return SpendRow(
        value=value,
        share=share(costs.total_cost, total.total_cost),
        **{name: getattr(costs, name) for name in COSTS},
    )
