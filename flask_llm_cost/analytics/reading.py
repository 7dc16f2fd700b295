"""How much an answer reads, told before it is asked: pages bound what they show by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..ledger import LlmCall
from .dimensions import dimension
from .filters import INDEXED
from .filters import Filters
from .planner import plan
from .planner import splits_beside
from .totals import costs


def is_summed(session: Session, filters: Filters, names: Sequence[str]) -> bool:
    """Whether at most the ragged ends of the range are read from the calls."""
    by = sorted(map(dimension, names), key=splits_beside)
    if len(by) > 1 and not splits_beside(by[1]):
        return False
    first, second = (*by, None, None)[:2]
    return plan(session, filters, by=first, beside=second).rolled_up(filters)


def reads_more_than(session: Session, filters: Filters, calls: int) -> bool:
    """Whether more calls than that are left by the range and the filters with an index."""
    columns = tuple((name, value) for name, value in filters.columns if name in (*INDEXED, "cost_status"))
    if any(name == "provider" for name, _ in filters.columns):
        columns += tuple(each for each in filters.columns if each[0] in ("provider", "model"))
    indexed = replace(filters, columns=columns)
    if plan(session, indexed).only_kind(indexed) is not None:
        return costs(session, indexed).calls > calls
    some = select(LlmCall.id).where(*indexed.conditions()).limit(calls + 1).subquery()
    found = session.scalar(select(func.count()).select_from(some)) or 0
    return found > calls
