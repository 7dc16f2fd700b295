"""Make the rollups those that the configuration asks for, complete, and equal to the calls again."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import update

from ..errors import LLMCostError
from ..ledger import Drift
from ..ledger import Ledger
from ..ledger.coverage import DAY
from ..ledger.coverage import HOUR
from ..ledger.coverage import HOURS
from ..ledger.coverage import UNCOUNTED
from ..ledger.coverage import Kind
from ..ledger.coverage import begin_keeping
from ..ledger.coverage import forget_uncounted
from ..ledger.coverage import kept_kinds
from ..ledger.coverage import move_coverage
from ..ledger.coverage import read_kinds
from ..ledger.coverage import stop_keeping
from ..ledger.coverage import uncounted_sums
from ..ledger.drift import Window
from ..ledger.drift import correction
from ..ledger.drift import drift_of
from ..ledger.drift import one_snapshot
from ..ledger.drift import windows
from ..ledger.meta import read_meta
from ..ledger.rollups import add_to_rollups
from ..ledger.rows import META
from ..ledger.rows import ROLLUPS
from ..ledger.rows import Row
from ..ledger.statements import insert_ignoring
from .pace import PAUSE

_ROWS_AT_ONCE = 500
_WEEK = timedelta(days=7)
#: Counts the corrections, so that of two rebuilds at once neither corrects what the other has.
_CORRECTIONS_KEY = "rollup_corrections"
_EXAMPLES = 100


class _Overtaken(Exception):
    """Another rebuild has corrected something since the sums were compared."""


@dataclass(slots=True)
class RebuildResult:
    """What a rebuild did, or with ``dry_run`` would do.

    :param corrected: how many rollups differed from their calls.
    :param drift: the first of those.
    :param filled: how many rollups were added for the time before their kind was kept.
    :param begun: the kinds of sums that were not kept before.
    :param dropped: the kinds that nobody asks for any more, or that were of another zone.
    """

    corrected: int = 0
    drift: list[Drift] = field(default_factory=list)
    filled: int = 0
    begun: Sequence[Kind] = ()
    dropped: Sequence[Kind] = ()

    def add(self, found: Sequence[Drift]) -> None:
        """Take down corrections."""
        self.corrected += len(found)
        self.drift += found[: _EXAMPLES - len(self.drift)]


def rebuild_rollups(
    ledger: Ledger,
    *,
    dry_run: bool = False,
    on_progress: Callable[[int, int], object] | None = None,
) -> RebuildResult:
    """Keep the rollups that the ledger's :class:`RollupChoice` asks for, fill in their past, drop the others
    and correct every one that differs from its calls, from the last prune on.

    What is missing is added instead of the sums being written anew, week by week, so calls that arrive
    meanwhile are neither lost nor counted twice. Interrupted, it goes on where it was when it is started
    again.

    :param on_progress: called with (weeks done, weeks to do) after each.
    :raises LedgerUnavailable: the database cannot be used now; what was done so far stays.
    """
    result = RebuildResult()
    if dry_run:
        with ledger.session() as session:
            result.begun, result.dropped = _differences(session.connection(), ledger)
    else:
        _keep_what_is_asked_for(ledger, result)
    with ledger.session() as session:  # before any sum is corrected
        uncounted = uncounted_sums(session.connection())
    steps = _steps(ledger)
    for number, step in enumerate(steps, 1):
        found = _mend(ledger, step, dry_run=dry_run)
        if step.fills:
            result.filled += len(found)
        else:
            result.add(found)
        if not dry_run:
            if step.fills:
                _tell_progress(ledger, step)
            time.sleep(PAUSE)
        if on_progress is not None:
            on_progress(number, len(steps))
    if not dry_run:
        ledger.transaction(partial(forget_uncounted, sums=uncounted))
    return result


@dataclass(frozen=True, slots=True)
class _Step:
    """One week of one kind.

    :param complete_from: what has to stand in the coverage before, where the step fills in the past;
        ``None`` where it corrects what is complete.
    :param last: whether nothing is left to fill after it.
    """

    window: Window
    complete_from: datetime | None = None
    last: bool = False

    @property
    def fills(self) -> bool:
        return self.complete_from is not None


def _steps(ledger: Ledger) -> list[_Step]:
    with ledger.session() as session:
        connection = session.connection()
        kinds = read_kinds(connection)
        fill = [step for kind in kinds for step in _filling(connection, kind)]
        return fill + [
            _Step(window) for kind in kinds for window in windows(connection, kind, kind.complete_from)
        ]


def _filling(connection: Connection, kind: Kind) -> Iterator[_Step]:
    """The time before a kind is complete, the latest week first: what is complete stays in one piece."""
    complete = kind.complete_from
    if complete is None:
        return
    found = windows(connection, kind, end=complete) or [Window(kind, complete, complete)]
    for window in reversed(found):
        yield _Step(window, complete, last=window is found[0])
        complete = window.start


def _differences(connection: Connection, ledger: Ledger) -> tuple[list[Kind], list[Kind]]:
    """The kinds to begin and those to drop."""
    asked = list(ledger.rollups.kinds())
    kept = [kind for kind in read_kinds(connection) if kind != HOURS]
    missing = [kind for kind in asked if not any(kind.is_same(other) for other in kept)]
    unwanted = [kind for kind in kept if not any(kind.is_same(other) for other in asked)]
    return missing, unwanted


def _keep_what_is_asked_for(ledger: Ledger, result: RebuildResult) -> None:
    def drop(connection: Connection) -> None:
        result.begun, result.dropped = _differences(connection, ledger)
        if result.dropped:
            stop_keeping(connection, result.dropped)
        row = {"key": _CORRECTIONS_KEY, "value": "0"}
        connection.execute(insert_ignoring(META, "key", connection.dialect.name), row)

    ledger.transaction(drop)
    while ledger.transaction(_delete_leftovers):
        time.sleep(PAUSE)
    ledger.transaction(lambda connection: begin_keeping(connection, ledger.rollups))


def _delete_leftovers(connection: Connection) -> bool:
    """Delete a week of sums of days or weeks that are not kept; whether there may be more."""
    kept = {kind.key for kind in kept_kinds(connection)} | {(DAY, UNCOUNTED)}
    rollup = ROLLUPS.c
    present = connection.execute(select(rollup.grain, rollup.tag_key).where(rollup.grain != HOUR).distinct())
    left = sorted({(row[0], row[1]) for row in present} - kept)
    if not left:
        return False
    of_kind = (rollup.grain == left[0][0], rollup.tag_key == left[0][1])
    oldest = connection.execute(select(func.min(rollup.bucket)).where(*of_kind)).scalar_one()
    connection.execute(delete(ROLLUPS).where(*of_kind, rollup.bucket < oldest + _WEEK))
    return True


def _mend(ledger: Ledger, step: _Step, *, dry_run: bool) -> list[Drift]:
    while True:
        with ledger.session() as session:
            one_snapshot(session)
            connection = session.connection()
            corrections = int(read_meta(connection, _CORRECTIONS_KEY) or 0)
            found = drift_of(connection, step.window, expected=step.fills)
        if dry_run:
            return found
        try:
            _correct(ledger, found, corrections)
            return found
        except _Overtaken:
            continue


def _correct(ledger: Ledger, found: Sequence[Drift], corrections: int) -> None:
    for start in range(0, len(found), _ROWS_AT_ONCE):
        rows = [correction(drift) for drift in found[start : start + _ROWS_AT_ONCE]]
        ledger.transaction(partial(_add_corrections, rows=rows, told=corrections))
        corrections += 1


def _add_corrections(connection: Connection, rows: list[Row], told: int) -> None:
    is_same = (META.c.key == _CORRECTIONS_KEY, META.c.value == str(told))
    counted = connection.execute(update(META).where(*is_same).values(value=str(told + 1)))
    if counted.rowcount != 1:
        raise _Overtaken
    add_to_rollups(connection, rows)


def _tell_progress(ledger: Ledger, step: _Step) -> None:
    begins = None if step.last else step.window.start
    told = ledger.transaction(
        lambda connection: move_coverage(connection, step.window.kind, step.complete_from, begins)
    )
    if not told:
        raise LLMCostError("Another rebuild is running on this ledger. Let it end, then start again.")
