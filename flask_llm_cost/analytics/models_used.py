"""What each provider's models used and cost, and which of them are new."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import case
from sqlalchemy import func
from sqlalchemy import literal_column
from sqlalchemy import select
from sqlalchemy import tuple_
from sqlalchemy.orm import Session

from ..errors import InvalidFilterError
from ..ledger import LlmCall
from ..usage import INPUT_FIELDS
from .dimensions import dimension
from .filters import Filters
from .measures import labelled
from .measures import totals_of
from .planner import plan
from .planner import read_calls
from .sheet import by_value
from .sheet import rows_of
from .values import Totals

#: A model that was not used for so long counts as new again.
NEW_AFTER = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """The sums of one provider's model.

    :param size: how many of the thresholds that were asked for a call's input reaches.
    """

    provider: str
    model: str
    size: int
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """A model without a call in the :data:`NEW_AFTER` before the range, and its first call in it."""

    provider: str
    model: str
    first_seen: datetime
    totals: Totals


def models_used(session: Session, filters: Filters, thresholds: Sequence[int] = ()) -> tuple[ModelUse, ...]:
    """The models of the calls, dearest first; each once for every size of input that is told apart.

    :param thresholds: tokens of input, cached ones included, from which on a call is larger.
    """
    uses = _by_size(session, filters, thresholds) if thresholds else _by_provider(session, filters)
    return tuple(
        sorted(uses, key=lambda use: (-(use.totals.total_cost or 0), use.provider, use.model, use.size))
    )


def _by_provider(session: Session, filters: Filters) -> Iterator[ModelUse]:
    """One provider after the other: so the sums of its models may come from the rollups."""
    if (rows := rows_of(session, plan(session, filters), filters)) is not None:
        for provider, of_provider in by_value(rows, "provider").items():
            for model, uses in by_value(of_provider, "model").items():
                yield ModelUse(provider=provider, model=model, size=0, totals=totals_of(uses))
        return
    source = plan(session, filters, by=dimension("provider"))(filters)
    for provider in session.scalars(source.select(source.value).distinct()).all():
        mine = filters.where({"provider": provider})
        split = plan(session, mine, by=dimension("model"))(mine)
        statement = split.select(split.value.label("model"), *labelled(split.sums)).group_by(split.value)
        for row in session.execute(statement).mappings():
            yield ModelUse(provider=provider, model=row["model"], size=0, totals=totals_of([row]))


def _by_size(session: Session, filters: Filters, thresholds: Sequence[int]) -> Iterator[ModelUse]:
    source = read_calls(filters)
    statement = source.select(
        LlmCall.provider, LlmCall.model, _size(thresholds).label("size_number"), *labelled(source.sums)
    ).group_by(LlmCall.provider, LlmCall.model, "size_number")
    for row in session.execute(statement).mappings():
        size, totals = int(row["size_number"]), totals_of([row])
        yield ModelUse(provider=row["provider"], model=row["model"], size=size, totals=totals)


def new_models(session: Session, filters: Filters) -> tuple[NewModel, ...]:
    """The models that are new in the range of ``filters``, the newest first.

    :raises InvalidFilterError: the filters are about all time.
    """
    if filters.range is None:
        raise InvalidFilterError("range", "all time has nothing before it; choose a range first")
    start, _ = filters.range
    used = {(use.provider, use.model): use.totals for use in models_used(session, filters)}
    earlier = Filters(filters.columns, filters.tags, (start - NEW_AFTER, start))
    known = {(use.provider, use.model) for use in models_used(session, earlier)}
    fresh = [named for named in used if named not in known]
    if not fresh:
        return ()
    statement = (
        select(LlmCall.provider, LlmCall.model, func.min(LlmCall.occurred_at).label("first_seen"))
        .where(*filters.conditions(), tuple_(LlmCall.provider, LlmCall.model).in_(fresh))
        .group_by(LlmCall.provider, LlmCall.model)
    )
    found = (
        NewModel(
            provider=row.provider,
            model=row.model,
            first_seen=row.first_seen,
            totals=used[row.provider, row.model],
        )
        for row in session.execute(statement)
    )
    return tuple(sorted(found, key=lambda each: each.first_seen, reverse=True))


def _size(thresholds: Sequence[int]) -> ColumnElement[Any]:
    total: ColumnElement[Any] = func.coalesce(getattr(LlmCall, INPUT_FIELDS[0]), 0)
    for name in INPUT_FIELDS[1:]:
        total = total + func.coalesce(getattr(LlmCall, name), 0)
    # The highest first: the first branch that holds is taken.
    whens: list[tuple[ColumnElement[bool], ColumnElement[Any]]] = [
        (total >= threshold, literal_column(str(number)))
        for number, threshold in sorted(enumerate(thresholds, start=1), reverse=True)
    ]
    return case(*whens, else_=literal_column("0"))
