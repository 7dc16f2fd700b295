"""Calls by day of a time zone with all their sums; :mod:`.series` has the costs alone, for charts."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from ..ledger.drift import one_snapshot
from ..ledger.statements import bucket_number
from .filters import Filters
from .measures import Row
from .measures import labelled
from .measures import totals_of
from .planner import Plan
from .planner import plan
from .series import PIECE
from .series import Question
from .series import frames_of
from .sheet import by_bucket
from .sheet import rows_of
from .values import TOTALS
from .values import Day
from .values import Totals


def daily(session: Session, filters: Filters, zone: ZoneInfo, now: datetime) -> tuple[Day, ...]:
    """Every day of the range without gaps, today included; the first and the last are cut where it ends."""
    one_snapshot(session)
    frames = frames_of(session, filters, Question("day", zone, None, 1), now)
    if not frames:
        return ()
    edges = [frame.start for frame in frames] + [frames[-1].end]
    read = plan(session, filters, edges)
    rows = rows_of(session, read, replace(filters, range=(edges[0], edges[-1])))
    found = _by_pieces(session, filters, edges, read) if rows is None else _by_day(rows, edges)
    nothing = totals_of([])
    return tuple(
        Day(day=frame.label, **{name: getattr(found.get(place, nothing), name) for name in TOTALS})
        for place, frame in enumerate(frames)
    )


def _by_day(rows: Iterable[Row], edges: Sequence[datetime]) -> dict[int, Totals]:
    return {place: totals_of(mine) for place, mine in by_bucket(rows, edges).items()}


def _by_pieces(
    session: Session, filters: Filters, edges: Sequence[datetime], read: Plan
) -> dict[int, Totals]:
    found: dict[int, Totals] = {}
    for first in range(0, len(edges) - 1, PIECE):
        piece = edges[first : first + PIECE + 1]
        source = read(replace(filters, range=(piece[0], piece[-1])))
        number = bucket_number(source.moment, piece).label("bucket_number")
        statement = source.select(number, *labelled(source.sums)).group_by("bucket_number")
        for row in session.execute(statement).mappings():
            found[first + int(row["bucket_number"])] = totals_of([row])
    return found
