"""Sums of calls per period, provider and model: how they are made and added in the calls' transaction."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from operator import add
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import RowMapping
from sqlalchemy import delete

from .coverage import HOURS
from .coverage import Kind
from .coverage import kept_kinds
from .rows import ROLLUPS
from .rows import Row
from .statements import insert_adding

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
Sums = Sequence[Number]
Call = Mapping[str, Any] | RowMapping
#: Grain, tag key, bucket, provider, model, tag value: what a rollup is of, and the order of locks.
Key = tuple[str, str, datetime, str, str, str]

_KEY_COLUMNS = ("grain", "tag_key", "bucket", "dim")


def rollup_dim(provider: str, model: str, tag_value: str = "") -> bytes:
    """The short stand-in for three names in the rollups' key: 16 bytes that no other three names give."""
    digest = blake2b(digest_size=16)
    for part in (provider, model, tag_value):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)  # ('ab', 'c') is not ('a', 'bc')
    return digest.digest()


def hour_of(moment: datetime) -> datetime:
    """The UTC hour a moment belongs to."""
    return HOURS.bucket_of(moment)


def count_calls(connection: Connection, calls: Iterable[Call], sign: int = 1) -> None:
    """Add calls that this transaction has inserted to the rollups; with ``sign`` -1 take deleted ones out."""
    add_to_rollups(connection, rollups_of(calls, kept_kinds(connection), sign))


def recount_calls(connection: Connection, before: Iterable[Call], after: Iterable[Call]) -> None:
    """Let the rollups follow calls that this transaction has changed."""
    kinds = kept_kinds(connection)
    changes = _summed(before, kinds, -1, {})
    add_to_rollups(connection, _rows(_summed(after, kinds, 1, changes)))


def rollups_of(calls: Iterable[Call], kinds: Sequence[Kind], sign: int = 1) -> list[Row]:
    """What ``calls`` add to the rollups, one row per key, in the order in which every writer locks them."""
    return _rows(_summed(calls, kinds, sign, {}))


def _summed(
    calls: Iterable[Call], kinds: Sequence[Kind], sign: int, sums: dict[Key, Sums]
) -> dict[Key, Sums]:
    # What is the same for many kinds or many calls is looked up once: this is most of what storing computes.
    periods = {(kind.grain, kind.zone.key): kind for kind in kinds}
    ways = [
        (kind.grain, kind.tag_key, (kind.grain, kind.zone.key), kind.column, kind.by_model) for kind in kinds
    ]
    for call in calls:
        moment, provider, model, tags = call["occurred_at"], call["provider"], call["model"], call["tags"]
        buckets = {period: kind.bucket_of(moment) for period, kind in periods.items()}
        counts = _counts_of(call, sign)
        for grain, tag_key, period, column, by_model in ways:
            # A stored value is never empty: '' stands for the calls without one.
            told = call[column] if column else tags.get(tag_key) if tags else None
            value = told or ""
            names = (provider, model, value) if by_model else ("", "", value)
            key = (grain, tag_key, buckets[period], *names)
            found = sums.get(key)
            sums[key] = counts if found is None else tuple(map(add, found, counts))
    return sums


def _counts_of(call: Call, sign: int) -> Sums:
    """The numbers that one call adds, in the order of :data:`SUMS`."""
    cost, latency = call["total_cost"], call["latency_ms"]
    return (
        sign,
        sign if call["status"] != "ok" else 0,
        sign if call["cost_status"] == "unknown" else 0,
        sign if call["cost_status"] == "partial" else 0,
        0 if cost is None else sign,
        *(sign * (call[name] or 0) for name in TOKEN_SUMS),
        sign * (cost or Decimal(0)),
        0 if latency is None else sign,
        sign * (latency or 0),
    )


def _rows(sums: Mapping[Key, Sums]) -> list[Row]:
    return [rollup_row(key, values) for key, values in sorted(sums.items()) if any(values)]


def rollup_row(key: Key, sums: Sums) -> Row:
    """The row of a rollup, or of what is added to it."""
    grain, tag_key, bucket, provider, model, tag_value = key
    return {
        "grain": grain,
        "tag_key": tag_key,
        "bucket": bucket,
        "dim": rollup_dim(provider, model, tag_value),
        "provider": provider,
        "model": model,
        "tag_value": tag_value,
        **dict(zip(SUMS, sums, strict=True)),
    }


def add_to_rollups(connection: Connection, rows: list[Row]) -> None:
    """Add ``rows`` to the rollups; they come in lock order. Rows that nothing is left of are removed."""
    if not rows:
        return
    connection.execute(insert_adding(ROLLUPS, SUMS, connection.dialect.name), rows)
    shrunk = [row for row in rows if row["calls"] < 0]
    for row in shrunk:
        key = [ROLLUPS.columns[name] == row[name] for name in _KEY_COLUMNS]
        connection.execute(delete(ROLLUPS).where(*key, ROLLUPS.columns.calls == 0))
