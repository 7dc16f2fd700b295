"""Where sums are read from: the calls, or the hourly rollups where those hold the very same answer."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import Select
from sqlalchemy import SQLColumnExpression
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm import Session

from ..ledger import CallTag
from ..ledger import LlmCall
from ..ledger import Rollup
from ..ledger.meta import pruned_before
from ..ledger.rollups import HOUR
from .dimensions import Dimension
from .filters import Filters
from .filters import in_range
from .measures import Sums
from .measures import sums_of_calls
from .measures import sums_of_rollups
from .measures import sums_of_tags

#: What a rollup is kept apart by.
_ROLLED_UP = ("provider", "model")


@dataclass(frozen=True, slots=True)
class Source:
    """One way to read sums: the table, its column of time, the measures as SQL, and the filter.

    :param name: ``calls``, ``rollups`` or ``tags``.
    """

    name: str
    entity: type[LlmCall] | type[Rollup] | type[CallTag]
    moment: InstrumentedAttribute[datetime]
    sums: Sums
    conditions: tuple[ColumnElement[bool], ...]

    def select(self, *columns: SQLColumnExpression[Any], by: Dimension | None = None) -> Select[Any]:
        """``columns`` of the filtered rows, where ``by`` is a tag with that tag beside them."""
        statement = select(*columns).select_from(self.entity)
        joined = by is not None and self.entity is LlmCall
        return (by.beside(statement) if by and joined else statement).where(*self.conditions)

    def only(self, names: Iterable[str]) -> Source:
        """The same with these measures."""
        return replace(self, sums={name: self.sums[name] for name in names})


#: How a filter is read; its range may be any part of the planned one that keeps to the planned edges.
Read = Callable[[Filters], Source]


def plan(session: Session, filters: Filters, edges: Iterable[datetime] = (), by: str | None = None) -> Read:
    """Decide where the sums of ``filters``, cut at ``edges`` and split by ``by``, are read from.

    The rollups know UTC hours, providers and models; any other filter, split or edge needs the calls. They
    are not asked about times before the last prune either: what was deleted there may still be in them.
    """
    cuts = [*(filters.range or ()), *edges]
    rolled_up = (
        not filters.tags
        and all(name in _ROLLED_UP for name, _ in filters.columns)
        and by in (None, *_ROLLED_UP)
        and all(map(_is_hour, cuts))
        and _is_whole(session, filters)
    )
    return read_rollups if rolled_up else read_calls


def read_calls(filters: Filters) -> Source:
    """The calls themselves, which can answer everything."""
    return Source("calls", LlmCall, LlmCall.occurred_at, sums_of_calls(), tuple(filters.conditions()))


def read_rollups(filters: Filters) -> Source:
    """The hourly sums of all calls."""
    conditions = [Rollup.grain == HOUR, Rollup.tag_key == "", *in_range(Rollup.bucket, filters.range)]
    conditions += [getattr(Rollup, name) == value for name, value in filters.columns]
    return Source("rollups", Rollup, Rollup.bucket, sums_of_rollups(), tuple(conditions))


def read_tags(filters: Filters, key: str) -> Source:
    """The rows of one tag key, for filters that are nothing but a range."""
    conditions = (CallTag.key == key, *in_range(CallTag.occurred_at, filters.range))
    return Source("tags", CallTag, CallTag.occurred_at, sums_of_tags(), conditions)


def one_snapshot(session: Session) -> None:
    """Let all statements of one answer see the same calls, so that their sums agree.

    SQLite's transactions do so by themselves.
    """
    if not session.in_transaction() and session.get_bind().dialect.name != "sqlite":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def _is_hour(moment: datetime) -> bool:
    told = moment.astimezone(UTC)
    return (told.minute, told.second, told.microsecond) == (0, 0, 0)


def _is_whole(session: Session, filters: Filters) -> bool:
    horizon = pruned_before(session.connection())
    return horizon is None or (filters.range is not None and filters.range[0] >= horizon)
