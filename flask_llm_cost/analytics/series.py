"""Calls over time. The database puts each call into its bucket by the bucket's own edges: exact in any zone.

The edges are searched in halves (CASE within CASE), some seven comparisons a call. Long series are asked in
pieces of :data:`PIECE` buckets, each over its own span: PostgreSQL takes seconds to compile a CASE of a
thousand branches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlalchemy import Select
from sqlalchemy import case
from sqlalchemy import func
from sqlalchemy import literal_column
from sqlalchemy import null
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..ledger import LlmCall
from ..ledger.drift import one_snapshot
from ..ledger.statements import bucket_number
from ..money import EXACT
from .dimensions import Dimension
from .dimensions import dimension
from .filters import DateRange
from .filters import Filters
from .measures import Row
from .measures import known_cost
from .measures import labelled
from .periods import bucket_edges
from .planner import Plan
from .planner import Source
from .planner import Values
from .planner import plan
from .sheet import by_bucket
from .sheet import rows_of
from .spend import spend
from .values import Bucket
from .values import Series
from .values import SeriesPart
from .values import add_costs

PIECE = 64
_MEASURES = ("calls", "unknown_cost_calls", "priced_calls", "total_cost")
_TICK = timedelta(microseconds=1)

#: Which bucket and which part of the split a sum belongs to.
_Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Sums:
    calls: int = 0
    unknown: int = 0
    priced: int = 0
    cost: Decimal | None = None

    def minus(self, part: _Sums) -> _Sums:
        """What is left without a part of these sums."""
        priced = self.priced - part.priced
        cost = EXACT.subtract(self.cost or Decimal(0), part.cost or Decimal(0)) if priced else None
        return _Sums(self.calls - part.calls, self.unknown - part.unknown, priced, cost)


@dataclass(frozen=True, slots=True)
class _Split:
    """The values that get a part of their own, dearest first; whatever is left is the part behind them."""

    by: Dimension
    values: tuple[str | None, ...]

    def place(self, value: str | None) -> int:
        """The number of a value's part."""
        return self.values.index(value) if value in self.values else len(self.values)

    def part(self, source: Source) -> ColumnElement[int]:
        """The number of a row's part."""
        column = source.value
        # == None is IS NULL.
        whens: list[tuple[ColumnElement[bool], ColumnElement[int]]] = [
            (column == value, literal_column(str(n))) for n, value in enumerate(self.values)
        ]
        rest: ColumnElement[int] = literal_column(str(len(self.values)))
        return case(*whens, else_=rest) if whens else rest


@dataclass(frozen=True, slots=True)
class Question:
    """What :func:`series` is asked: the bucket's name, the zone, the split and how many values it shows.

    :param values: those that it shows, where they are known already.
    """

    bucket: str
    zone: ZoneInfo
    by: str | None
    limit: int
    values: tuple[str | None, ...] | None = None


def series(session: Session, filters: Filters, question: Question, now: datetime) -> Series:
    """The calls of ``filters`` in buckets without gaps; of all time, from the first call up to ``now``."""
    by = None if question.by is None else dimension(question.by, "by")
    one_snapshot(session)
    frames = frames_of(session, filters, question, now)
    if not frames:
        return Series(bucket=question.bucket, zone=question.zone, buckets=(), by=question.by)
    edges = [frame.start for frame in frames] + [frames[-1].end]
    split = None if by is None else _split(session, filters, by, question)
    sums = _sums(session, filters, edges, split)
    return _fold(question, frames, sums, split)


def _sums(
    session: Session, filters: Filters, edges: Sequence[datetime], split: _Split | None
) -> dict[_Place, _Sums]:
    whole = replace(filters, range=(edges[0], edges[-1]))
    read = plan(session, filters, edges, None if split is None else split.by)
    if split is None or not read.has_many_values:
        return _read(session, whole, edges, read, split)
    # Of many values only those that are shown are looked up; the others are what is left of all calls.
    found = _read(session, whole, edges, read, split, split.values)
    rest = _read(session, whole, edges, plan(session, filters, edges), None)
    for (number, _), part in found.items():
        rest[number, 0] = rest[number, 0].minus(part)
    others = {(number, len(split.values)): sums for (number, _), sums in rest.items() if sums.calls}
    return {**found, **others}


def _read(
    session: Session,
    filters: Filters,
    edges: Sequence[datetime],
    read: Plan,
    split: _Split | None,
    only: Values | None = None,
) -> dict[_Place, _Sums]:
    """The sums by bucket and part, of ``only`` those values: their rollups put into the buckets here where
    that is possible, else in the database.
    """
    if (rows := rows_of(session, read, filters)) is not None:
        return _placed(rows, edges, lambda row: 0 if split is None else split.place(row[split.by.name]))
    kind = read.only_kind(filters)
    # Days of days, hours of hours: rollups tell by themselves what a CASE would find out.
    if kind is not None and kind.buckets_within(edges[0], edges[-1]) <= len(edges):
        found = session.execute(_by_time(read(filters, only))).mappings()
        return _placed(found, edges, lambda row: 0 if split is None else split.place(row["split_value"]))
    return dict(_by_pieces(session, filters, edges, read, split, only))


def _placed(
    rows: Iterable[Row], edges: Sequence[datetime], part: Callable[[Row], int]
) -> dict[_Place, _Sums]:
    cells: dict[_Place, list[Row]] = defaultdict(list)
    for number, mine in by_bucket(rows, edges).items():
        for row in mine:
            cells[number, part(row)].append(row)
    return {place: _added(found) for place, found in cells.items()}


def _added(rows: Sequence[Row]) -> _Sums:
    if len(rows) == 1:  # a day of one model, of which a page has hundreds
        (row,) = rows
        priced = int(row["priced_calls"])
        return _Sums(
            int(row["calls"]), int(row["unknown_cost_calls"]), priced, row["total_cost"] if priced else None
        )
    # PostgreSQL and MySQL answer SUM(BIGINT) with a NUMERIC.
    calls, unknown, priced = (int(sum(row[name] for row in rows)) for name in _MEASURES[:-1])
    return _Sums(calls, unknown, priced, add_costs(row["total_cost"] for row in rows) if priced else None)


def _by_pieces(
    session: Session,
    filters: Filters,
    edges: Sequence[datetime],
    read: Plan,
    split: _Split | None,
    only: Values | None,
) -> Iterator[tuple[_Place, _Sums]]:
    for first in range(0, len(edges) - 1, PIECE):
        piece = edges[first : first + PIECE + 1]
        source = read(replace(filters, range=(piece[0], piece[-1])), only)
        for row in session.execute(_statement(source, piece, split)):
            place = first + int(row.bucket_number), int(row.part_number)
            counts = (int(row.calls), int(row.unknown_cost_calls), int(row.priced_calls))
            yield place, _Sums(*counts, row.total_cost)


def frames_of(session: Session, filters: Filters, question: Question, now: datetime) -> list[Bucket]:
    """The empty buckets: cut to the filter's range, or whole ones where it has none."""
    zone = question.zone
    span = filters.range or _lifetime(session, filters, now)
    # A misspelt bucket is refused also where there are no calls.
    whole = bucket_edges(span or (now, now + _TICK), question.bucket, zone)
    if span is None:
        return []
    edges = whole
    if filters.range is not None:
        edges = [span[0].astimezone(zone), *whole[1:-1], span[1].astimezone(zone)]
    return [
        Bucket(
            start=start,
            end=end,
            label=natural_start.date(),
            calls=0,
            unknown_cost_calls=0,
            total_cost=Decimal(0),
            complete=natural_end <= now,
        )
        for (start, end), (natural_start, natural_end) in zip(pairwise(edges), pairwise(whole), strict=True)
    ]


def _lifetime(session: Session, filters: Filters, now: datetime) -> DateRange | None:
    """From the first call to the last one or now; ``None`` where there are no calls."""
    # Each end by itself: that is one look into an index.
    ends = [
        select(end(LlmCall.occurred_at)).where(*filters.conditions()).scalar_subquery()
        for end in (func.min, func.max)
    ]
    first, last = session.execute(select(ends[0], ends[1])).one()
    return None if first is None else (first, max(last, now) + _TICK)


def _split(session: Session, filters: Filters, by: Dimension, question: Question) -> _Split:
    if question.values is not None:
        return _Split(by, question.values)
    found = spend(session, filters, by.name, question.limit)
    return _Split(by, tuple(row.value for row in found.rows))


def _statement(source: Source, edges: Sequence[datetime], split: _Split | None) -> Select[Any]:
    number = bucket_number(source.moment, edges).label("bucket_number")
    part = literal_column("0") if split is None else split.part(source)
    columns = (number, part.label("part_number"), *(source.sums[name].label(name) for name in _MEASURES))
    # By name: PostgreSQL takes the same expression with bound values for two different ones.
    return source.select(*columns).group_by("bucket_number", "part_number")


def _by_time(source: Source) -> Select[Any]:
    """The sums by the buckets of the rollups and the values that they are split by."""
    value = func.coalesce(source.value, null()).label("split_value")
    sums = labelled(source.only(_MEASURES).sums)
    statement = source.select(source.moment.label("bucket"), value, *sums)
    return statement.group_by(source.moment, "split_value")


def _fold(
    question: Question, frames: Sequence[Bucket], sums: dict[_Place, _Sums], split: _Split | None
) -> Series:
    by_bucket: dict[int, list[_Sums]] = defaultdict(list)
    for (number, _), found in sums.items():
        by_bucket[number].append(found)
    whole = tuple(_filled(frame, by_bucket[number]) for number, frame in enumerate(frames))
    if split is None:
        return Series(bucket=question.bucket, zone=question.zone, buckets=whole)

    def part(number: int, value: str | None) -> SeriesPart:
        cells = ([sums[n, number]] if (n, number) in sums else [] for n in range(len(frames)))
        return SeriesPart(value=value, buckets=tuple(map(_filled, frames, cells)))

    return Series(
        bucket=question.bucket,
        zone=question.zone,
        buckets=whole,
        by=question.by,
        parts=tuple(part(number, value) for number, value in enumerate(split.values)),
        # Asked of the sums, not of the split: a call with a new value may have come in between.
        other=part(len(split.values), None) if any(n == len(split.values) for _, n in sums) else None,
    )


def _filled(frame: Bucket, cells: Sequence[_Sums]) -> Bucket:
    if not cells:
        return frame
    whole = cells[0] if len(cells) == 1 else _together(cells)
    return Bucket(
        start=frame.start,
        end=frame.end,
        label=frame.label,
        calls=whole.calls,
        unknown_cost_calls=whole.unknown,
        total_cost=known_cost(whole.calls, whole.priced, whole.cost),
        complete=frame.complete,
    )


def _together(cells: Sequence[_Sums]) -> _Sums:
    calls, priced = sum(cell.calls for cell in cells), sum(cell.priced for cell in cells)
    unknown = sum(cell.unknown for cell in cells)
    return _Sums(calls, unknown, priced, add_costs(cell.cost for cell in cells))
