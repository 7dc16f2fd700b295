"""Calls by day of a time zone with all their sums; :mod:`.series` has the costs alone, for charts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from ..ledger.drift import one_snapshot
from ..ledger.statements import bucket_number
from .filters import Filters
from .measures import labelled
from .measures import totals_of
from .planner import plan
from .series import PIECE
from .series import Question
from .series import frames_of
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
    found: dict[int, Totals] = {}
    for first in range(0, len(frames), PIECE):
        piece = edges[first : first + PIECE + 1]
        source = read(replace(filters, range=(piece[0], piece[-1])))
        number = bucket_number(source.moment, piece).label("bucket_number")
        statement = source.select(number, *labelled(source.sums)).group_by("bucket_number")
        for row in session.execute(statement).mappings():
            found[first + int(row["bucket_number"])] = totals_of([row])
    nothing = totals_of([])
    return tuple(
        Day(day=frame.label, **{name: getattr(found.get(place, nothing), name) for name in TOTALS})
        for place, frame in enumerate(frames)
    )
