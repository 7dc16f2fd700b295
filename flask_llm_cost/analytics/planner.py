"""Where sums are read from: rollups where those hold the very same answer as the calls, else the calls.

The coarsest rollups that know every filter, the split and all edges take as much of the range as they hold
whole; finer ones what is left at both ends; the calls the rest. So a range that begins at half past four and
ends now reads some minutes of calls, some hours and many days.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import datetime
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import Select
from sqlalchemy import SQLColumnExpression
from sqlalchemy import false
from sqlalchemy import func
from sqlalchemy import null
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..ledger import CallTag
from ..ledger import LlmCall
from ..ledger import Rollup
from ..ledger.coverage import WEEK
from ..ledger.coverage import Kind
from ..ledger.coverage import last_uncounted
from ..ledger.coverage import read_kinds
from ..ledger.coverage import rollups_of_kind
from ..ledger.coverage import trusted
from ..ledger.drift import one_snapshot
from ..ledger.meta import pruned_before
from .dimensions import Dimension
from .filters import Besides
from .filters import Condition
from .filters import Filters
from .filters import Span
from .filters import holds
from .filters import in_span
from .measures import Sums
from .measures import labelled
from .measures import numbers_of_calls
from .measures import numbers_of_rollups
from .measures import sums_of_calls
from .measures import sums_of_columns
from .measures import sums_of_rollups
from .measures import sums_of_tags
from .snapshot import once

#: What a rollup is kept apart by, besides its tag or column.
_ROLLED_UP = ("provider", "model")
#: Flags that a column tells.
_FLAGS = {"failed": "status"}
#: Without a rollup of a tag its own table is read, which is faster than the calls with the tag beside them.
_RAGGED = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Source:
    """One way to read sums: a statement's FROM and WHERE, its column of time and its measures as SQL.

    :param name: ``calls``, ``rollups``, ``tags``, or ``parts`` for calls and rollups together.
    :param base: the SELECT without columns.
    :param value: what is split by, NULL where nothing is.
    :param beside: the provider or model that is split by as well, NULL where neither is.
    """

    name: str
    base: Select[Any]
    moment: SQLColumnExpression[datetime]
    sums: Sums
    value: SQLColumnExpression[Any] = field(default_factory=null)
    beside: SQLColumnExpression[Any] = field(default_factory=null)

    def select(self, *columns: SQLColumnExpression[Any]) -> Select[Any]:
        """``columns`` of the filtered rows."""
        return self.base.with_only_columns(*columns, maintain_column_froms=True)

    def only(self, names: Iterable[str]) -> Source:
        """The same with these measures."""
        return replace(self, sums={name: self.sums[name] for name in names})


@dataclass(frozen=True, slots=True)
class _Part:
    """A span of time that is read from one kind of rollups, or from the calls."""

    span: Span
    kind: Kind | None


@dataclass(frozen=True, slots=True)
class Plan:
    """How a question is read. Its range may be any part of the planned one that keeps to the planned edges.

    :param kinds: the rollups that can answer, the coarsest first.
    :param horizon: nothing is asked of rollups before it: what was pruned may still be in them.
    """

    kinds: Sequence[Kind]
    by: Dimension | None
    horizon: datetime | None
    beside: Dimension | None = None

    def __call__(self, filters: Filters, only: Values | None = None) -> Source:
        """The rows of ``filters``, or ``only`` those of some values: an index leads to few of many."""
        parts = self.parts(filters)
        if len(parts) > 1:
            return self._together(filters, parts, only)
        return self._read(filters, parts[0].kind, only)

    def _read(self, filters: Filters, kind: Kind | None, only: Values | None) -> Source:
        if kind is None:
            source = read_calls(filters, self.by, only)
        else:
            source = read_rollups(filters, kind, self.by, only)
        if self.beside is None:
            return source
        return replace(source, beside=getattr(LlmCall if kind is None else Rollup, self.beside.name))

    def parts(self, filters: Filters) -> list[_Part]:
        """The spans that make up the range, in order."""
        return self._cut(filters.range or (None, None), self.kinds)

    def only_kind(self, filters: Filters) -> Kind | None:
        """The rollups that answer by themselves; ``None`` where calls or other rollups are read, too."""
        parts = self.parts(filters)
        return parts[0].kind if len(parts) == 1 else None

    def kind_by_model(self, filters: Filters) -> Kind | None:
        """The same where nothing is split by but what every row of rollups is kept apart by."""
        if self.beside is not None or (self.by is not None and self.by.name not in _ROLLED_UP):
            return None
        return self.only_kind(filters)

    @property
    def has_many_values(self) -> bool:
        """Whether the sums are kept by a tag or a column, of which there may be thousands of values."""
        return self.by is not None and any(
            kind.tag_key and self.by.name not in _ROLLED_UP for kind in self.kinds
        )

    @property
    def has_weeks(self) -> bool:
        """Whether sums of weeks are among them, which are kept of what has most values."""
        return any(kind.grain == WEEK for kind in self.kinds)

    def is_summed(self, filters: Filters) -> bool:
        """Whether no call is read."""
        return all(part.kind is not None for part in self.parts(filters))

    def rolled_up(self, filters: Filters) -> bool:
        """Whether at most the ragged ends of the range are read from the calls."""
        raw = [part.span for part in self.parts(filters) if part.kind is None]
        lengths = [span[1] - span[0] for span in raw if span[0] is not None and span[1] is not None]
        return len(lengths) == len(raw) and sum(lengths, timedelta()) <= _RAGGED

    def _cut(self, span: Span, kinds: Sequence[Kind]) -> list[_Part]:
        if not kinds:
            return [_Part(span, None)]
        kind, finer = kinds[0], kinds[1:]
        start, end = span
        first, last = self._first_whole(start, kind), None if end is None else kind.bucket_of(end)
        if first is not None and last is not None and first >= last:
            return self._cut(span, finer)
        before = [] if first == start else self._cut((start, first), finer)
        after = [] if last == end else self._cut((last, end), finer)
        return [*before, _Part((first, last), kind), *after]

    def _first_whole(self, start: datetime | None, kind: Kind) -> datetime | None:
        bounds = [moment for moment in (start, kind.complete_from, self.horizon) if moment is not None]
        return kind.first_bucket_from(max(bounds)) if bounds else None

    def _together(self, filters: Filters, parts: Sequence[_Part], only: Values | None) -> Source:
        selects = [self._numbers(filters, part, only) for part in parts]
        table = selects[0].union_all(*selects[1:]).subquery()
        sums = sums_of_columns(table)
        return Source("parts", select(table), table.c.moment, sums, table.c.value, table.c.beside)

    def _numbers(self, filters: Filters, part: _Part, only: Values | None) -> Select[Any]:
        """Time, value and measures of every row of a part."""
        source = self._read(replace(filters, range=None), part.kind, only)
        numbers = numbers_of_calls() if part.kind is None else numbers_of_rollups()
        found = source.select(
            source.moment.label("moment"),
            source.value.label("value"),
            source.beside.label("beside"),
            *labelled(numbers),
        )
        return found.where(*in_span(source.moment, part.span))


#: How a filter is read; see :class:`Plan`.
Read = Callable[[Filters], Source]
#: Values of a split; ``None`` is the calls without one.
Values = Collection[str | None]


def plan(
    session: Session,
    filters: Filters,
    edges: Sequence[datetime] = (),
    by: Dimension | None = None,
    beside: Dimension | None = None,
) -> Plan:
    """Decide where the sums of ``filters``, cut at ``edges`` and split by ``by``, are read from.

    The session is kept to one snapshot: what is planned has to be there still when it is read.

    :param beside: a provider or model to split by as well, see :func:`splits_beside`.
    :param edges: in order; the first and the last are where the range begins and ends.
    """
    one_snapshot(session)
    kinds = [kind for kind in once(session, read_kinds) if _knows(kind, filters, by)]
    kinds = [kind for kind in kinds if beside is None or kind.by_model]
    kinds = [kind for kind in kinds if all(kind.bucket_of(edge) == edge for edge in edges[1:-1])]
    if any(kind.column for kind in kinds):
        kinds = trusted(kinds, once(session, last_uncounted))
    return Plan(sorted(kinds, key=_coarsest_first), by, once(session, pruned_before), beside)


def splits_beside(by: Dimension) -> bool:
    """Whether calls can be split by it beside any other dimension: sums may be kept apart by it anyway."""
    return by.name in _ROLLED_UP


def _coarsest_first(kind: Kind) -> tuple[timedelta, bool, bool]:
    # Of several that are kept by a column any would do: users' are the most.
    return -kind.length, kind.tag_key != "", not kind.by_model


def _knows(kind: Kind, filters: Filters, by: Dimension | None) -> bool:
    """Whether a kind of rollups is kept apart by all that is filtered and split by."""
    splits = by is not None and (by.key == kind.tag if by.tag else by.name == kind.column)
    if kind.grain == WEEK and not splits:
        return False  # of one value there are few days, which one statement reads
    tags = {key for key, _ in filters.tags} | ({by.key} if by is not None and by.tag else set())
    columns = {_FLAGS.get(name, name) for name, _ in filters.columns}
    columns |= {by.name} if by is not None and not by.tag else set()
    if kind.by_model:
        columns -= set(_ROLLED_UP)
    return tags == ({kind.tag} - {""}) and columns == ({kind.column} - {""})


def read_calls(filters: Filters, by: Dimension | None = None, only: Values | None = None) -> Source:
    """The calls themselves, which can answer everything."""
    base = select(1).select_from(LlmCall)
    value: SQLColumnExpression[Any] = null()
    if by is not None:
        base, value = by.beside(base), by.column
    if only is not None:
        named = [each for each in only if each is not None]
        base = base.where(or_(value.in_(named), value.is_(None) if None in only else false()))
    return Source("calls", base.where(*filters.conditions()), LlmCall.occurred_at, sums_of_calls(), value)


def read_rollups(
    filters: Filters, kind: Kind, by: Dimension | None = None, only: Values | None = None
) -> Source:
    """The sums of one kind."""
    conditions = [*rollups_of_kind(kind), *in_span(Rollup.bucket, filters.range or (None, None))]
    conditions += [_is(name, value) for name, value in filters.columns]
    conditions += [Rollup.tag_value == (value or "") for _, value in filters.tags]
    value: SQLColumnExpression[Any] = null()
    if by is not None:
        stored = getattr(Rollup, by.name) if by.name in _ROLLED_UP else Rollup.tag_value
        value = stored if by.name in _ROLLED_UP else func.nullif(stored, "")
        if only is not None:
            conditions.append(stored.in_([each or "" for each in only]))
    base = select(1).select_from(Rollup).where(*conditions)
    return Source("rollups", base, Rollup.bucket, sums_of_rollups(), value)


def _is(name: str, condition: Condition) -> ColumnElement[bool]:
    """A filter on a column, as a condition on the sums that are kept by it; '' is having no value there."""
    if name in _ROLLED_UP:
        return holds(getattr(Rollup, name), condition)
    if name == "failed":
        return Rollup.tag_value != "ok" if condition else Rollup.tag_value == "ok"
    if isinstance(condition, Besides):
        return Rollup.tag_value.not_in([value or "" for value in condition.values])
    return Rollup.tag_value == (condition or "")


def read_tags(filters: Filters, key: str) -> Source:
    """The rows of one tag key, for filters that are nothing but a range."""
    conditions = (CallTag.key == key, *in_span(CallTag.occurred_at, filters.range or (None, None)))
    base = select(1).select_from(CallTag).where(*conditions)
    return Source("tags", base, CallTag.occurred_at, sums_of_tags(), CallTag.value)
