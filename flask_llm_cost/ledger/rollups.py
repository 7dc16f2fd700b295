"""Sums of calls per UTC hour, provider and model: how they are made, added and held against the calls."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import Row as ResultRow
from sqlalchemy import RowMapping
from sqlalchemy import Select
from sqlalchemy import and_
from sqlalchemy import case
from sqlalchemy import delete
from sqlalchemy import extract
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.orm import Session

from .meta import pruned_before
from .rows import CALLS
from .rows import ROLLUPS
from .rows import Row
from .statements import insert_adding

#: Every call, by UTC hour.
HOUR = "h"
_HOUR = timedelta(hours=1)
#: Differences are looked for in windows of this size, so that memory stays bounded.
_WINDOW = timedelta(days=31)

TOKEN_SUMS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "cache_write_extended_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
)
SUMS = (
    "calls",
    "failed_calls",
    "unknown_cost_calls",
    "partial_cost_calls",
    "priced_calls",
    *TOKEN_SUMS,
    "total_cost",
    "timed_calls",
    "latency_ms",
)

Number = int | Decimal
Key = tuple[datetime, str, str]


@dataclass(frozen=True, slots=True)
class Drift:
    """An hour, provider and model whose rollup is not what its calls add up to.

    :param differences: column name to (sum of the calls, sum in the rollup).
    """

    bucket: datetime
    provider: str
    model: str
    differences: Mapping[str, tuple[Number, Number]]


def rollup_dim(provider: str, model: str, tag_value: str = "") -> bytes:
    """The short stand-in for three names in the rollups' key: 16 bytes that no other three names give."""
    digest = blake2b(digest_size=16)
    for part in (provider, model, tag_value):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)  # ('ab', 'c') is not ('a', 'bc')
    return digest.digest()


def hour_of(moment: datetime) -> datetime:
    """The UTC hour a moment belongs to."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def rollups_of(calls: Iterable[Mapping[str, Any] | RowMapping], sign: int = 1) -> list[Row]:
    """What ``calls`` add to the rollups, one row per key, in the order in which every writer locks them."""
    sums: dict[Key, dict[str, Number]] = {}
    for call in calls:
        key = (hour_of(call["occurred_at"]), call["provider"], call["model"])
        row = sums.setdefault(key, dict.fromkeys(SUMS, 0))
        for name, value in _counts_of(call).items():
            row[name] += sign * value
    return [_rollup_row(key, values) for key, values in sorted(sums.items())]


def rollup_changes(before: Iterable[Row], after: Iterable[Row]) -> list[Row]:
    """What calls that change in place, not in time or model, add to the rollups; in the order of locks."""
    taken = {(row["bucket"], row["dim"]): row for row in rollups_of(before)}
    changes = []
    for row in rollups_of(after):
        old = taken[row["bucket"], row["dim"]]
        change = {**row, **{name: row[name] - old[name] for name in SUMS}}
        if any(change[name] for name in SUMS):
            changes.append(change)
    return changes


def _counts_of(call: Mapping[str, Any] | RowMapping) -> dict[str, Number]:
    return {
        "calls": 1,
        "failed_calls": int(call["status"] != "ok"),
        "unknown_cost_calls": int(call["cost_status"] == "unknown"),
        "partial_cost_calls": int(call["cost_status"] == "partial"),
        "priced_calls": int(call["total_cost"] is not None),
        **{name: call[name] or 0 for name in TOKEN_SUMS},
        "total_cost": call["total_cost"] or Decimal(0),
        "timed_calls": int(call["latency_ms"] is not None),
        "latency_ms": call["latency_ms"] or 0,
    }


def _rollup_row(key: Key, sums: Mapping[str, Number]) -> Row:
    bucket, provider, model = key
    return {
        "grain": HOUR,
        "tag_key": "",
        "bucket": bucket,
        "dim": rollup_dim(provider, model),
        "provider": provider,
        "model": model,
        "tag_value": "",
        **sums,
    }


def correction(drift: Drift) -> Row:
    """What has to be added to a rollup so that it equals its calls."""
    missing = {name: told - kept for name, (told, kept) in drift.differences.items()}
    return _rollup_row((drift.bucket, drift.provider, drift.model), dict.fromkeys(SUMS, 0) | missing)


def add_to_rollups(connection: Connection, rows: list[Row]) -> None:
    """Add ``rows`` to the rollups; they come in lock order. Rows that nothing is left of are removed."""
    if not rows:
        return
    connection.execute(insert_adding(ROLLUPS, SUMS, connection.dialect.name), rows)
    shrunk = [row for row in rows if row["calls"] < 0]
    for row in shrunk:
        key = [ROLLUPS.columns[name] == row[name] for name in ("grain", "tag_key", "bucket", "dim")]
        connection.execute(delete(ROLLUPS).where(*key, ROLLUPS.columns.calls == 0))


def rollup_drift(session: Session) -> list[Drift]:
    """Where the rollups differ from the calls, to the last digit; from the last prune on. Reads everything.

    Both sides are read in one snapshot, so calls that arrive meanwhile make no difference.
    """
    if not session.in_transaction() and session.get_bind().dialect.name != "sqlite":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    found: list[Drift] = []
    for start, end in _windows(session):
        found += _differences(_sums_of_calls(session, start, end), _sums_of_rollups(session, start, end))
    return found


def _windows(session: Session) -> Iterator[tuple[datetime, datetime]]:
    calls = CALLS.columns.occurred_at
    rollups = ROLLUPS.columns.bucket
    ends = [
        moment
        for moment in (
            *session.execute(select(func.min(calls), func.max(calls))).one(),
            *session.execute(select(func.min(rollups), func.max(rollups))).one(),
        )
        if moment is not None
    ]
    if not ends:
        return
    start = max(hour_of(min(ends)), pruned_before(session.connection()) or hour_of(min(ends)))
    while start <= max(ends):
        yield start, start + _WINDOW
        start += _WINDOW


def _differences(calls: dict[Key, tuple[Number, ...]], rollups: dict[Key, tuple[Number, ...]]) -> list[Drift]:
    nothing = (0,) * len(SUMS)
    found = []
    for key in sorted(calls.keys() | rollups.keys()):
        pairs = zip(SUMS, calls.get(key, nothing), rollups.get(key, nothing), strict=True)
        wrong = {name: (told, kept) for name, told, kept in pairs if told != kept}
        if wrong:
            found.append(Drift(*key, differences=wrong))
    return found


def _sums_of_rollups(session: Session, start: datetime, end: datetime) -> dict[Key, tuple[Number, ...]]:
    columns = ROLLUPS.columns
    sums = [columns[name] for name in SUMS]
    statement = select(columns.bucket, columns.provider, columns.model, *sums).where(
        columns.grain == HOUR, columns.tag_key == "", columns.bucket >= start, columns.bucket < end
    )
    return {
        (row[0], row[1], row[2]): tuple(_exact(value) for value in row[3:])
        for row in session.execute(statement)
    }


def _sums_of_calls(session: Session, start: datetime, end: datetime) -> dict[Key, tuple[Number, ...]]:
    return {
        (_bucket(row), row.provider, row.model): tuple(_exact(value) for value in row[6:])
        for row in session.execute(_sums_by_hour(start, end))
    }


def _sums_by_hour(start: datetime, end: datetime) -> Select[*tuple[Any, ...]]:
    call = CALLS.columns
    hour = [extract(part, call.occurred_at).label(part) for part in ("year", "month", "day", "hour")]
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
    return (
        select(*hour, call.provider, call.model, *(sums[name].label(f"sum_{name}") for name in SUMS))
        .where(and_(call.occurred_at >= start, call.occurred_at < end))
        .group_by(*hour, call.provider, call.model)
    )


def _count_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _bucket(row: ResultRow[Any]) -> datetime:
    return datetime(int(row.year), int(row.month), int(row.day), int(row.hour), tzinfo=UTC)


def _exact(value: Any) -> Number:
    # The sum of no value is NULL; a Decimal compares equal to the int it stands for.
    return 0 if value is None else value
