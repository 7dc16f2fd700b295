"""Which rollups are kept: what the database says, not what one process is configured to.

Workers are restarted one after the other, and several apps may share a ledger. If each kept the rollups of
its own configuration, none could tell which are whole. So the kinds that are kept stand in a table; whoever
counts calls keeps all of them, and whoever adds or removes one waits for the transactions that do not know
yet. Sums per hour of all calls are always kept and need no row.

Some columns of a call are kept like a tag whose key is :data:`COLUMN_MARK` and the column's name, which no
tag has. A version that does not know of them takes such a key for a tag that no call has. So it counts its
calls under :data:`UNCOUNTED` as well, which versions that do know never do: the days that have such sums are
those of which the sums by column are not complete.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from zoneinfo import ZoneInfo
from zoneinfo import ZoneInfoNotFoundError

from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import RowMapping
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import select

from .days import day_around
from .days import week_around
from .failures import LedgerUnavailable
from .rows import CALLS
from .rows import COVERAGE
from .rows import META
from .rows import ROLLUPS
from .statements import insert_ignoring

#: The sums of a UTC hour.
HOUR = "h"
#: The sums of a day of the zone that its coverage names.
DAY = "d"
#: The sums of a week of that zone, from Monday on.
WEEK = "w"
#: What people call these times.
PERIODS = {HOUR: "hour", DAY: "day", WEEK: "week"}
#: What the key of sums by a column begins with; no tag's key does.
COLUMN_MARK = "@"
#: The columns by whose values sums are kept: few values each, but for users, whose sums are not kept apart by
#: provider and model: 5,000 users and ten models would be about as many sums as calls.
SUMMED_COLUMNS = ("user_id", "endpoint", "request_type", "operation", "status")
#: The column with so many values that what a month cost is added up from weeks, and days at its ends.
_SUMMED_BY_WEEK = "user_id"
#: The key under which calls are that a version has counted which knows no sums by column.
UNCOUNTED = f"{COLUMN_MARK}uncounted"
#: The row of ``llm_cost_meta`` that is locked: shared by who counts calls, alone by who changes the kinds.
KEPT_KEY = "rollups_kept"

_LENGTHS = {HOUR: timedelta(hours=1), DAY: timedelta(days=1), WEEK: timedelta(weeks=1)}
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of rollups: which buckets of time, and of all calls or by the values of a tag or a column.

    :param tag_key: '' for all calls, a tag, or :data:`COLUMN_MARK` and one of :data:`SUMMED_COLUMNS`.
    :param complete_from: from this bucket on every call is in them; ``None``: since ever.
    """

    grain: str
    tag_key: str = ""
    zone: ZoneInfo = _UTC
    complete_from: datetime | None = None

    def bucket_around(self, moment: datetime) -> tuple[datetime, datetime]:
        """When the bucket that ``moment`` belongs to begins, and when the next one does; in UTC."""
        if self.grain == WEEK:
            return week_around(moment, self.zone)
        if self.grain == DAY:
            return day_around(moment, self.zone)
        start = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return start, start + _LENGTHS[HOUR]

    def bucket_of(self, moment: datetime) -> datetime:
        """When the bucket that ``moment`` belongs to begins."""
        return self.bucket_around(moment)[0]

    def first_bucket_from(self, moment: datetime) -> datetime:
        """The first bucket that does not begin before ``moment``."""
        start, end = self.bucket_around(moment)
        return start if start == moment else end

    def buckets_within(self, start: datetime, end: datetime) -> int:
        """About how many buckets there are from ``start`` to ``end``."""
        return round((end - start) / self.length)

    @property
    def length(self) -> timedelta:
        """How long a bucket is, but for changes of the clocks."""
        return _LENGTHS[self.grain]

    @property
    def key(self) -> tuple[str, str]:
        """What one kind is kept of at most."""
        return self.grain, self.tag_key

    @property
    def column(self) -> str:
        """The column by whose values it is kept; empty where it is not."""
        name = self.tag_key.removeprefix(COLUMN_MARK)
        return name if name != self.tag_key and name in SUMMED_COLUMNS else ""

    @property
    def tag(self) -> str:
        """The tag by whose values it is kept; empty where it is not."""
        return "" if self.tag_key.startswith(COLUMN_MARK) else self.tag_key

    @property
    def by_model(self) -> bool:
        """Whether it is kept apart by provider and model, too."""
        return self.column != "user_id"

    @property
    def of(self) -> str:
        """What it is of, for people: ``all calls``, ``the tag 'tenant'``, ``user_id``."""
        return self.column or (f"the tag {self.tag!r}" if self.tag else "all calls")

    @property
    def words(self) -> str:
        """The same, and of weeks that they are: ``user_id per week``."""
        return f"{self.of} per week" if self.grain == WEEK else self.of

    def is_same(self, other: Kind) -> bool:
        """Whether both are the same sums, however much of them is complete."""
        return self.key == other.key and self.zone.key == other.zone.key


HOURS = Kind(HOUR)
#: Days of UTC, whatever zone the others are of: no change of a setting can make them mean another time.
_UNCOUNTED_DAYS = Kind(DAY, UNCOUNTED)


@dataclass(frozen=True, slots=True)
class RollupChoice:
    """What an app's configuration asks for: sums of days and weeks in its zone, of all calls, by columns and
    by tags.
    """

    zone: ZoneInfo = _UTC
    tags: tuple[str, ...] = ()

    def kinds(self) -> Iterator[Kind]:
        """The kinds of sums that are asked for, besides those of hours."""
        for tag_key in ("", *(COLUMN_MARK + name for name in SUMMED_COLUMNS), *self.tags):
            yield Kind(DAY, tag_key, self.zone)
        for tag_key in (COLUMN_MARK + _SUMMED_BY_WEEK, *self.tags):
            yield Kind(WEEK, tag_key, self.zone)


def kept_kinds(connection: Connection) -> tuple[Kind, ...]:
    """The kinds of rollups that the calls of this transaction have to be counted in, until it ends."""
    connection.execute(select(META.c.value).where(META.c.key == KEPT_KEY).with_for_update(read=True))
    # A statement of its own: it sees what was committed while the lock was waited for. A key that only a
    # later version knows is among them: counting there tells that version of calls that it has to look at.
    return tuple(kind for kind in _all_kinds(connection) if kind.tag_key != UNCOUNTED)


def read_kinds(connection: Connection) -> tuple[Kind, ...]:
    """The kinds of rollups that are kept now and can be read, in the order in which writers lock them."""
    return tuple(
        kind for kind in _all_kinds(connection) if kind.column or not kind.tag_key.startswith(COLUMN_MARK)
    )


def last_uncounted(connection: Connection) -> datetime | None:
    """The last day on which a version counted that knows no sums by column; ``None`` where none did."""
    of_kind = rollups_of_kind(_UNCOUNTED_DAYS)
    return connection.execute(select(func.max(ROLLUPS.c.bucket)).where(*of_kind)).scalar()


def trusted(kinds: Iterable[Kind], uncounted: datetime | None) -> list[Kind]:
    """``kinds``, those by column complete only behind the last day that is ``uncounted``."""
    if uncounted is None:
        return list(kinds)
    _, end = _UNCOUNTED_DAYS.bucket_around(uncounted)
    return [_from(kind, end) if kind.column else kind for kind in kinds]


def _from(kind: Kind, moment: datetime) -> Kind:
    return replace(kind, complete_from=kind.first_bucket_from(max(moment, kind.complete_from or moment)))


def uncounted_sums(connection: Connection) -> list[RowMapping]:
    """What older versions have counted beside the sums by column."""
    of_kind = rollups_of_kind(_UNCOUNTED_DAYS)
    return list(connection.execute(select(ROLLUPS).where(*of_kind)).mappings())


def forget_uncounted(connection: Connection, sums: Iterable[RowMapping]) -> None:
    """Take these away, now that the sums by column hold their calls; those that have grown since stay."""
    for row in sums:
        same = (ROLLUPS.c[name] == row[name] for name in ("bucket", "dim", "calls", "total_cost"))
        connection.execute(delete(ROLLUPS).where(*rollups_of_kind(_UNCOUNTED_DAYS), *same))


def _all_kinds(connection: Connection) -> tuple[Kind, ...]:
    rows = connection.execute(select(COVERAGE))
    longer = (Kind(row.grain, row.tag_key, _zone(row.zone), row.complete_from) for row in rows)
    return tuple(sorted((*longer, HOURS), key=lambda kind: kind.key))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise LedgerUnavailable(
            f"the rollups are kept in days of {name!r}, which this machine does not know: pip install tzdata"
        ) from None


def missing_kinds(connection: Connection, choice: RollupChoice) -> list[Kind]:
    """The kinds that are asked for and not kept. One of another zone stands in the way until a rebuild."""
    kept = {kind.key for kind in _all_kinds(connection)}
    return [kind for kind in (*choice.kinds(), _UNCOUNTED_DAYS) if kind.key not in kept]


def begin_keeping(connection: Connection, choice: RollupChoice) -> None:
    """Keep what is asked for from now on: complete since ever where there are no calls yet, else from the
    bucket after the latest call.
    """
    if not missing_kinds(connection, choice):
        return
    lock_kinds(connection)
    latest = connection.execute(select(func.max(CALLS.c.occurred_at))).scalar()
    for kind in missing_kinds(connection, choice):
        if has_rows(connection, kind) and kind != _UNCOUNTED_DAYS:
            continue  # of an earlier time or another zone: the rebuild removes them
        begins = None if latest is None else kind.bucket_around(latest)[1]
        connection.execute(insert(COVERAGE), _row(replace(kind, complete_from=begins)))


def stop_keeping(connection: Connection, kinds: Iterable[Kind]) -> None:
    """Keep these kinds no more. Their rows are still there."""
    lock_kinds(connection)
    for kind in kinds:
        connection.execute(delete(COVERAGE).where(*_is(kind)))


def lock_kinds(connection: Connection) -> None:
    """Wait for everybody who counts calls, and let nobody begin to until the transaction ends."""
    connection.execute(insert_ignoring(META, "key", connection.dialect.name), {"key": KEPT_KEY, "value": "1"})
    connection.execute(select(META.c.value).where(META.c.key == KEPT_KEY).with_for_update())


def move_coverage(
    connection: Connection, kind: Kind, told: datetime | None, complete_from: datetime | None
) -> bool:
    """Tell from which bucket on a kind is complete; false where something else than ``told`` stands there."""
    is_told = (COVERAGE.c.zone == kind.zone.key, COVERAGE.c.complete_from == told)
    moved = connection.execute(
        COVERAGE.update().where(*_is(kind), *is_told).values(complete_from=complete_from)
    )
    return moved.rowcount == 1


def has_rows(connection: Connection, kind: Kind) -> bool:
    """Whether there are rollups of a kind, kept or not."""
    statement = select(ROLLUPS.c.bucket).where(*rollups_of_kind(kind))
    return connection.execute(statement.limit(1)).first() is not None


def rollups_of_kind(kind: Kind) -> tuple[ColumnElement[bool], ...]:
    """The condition on ``llm_cost_rollups`` that takes the sums of one kind."""
    return ROLLUPS.c.grain == kind.grain, ROLLUPS.c.tag_key == kind.tag_key


def _is(kind: Kind) -> tuple[ColumnElement[bool], ...]:
    return COVERAGE.c.grain == kind.grain, COVERAGE.c.tag_key == kind.tag_key


def _row(kind: Kind) -> dict[str, object]:
    return {
        "grain": kind.grain,
        "tag_key": kind.tag_key,
        "zone": kind.zone.key,
        "complete_from": kind.complete_from,
    }
