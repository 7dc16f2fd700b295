"""The rollups held against the calls they sum: both sides added up by the database, window by window."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import RowMapping
from sqlalchemy import Select
from sqlalchemy import String
from sqlalchemy import and_
from sqlalchemy import case
from sqlalchemy import extract
from sqlalchemy import func
from sqlalchemy import literal_column
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy import union_all
from sqlalchemy.orm import Session

from .coverage import HOUR
from .coverage import HOURS
from .coverage import Kind
from .coverage import read_kinds
from .coverage import rollups_of_kind
from .meta import pruned_before
from .rollups import SUMS
from .rollups import TOKEN_SUMS
from .rollups import Key
from .rollups import Number
from .rollups import rollup_row
from .rows import CALLS
from .rows import ROLLUPS
from .rows import TAGS
from .rows import Row
from .statements import bucket_number

#: How much is held in memory: the sums of a week.
_WINDOW = timedelta(days=7)
#: Provider, model and value of a rollup, under names that no column has: GROUP BY would take the column.
_NAMES = ("of_provider", "of_model", "of_value")
_HOUR_PARTS = ("year", "month", "day", "hour")
#: What the names of sums begin with.
_SUM = "sum_"
#: The place of a rollup that begins where no bucket does.
_NO_BUCKET = -1


@dataclass(frozen=True, slots=True)
class Drift:
    """A rollup that is not what its calls add up to.

    :param differences: column name to (sum of the calls, sum in the rollup).
    """

    bucket: datetime
    provider: str
    model: str
    differences: Mapping[str, tuple[Number, Number]]
    grain: str = "h"
    tag_key: str = ""
    tag_value: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Whole buckets of one kind of rollups, from ``start`` up to ``end``."""

    kind: Kind
    start: datetime
    end: datetime

    def edges(self) -> list[datetime]:
        """The beginnings of its buckets, and its end."""
        found = [self.start]
        while found[-1] < self.end:
            found.append(self.kind.bucket_around(found[-1])[1])
        return found


def correction(drift: Drift) -> Row:
    """What has to be added to a rollup so that it equals its calls."""
    key = (drift.grain, drift.tag_key, drift.bucket, drift.provider, drift.model, drift.tag_value)
    missing = {name: told - kept for name, (told, kept) in drift.differences.items()}
    return rollup_row(key, [missing.get(name, 0) for name in SUMS])


def rollup_drift(session: Session, since: datetime | None = None) -> list[Drift]:
    """Where the rollups differ from the calls, to the last digit; from the last prune on. Reads everything.

    Both sides are read in one snapshot, so calls that arrive meanwhile make no difference. Of rollups that
    are kept since lately only, the part that is complete is compared.

    :param since: only sums per hour, of hours that begin at this moment or later.
    """
    one_snapshot(session)
    connection = session.connection()
    if since is not None:
        asked = windows(connection, HOURS, HOURS.first_bucket_from(since))
    else:
        asked = [
            window
            for kind in read_kinds(connection)
            for window in windows(connection, kind, kind.complete_from)
        ]
    return [drift for window in asked for drift in drift_of(connection, window)]


def one_snapshot(session: Session) -> None:
    """Let all statements of a session see the same calls, so that their sums agree.

    SQLite's transactions do so by themselves. PostgreSQL is kept from compiling its statements: that takes as
    long as adding up a month.
    """
    if session.in_transaction() or session.get_bind().dialect.name == "sqlite":
        return
    connection = session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL jit = off")


def windows(
    connection: Connection, kind: Kind, start: datetime | None = None, end: datetime | None = None
) -> list[Window]:
    """The time from ``start`` to ``end`` in which there are calls or rollups, from the last prune on."""
    moments = _ends(connection, kind)
    if not moments:
        return []
    first, last = kind.bucket_of(min(moments)), kind.bucket_around(max(moments))[1]
    if (horizon := pruned_before(connection)) is not None:
        first = max(first, kind.first_bucket_from(horizon))
    first, last = max(first, start or first), min(last, end or last)
    found = []
    while first < last:
        start, end = kind.bucket_around(first + _WINDOW)
        # A week that the clocks made longer is not over after seven days.
        following = min(last, start if start > first else end)
        found.append(Window(kind, first, following))
        first = following
    return found


def _ends(connection: Connection, kind: Kind) -> list[datetime]:
    bucket = ROLLUPS.c.bucket
    of_kind = rollups_of_kind(kind)
    # Each end by itself: that is one look into an index.
    statements = [
        statement
        for end in (func.min, func.max)
        for statement in (select(end(CALLS.c.occurred_at)), select(end(bucket)).where(*of_kind))
    ]
    found = (connection.execute(statement).scalar() for statement in statements)
    return [moment for moment in found if moment is not None]


def drift_of(connection: Connection, window: Window, *, expected: bool = False) -> list[Drift]:
    """Where the rollups of a window differ from its calls.

    :param expected: whether they are known to differ, so that there is no point in asking first.
    """
    if not expected and not _differs(connection, window):
        return []
    calls, rollups = _sums_of_calls(connection, window), _sums_of_rollups(connection, window)
    nothing = (0,) * len(SUMS)
    found = []
    for key in sorted(calls.keys() | rollups.keys()):
        pairs = zip(SUMS, calls.get(key, nothing), rollups.get(key, nothing), strict=True)
        wrong = {name: (told, kept) for name, told, kept in pairs if told != kept}
        if wrong:
            grain, tag_key, bucket, provider, model, tag_value = key
            found.append(Drift(bucket, provider, model, wrong, grain, tag_key, tag_value))
    return found


def _differs(connection: Connection, window: Window) -> bool:
    """Whether any sum does. The database tells: thousands that are right need not be handed over."""
    calls = _statement(window)
    keys = [column.name for column in calls.selected_columns if not column.name.startswith(_SUM)]
    sides = union_all(calls, _taken_away(window)).subquery()
    wrong = or_(*(func.sum(sides.c[_SUM + name]) != 0 for name in SUMS))
    found: Select[Any] = (
        select(literal_column("1")).select_from(sides).group_by(*(sides.c[key] for key in keys))
    )
    return connection.execute(found.having(wrong).limit(1)).first() is not None


def _taken_away(window: Window) -> Select[Any]:
    """The rollups of a window with their sums below zero, by the same keys as the sums of the calls."""
    rollup = ROLLUPS.c
    buckets: list[ColumnElement[Any]]
    if window.kind.grain != HOUR:
        numbers = {edge: number for number, edge in enumerate(window.edges()[:-1])}
        buckets = [case(numbers, value=rollup.bucket, else_=_NO_BUCKET)]
    else:
        *parts, hour = (extract(part, rollup.bucket) for part in _HOUR_PARTS)
        buckets = [*parts, case((extract("minute", rollup.bucket) == 0, hour), else_=_NO_BUCKET)]
    names = (rollup.provider, rollup.model, rollup.tag_value)
    sums = ((-rollup[name]).label(_SUM + name) for name in SUMS)
    return select(*buckets, *names, *sums).where(*_of_window(window))


def _of_window(window: Window) -> list[ColumnElement[bool]]:
    bucket = ROLLUPS.c.bucket
    return [*rollups_of_kind(window.kind), bucket >= window.start, bucket < window.end]


def _sums_of_rollups(connection: Connection, window: Window) -> dict[Key, tuple[Number, ...]]:
    rollup = ROLLUPS.c
    statement = select(
        rollup.bucket, rollup.provider, rollup.model, rollup.tag_value, *(rollup[name] for name in SUMS)
    ).where(*_of_window(window))
    found = connection.execute(statement)
    return {(*window.kind.key, *row[:4]): tuple(map(_exact, row[4:])) for row in found}


def _sums_of_calls(connection: Connection, window: Window) -> dict[Key, tuple[Number, ...]]:
    edges = window.edges() if window.kind.grain != HOUR else []
    found = connection.execute(_statement(window)).mappings()
    return {
        (*window.kind.key, _bucket(row, edges), *(row[name] for name in _NAMES)): tuple(
            _exact(row[_SUM + name]) for name in SUMS
        )
        for row in found
    }


def _statement(window: Window) -> Select[Any]:
    call, kind = CALLS.c, window.kind
    buckets: list[ColumnElement[Any]] = (
        [bucket_number(call.occurred_at, window.edges()).label("bucket_number")]
        if kind.grain != HOUR
        else [extract(part, call.occurred_at).label(part) for part in _HOUR_PARTS]
    )
    names = [*(bucket.name for bucket in buckets), *_NAMES]
    columns = (column.label(name) for column, name in zip(_split_of(kind), _NAMES, strict=True))
    statement = select(*buckets, *columns, *_sums()).where(
        call.occurred_at >= window.start, call.occurred_at < window.end
    )
    if kind.tag:
        beside = and_(TAGS.c.call_id == call.id, TAGS.c.key == kind.tag)
        statement = statement.select_from(CALLS.outerjoin(TAGS, beside))
    # By name: PostgreSQL takes the same expression with bound values for two different ones.
    return statement.group_by(*names)


def _split_of(kind: Kind) -> tuple[ColumnElement[str], ColumnElement[str], ColumnElement[str]]:
    """Provider, model and value as one kind keeps them apart."""
    nothing = literal_column("''", String())
    told = CALLS.c[kind.column] if kind.column else TAGS.c.value if kind.tag else None
    value = nothing if told is None else func.coalesce(told, "")
    return (CALLS.c.provider, CALLS.c.model, value) if kind.by_model else (nothing, nothing, value)


def _sums() -> Iterator[ColumnElement[Any]]:
    call = CALLS.c
    sums: dict[str, ColumnElement[Any]] = {
        "calls": func.count(),
        "failed_calls": _count_where(call.status != "ok"),
        "unknown_cost_calls": _count_where(call.cost_status == "unknown"),
        "partial_cost_calls": _count_where(call.cost_status == "partial"),
        "priced_calls": func.count(call.total_cost),
        **{name: func.sum(call[name]) for name in TOKEN_SUMS},
        "total_cost": func.sum(call.total_cost),
        "timed_calls": func.count(call.latency_ms),
        "latency_ms": func.sum(call.latency_ms),
    }
    for name in SUMS:
        yield sums[name].label(_SUM + name)


def _count_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _bucket(row: RowMapping, edges: list[datetime]) -> datetime:
    if edges:
        return edges[int(row["bucket_number"])]
    year, month, day, hour = (int(row[part]) for part in _HOUR_PARTS)
    return datetime(year, month, day, hour, tzinfo=UTC)


def _exact(value: Any) -> Number:
    # The sum of no value is NULL; a Decimal compares equal to the int it stands for.
    return 0 if value is None else value
