"""Checks of the daily sums that are kept, and of the replica that questions are asked of."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ..ledger import Ledger
from ..ledger import LlmCall
from ..ledger import Rollup
from ..ledger.coverage import DAY
from ..ledger.coverage import HOURS
from ..ledger.coverage import Kind
from ..ledger.coverage import read_kinds
from ..ledger.coverage import rollups_of_kind
from ..ledger.coverage import uncounted_sums
from ..ledger.schema import check_schema
from .advice import cause
from .advice import mend
from .advice import place
from .advice import problems
from .check import Check
from .check import error
from .check import ok
from .check import warn

#: A tag with more sums a day than this is no longer faster than the calls.
MOST_SUMS_A_DAY = 5_000
#: A replica that is further behind makes the dashboard look wrong.
LATE = timedelta(seconds=60)

_DAYS = 7
_REBUILD = "flask llm-cost rebuild-rollups"


def daily_sums(session: Session, ledger: Ledger) -> Check:
    """Whether the sums that the configuration asks for are kept, and since when."""
    kept = [kind for kind in read_kinds(session.connection()) if kind != HOURS]
    asked = list(ledger.rollups.kinds())
    if faults := [*_missing(asked, kept), *_unwanted(asked, kept), *_incomplete(kept)]:
        return warn("daily sums", f"{' '.join(faults)} Answers are right, but slow.", _REBUILD)
    if older := uncounted_sums(session.connection()):
        first, last = min(row["bucket"] for row in older), max(row["bucket"] for row in older)
        return warn(
            "daily sums",
            f"A worker of an older version has stored calls of {first:%Y-%m-%d} to {last:%Y-%m-%d}: they are "
            "not in the sums by user and by other columns. Answers are right, but slow.",
            f"Restart every worker, then {_REBUILD}.",
        )
    by_tag = [kind for kind in kept if kind.tag and kind.grain == DAY]
    for kind in by_tag:
        if (rows := _rows_a_day(session, kind)) > MOST_SUMS_A_DAY:
            return warn(
                "daily sums",
                f"The tag {kind.tag!r} has {rows:,} sums a day, too many values to be worth it.",
                f"Take {kind.tag!r} out of LLM_COST_ROLLUP_TAGS, then {_REBUILD}.",
            )
    tags = ", ".join(kind.tag for kind in by_tag)
    return ok("daily sums", f"Kept in days of {kept[0].zone.key}{f', and by {tags}' if tags else ''}.")


def _missing(asked: Sequence[Kind], kept: Sequence[Kind]) -> Iterator[str]:
    zones = {kind.key: kind.zone.key for kind in kept}
    for kind in asked:
        zone = zones.get(kind.key)
        if zone is None:
            yield f"Not kept: {kind.words}."
        elif zone != kind.zone.key:
            yield f"Kept in days of {zone} instead of {kind.zone.key}: {kind.words}."


def _unwanted(asked: Sequence[Kind], kept: Sequence[Kind]) -> Iterator[str]:
    keys = {kind.key for kind in asked}
    for kind in kept:
        if kind.key not in keys:
            yield f"Kept, though LLM_COST_ROLLUP_TAGS does not name it: {kind.words}."


def _incomplete(kept: Sequence[Kind]) -> Iterator[str]:
    for kind in kept:
        if kind.complete_from is not None:
            yield f"Complete from {kind.complete_from.astimezone(kind.zone):%Y-%m-%d} on: {kind.words}."


def _rows_a_day(session: Session, kind: Kind) -> int:
    week = Rollup.bucket >= datetime.now(UTC) - timedelta(days=_DAYS)
    recent = select(func.count()).where(*rollups_of_kind(kind), week)
    return (session.scalar(recent) or 0) // _DAYS


def replica(session: Session, ledger: Ledger) -> Iterator[Check]:
    """Whether the replica answers, has the tables, and how late it is.

    :param session: of the database that is written to.
    """
    if ledger.read_engine is ledger.engine:
        return
    report = check_schema(ledger.read_engine)
    where = place(ledger.read_engine)
    if not report.ok:
        yield error("replica", f"{where}: {problems(report)}", mend(report))
        return
    latest = select(LlmCall.created_at).order_by(LlmCall.id.desc()).limit(1)
    written = session.scalar(latest)
    try:
        with ledger.read_session() as there:
            seen = there.scalar(latest)
    except SQLAlchemyError as trouble:
        yield error("replica", f"{where} cannot be read ({cause(trouble)}).", "See the server's log.")
        return
    if written is not None and (seen is None or written - seen > LATE):
        behind = "has no calls" if seen is None else f"is {(written - seen).total_seconds():,.0f} s behind"
        yield warn(
            "replica",
            f"{where} {behind}; pages and reports show what it has.",
            "Look at its replication, or unset LLM_COST_READ_BIND_KEY.",
        )
    else:
        yield ok("replica", f"{where} answers questions; its latest call is as new as the ledger's.")
