"""Sums that are read once and added up here.

A page asks a dozen questions about the same days: totals of the period and of the one before, days by model,
models, providers, what is usual, where the month leads to. Where the sums of days answer, these are few rows,
one for each day, provider and model. They are kept as long as the session, so that each is read once
and every answer is added up from them. Where they are many, the database adds up.
"""

from __future__ import annotations

from bisect import bisect_left
from bisect import bisect_right
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from ..ledger import Rollup
from ..ledger.coverage import DAY
from ..ledger.coverage import Kind
from .filters import DateRange
from .filters import Filters
from .measures import COSTS
from .measures import MEASURES
from .measures import Row
from .measures import labelled
from .planner import Plan
from .planner import read_rollups
from .snapshot import is_shared
from .snapshot import kept

#: Beyond so many rows, or values of a tag, the database is quicker.
MOST_ROWS = 5_000
MOST_VALUES = 1_000

_NAMES = ("bucket", "provider", "model", *MEASURES)


@dataclass(slots=True)
class _Sheet:
    """The rollups of one kind and some filters, over one span of time that grows with what is asked.

    :param refused: spans in which there are too many.
    """

    span: DateRange | None = None
    rows: list[Row] = field(default_factory=list)
    buckets: list[datetime] = field(default_factory=list)
    refused: list[DateRange] = field(default_factory=list)

    def between(self, span: DateRange) -> Sequence[Row]:
        """The rows of a part of its span."""
        return self.rows[bisect_left(self.buckets, span[0]) : bisect_left(self.buckets, span[1])]

    def missing(self, span: DateRange) -> list[DateRange]:
        """What has to be read, so that ``span`` is a part of it: before what it has, and behind."""
        if self.span is None:
            return [span]
        ends = (span[0], self.span[0]), (self.span[1], span[1])
        return [end for end in ends if end[0] < end[1]]

    def add(self, span: DateRange, rows: Sequence[Row]) -> None:
        """The rows of a span before or behind what it has."""
        if self.span is None or self.span[0] >= span[1]:
            self.rows[:0] = rows
        else:
            self.rows += rows
        self.span = (min(span[0], (self.span or span)[0]), max(span[1], (self.span or span)[1]))
        self.buckets = [row["bucket"] for row in self.rows]

    def refuses(self, span: DateRange) -> bool:
        """Whether there are too many rows in a part of ``span``."""
        return any(span[0] <= refused[0] and refused[1] <= span[1] for refused in self.refused)


def rows_of(session: Session, read: Plan, filters: Filters) -> Sequence[Row] | None:
    """The sums of days that answer a question about all calls of ``filters``, or by provider or model, in
    order of time, each with its ``bucket``, ``provider`` and ``model``. ``None`` where other rows are needed,
    where they are many, or where nothing else is asked in this session.
    """
    kind, span = read.kind_by_model(filters), filters.range
    if kind is None or kind.grain != DAY or span is None or not is_shared(session):
        return None
    sheet = kept(session, (_Sheet, kind, filters.columns, filters.tags), _Sheet)
    if sheet.refuses(span):
        return None
    for part in sheet.missing(span):
        found = session.connection().execute(_statement(replace(filters, range=part), kind))
        # Looked into many times: a dict is quicker than a row.
        rows = [dict(zip(_NAMES, row, strict=True)) for row in found]
        if len(rows) > MOST_ROWS:
            sheet.refused.append(part)
            return None
        sheet.add(part, rows)
    return sheet.between(span)


def costs_by_tag(session: Session, read: Plan, filters: Filters) -> Sequence[Row] | None:
    """The costs by the values of a tag that is planned to be split by, each with its ``value``; ``None``
    where there are many, not all is in the sums of that tag, or nothing else is asked in this session.
    """
    if read.by is None or read.by.tag is None or not read.is_summed(filters) or not is_shared(session):
        return None
    source = read(filters).only(COSTS)
    statement = source.select(source.value.label("value"), *labelled(source.sums)).group_by("value")
    found = kept(
        session,
        (costs_by_tag, read.by.key, filters),
        lambda: session.connection().execute(statement.limit(MOST_VALUES + 1)).mappings().all(),
    )
    return None if len(found) > MOST_VALUES else found


def by_value(rows: Iterable[Row], name: str) -> Mapping[str, Sequence[Row]]:
    """The rows by their ``provider`` or ``model``."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[name], []).append(row)
    return found


def by_bucket(rows: Iterable[Row], edges: Sequence[datetime]) -> Mapping[int, Sequence[Row]]:
    """The rows by the two of ``edges`` that they lie between, counted from 0."""
    # In UTC, as the rows are: moments of two zones are compared ten times as slowly.
    instants = [edge.astimezone(UTC) for edge in edges]
    found: dict[int, list[Row]] = {}
    for bucket, mine in groupby(rows, itemgetter("bucket")):
        found.setdefault(bisect_right(instants, bucket) - 1, []).extend(mine)
    return found


def _statement(filters: Filters, kind: Kind) -> Select[Any]:
    rows = read_rollups(filters, kind).select(*(getattr(Rollup, name) for name in _NAMES))
    return rows.order_by(Rollup.bucket).limit(MOST_ROWS + 1)
