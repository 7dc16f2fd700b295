"""Short lists read from the ledger: filter options, tag keys, billed components, models without a price."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..components import components as declared
from ..ledger import CallTag
from ..ledger import LineItem
from ..ledger import LlmCall
from ..ledger.drift import one_snapshot
from ..usage import INPUT_FIELDS
from .dimensions import dimension
from .filters import INDEXED
from .filters import Filters
from .filters import in_range
from .measures import count_where
from .measures import labelled
from .planner import plan
from .planner import read_tags
from .ranking import check_limit
from .sheet import by_value
from .sheet import costs_by_tag
from .sheet import rows_of
from .snapshot import kept
from .values import OUTPUT_FIELDS
from .values import ComponentCost
from .values import TagKey
from .values import UnpricedModel


def distinct(session: Session, filters: Filters, column: str, limit: int) -> tuple[str, ...]:
    """The most frequent values of a dimension, in alphabetical order."""
    by = dimension(column, "column")
    check_limit(limit)
    read = plan(session, filters, by=by)
    if (rows := rows_of(session, read, filters)) is not None:
        calls = {value: sum(row["calls"] for row in mine) for value, mine in by_value(rows, by.name).items()}
        return tuple(sorted(sorted(calls, key=lambda value: (-calls[value], value))[:limit]))
    source = read(filters)
    if by.is_alone(filters.columns, filters.tags) and not read.rolled_up(filters):
        source = read_tags(filters, by.key)
    # By the name of the expression: MariaDB, in its strict mode, does not see that it is the same one twice.
    named = source.select(source.value.label("split_value")).group_by("split_value")
    statement = named.where(source.value.is_not(None))
    found = session.scalars(statement.order_by(source.sums["calls"].desc(), "split_value").limit(limit))
    return tuple(sorted(found))


def value_count(session: Session, filters: Filters, name: str) -> int:
    """How many values of a dimension the calls have; nothing is added up for it."""
    source = plan(session, filters, by=dimension(name))(filters)
    values = source.select(source.value.label("split_value")).where(source.value.is_not(None))
    each = values.group_by("split_value").subquery()
    return session.scalar(select(func.count()).select_from(each)) or 0


def tag_keys(
    session: Session, filters: Filters, limit: int, at_most: int | None = None
) -> tuple[TagKey, ...]:
    """The tag keys of the calls, the most frequent first.

    :param at_most: how many calls of a key are counted that has no sums.
    """
    check_limit(limit)
    one_snapshot(session)
    found = [_tag_key(session, filters, key, at_most) for key in _names_of_tags(session)]
    ranked = sorted((key for key in found if key.calls), key=lambda key: (-key.calls, key.key))
    return tuple(ranked[:limit])


def _names_of_tags(session: Session) -> Iterator[str]:
    """The keys that any call has, in their order, each by one look into an index, once in a session."""
    names: list[str] = kept(session, _names_of_tags, list)
    yield from names
    while name := session.scalar(
        select(func.min(CallTag.key)).where(*([CallTag.key > names[-1]] if names else []))
    ):
        names.append(name)
        yield name


def _tag_key(session: Session, filters: Filters, key: str, at_most: int | None) -> TagKey:
    by = dimension(f"tag:{key}")
    read = plan(session, filters, by=by)
    if (found := costs_by_tag(session, read, filters)) is not None:
        each = [int(row["calls"]) for row in found if row["value"] is not None]
        return TagKey(key=key, calls=sum(each), values=len(each))
    if read.rolled_up(filters):
        source = read(filters).only(("calls",))
        tagged = source.base.where(source.value.is_not(None)).group_by("split_value")
        by_value = replace(source, base=tagged).select(
            source.value.label("split_value"), *labelled(source.sums)
        )
        values = by_value.subquery()
    else:
        rows = select(CallTag.value).where(CallTag.key == key)
        # The range is in the tag table too; only another filter needs the calls. Where that leads to few of
        # them, SQLite is not to be led to all tags of the range.
        if not any(name in INDEXED for name, _ in filters.columns):
            rows = rows.where(*in_range(CallTag.occurred_at, filters.range))
        if filters.columns or filters.tags:
            rows = rows.join(LlmCall, LlmCall.id == CallTag.call_id).where(*filters.conditions())
        if at_most is not None:
            rows = rows.limit(at_most + 1)
        some = rows.subquery()
        values = select(some.c.value, func.count().label("calls")).group_by(some.c.value).subquery()
    # Grouped first: PostgreSQL sorts for COUNT(DISTINCT).
    statement = select(func.coalesce(func.sum(values.c.calls), 0), func.count()).select_from(values)
    calls, count = map(int, session.execute(statement).one())
    if at_most is not None and calls > at_most and not read.rolled_up(filters):
        return TagKey(key=key, calls=at_most, values=count, at_least=True)
    return TagKey(key=key, calls=calls, values=count)


def tag_names(session: Session, filters: Filters, limit: int) -> tuple[str, ...]:
    """The names of tags, in alphabetical order: of the calls, or of all time where only a range is asked.

    Then each name is one look into the index, however many calls carry it.
    """
    check_limit(limit)
    if filters.columns or filters.tags:
        return tuple(sorted(found.key for found in tag_keys(session, filters, limit)))
    return tuple(islice(_names_of_tags(session), limit))


def components(session: Session, filters: Filters) -> tuple[ComponentCost, ...]:
    """What was billed, by component, in the order in which components are declared."""
    statement = (
        select(
            LineItem.component,
            LineItem.unit,
            func.count().label("line_count"),
            count_where(LineItem.cost.is_(None)).label("unknown_count"),
            func.sum(LineItem.quantity).label("quantity"),
            func.sum(LineItem.cost).label("cost"),
        )
        .join(LlmCall, LlmCall.id == LineItem.call_id)
        .where(*filters.conditions())
        .group_by(LineItem.component, LineItem.unit)
    )
    order = {name: place for place, name in enumerate(declared())}
    rows = sorted(
        session.execute(statement),
        key=lambda row: (order.get(row.component, len(order)), row.component, row.unit),
    )
    return tuple(_component(row) for row in rows)


def _component(row: Any) -> ComponentCost:
    return ComponentCost(
        component=row.component,
        unit=row.unit,
        lines=row.line_count,
        unknown_lines=row.unknown_count,
        quantity=row.quantity,
        cost=row.cost,
    )


def unpriced_models(session: Session, filters: Filters, limit: int) -> tuple[UnpricedModel, ...]:
    """The models with most calls that lack a price, in whole or in part.

    Calls that told no usage lack that, not a price: they are left out.
    """
    check_limit(limit)
    unknown = count_where(LlmCall.cost_status == "unknown").label("unknown_count")
    partial = count_where(LlmCall.cost_status == "partial").label("partial_count")
    statement = (
        select(
            LlmCall.provider,
            LlmCall.model,
            unknown,
            partial,
            func.min(LlmCall.occurred_at).label("first_seen"),
            func.max(LlmCall.occurred_at).label("last_seen"),
            _tokens(INPUT_FIELDS).label("tokens_in"),
            _tokens(OUTPUT_FIELDS).label("tokens_out"),
        )
        .where(
            *filters.conditions(),
            LlmCall.cost_status.in_(("unknown", "partial")),
            LlmCall.usage_source != "unknown",
        )
        .group_by(LlmCall.provider, LlmCall.model)
        .order_by(func.count().desc(), LlmCall.provider, LlmCall.model)
        .limit(limit)
    )
    return tuple(
        UnpricedModel(
            provider=row.provider,
            model=row.model,
            unknown_cost_calls=row.unknown_count,
            partial_cost_calls=row.partial_count,
            first_seen=row.first_seen,
            last_seen=row.last_seen,
            tokens_in=int(row.tokens_in),
            tokens_out=int(row.tokens_out),
        )
        for row in session.execute(statement)
    )


def _tokens(names: Sequence[str]) -> ColumnElement[int]:
    """All tokens of one side."""
    sums = [func.coalesce(func.sum(getattr(LlmCall, name)), 0) for name in names]
    total: ColumnElement[int] = sums[0]
    for each in sums[1:]:
        total = total + each
    return total
