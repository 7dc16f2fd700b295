"""Which days can be compared: those whose bill is imported whole, after the day had ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from datetime import datetime
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import select

from .importing import CSV
from .providers import BILLING_PROVIDERS
from .source import Period
from .source import start_of
from .store import IMPORTS
from .store import LINES


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is known of one provider in a period.

    :param costs: by day the source whose amounts are compared: the admin API's, else the file's.
    :param usage: by day the sources of quantities; a day is in it where all of them are there.
    :param remarks: which days are left out, and why.
    """

    provider: str
    costs: Mapping[date, Sequence[str]]
    usage: Mapping[date, Sequence[str]]
    remarks: tuple[str, ...] = ()


def coverage(connection: Connection, period: Period, providers: Sequence[str]) -> list[Coverage]:
    """What is imported of a period.

    :param providers: only of these; of all that anything was imported of where none is given.
    """
    column = IMPORTS.columns
    statement = (
        select(IMPORTS)
        .where(column.period_start < period.end, column.period_end > period.start)
        .order_by(column.provider, column.source, column.period_start)
    )
    by_provider: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for name in providers:
        by_provider[name] = []
    for row in connection.execute(statement).mappings():
        if not providers or row["provider"] in providers:
            by_provider[row["provider"]].append(dict(row))
    row_types = _row_types_of_files(connection, by_provider)
    return [_of(name, rows, period, row_types) for name, rows in sorted(by_provider.items())]


def _row_types_of_files(
    connection: Connection, found: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Mapping[str, set[str]]:
    """By run the types of lines of files: one without quantities says nothing of them."""
    runs = [row["run_id"] for rows in found.values() for row in rows if row["source"] == CSV]
    types: dict[str, set[str]] = defaultdict(set)
    if runs:
        column = LINES.columns
        told = select(column.run_id, column.row_type).where(column.run_id.in_(runs)).distinct()
        for run_id, row_type in connection.execute(told):
            types[run_id].add(row_type)
    return types


def _of(
    provider: str, rows: Sequence[Mapping[str, Any]], period: Period, row_types: Mapping[str, set[str]]
) -> Coverage:
    whole = [row for row in rows if row["status"] == "complete"]
    known = BILLING_PROVIDERS.get(provider)
    sources = known.sources if known else ()
    costs = {each.name for each in sources if each.tells_costs}
    usage = {each.name for each in sources if not each.tells_costs}
    days = _days_by_source(whole, period)
    files = [row for row in whole if row["source"] == CSV]
    of_costs = _covered([row for row in files if row_types.get(row["run_id"], set()) - {"usage"}], period)
    of_usage = _covered([row for row in files if "usage" in row_types.get(row["run_id"], ())], period)
    by_cost = {day: (CSV,) for day in of_costs} | {
        day: tuple(costs) for day in period.days if costs and all(day in days[name] for name in costs)
    }
    by_usage = {day: (CSV,) for day in of_usage} | {
        day: tuple(usage) for day in period.days if usage and all(day in days[name] for name in usage)
    }
    broken = [
        row
        for row in rows
        if row["status"] != "complete" and not _covered([row], period) <= days[row["source"]]
    ]
    remarks = (*map(_broken_off, broken), *_missing(provider, by_cost, period))
    return Coverage(provider, by_cost, by_usage, remarks)


def _days_by_source(rows: Iterable[Mapping[str, Any]], period: Period) -> Mapping[str, set[date]]:
    days: dict[str, set[date]] = defaultdict(set)
    for row in rows:
        days[row["source"]] |= _covered([row], period)
    return days


def _covered(rows: Iterable[Mapping[str, Any]], period: Period) -> set[date]:
    """The days of imports that are whole."""
    found: set[date] = set()
    for row in rows:
        found |= whole_days(Period(row["period_start"], row["period_end"]), row["source"], row["started_at"])
    return found.intersection(period.days)


def whole_days(period: Period, source: str, started_at: datetime) -> set[date]:
    """The days that a complete import tells. One that was asked for before it had ended is not whole."""
    return {day for day in period.days if source == CSV or start_of(day) + timedelta(days=1) <= started_at}


def _broken_off(row: Mapping[str, Any]) -> str:
    broken = Period(row["period_start"], row["period_end"])
    return (
        f"The import of {row['source']} from {broken} is not complete ({row['status']}): run it again, it "
        "goes on where it stopped."
    )


def _missing(provider: str, compared: Mapping[date, object], period: Period) -> Iterable[str]:
    missing = [day for day in period.days if day not in compared]
    if missing:
        yield f"{provider}: no costs are imported of {_spans(missing)}; these days are not compared."


def _spans(days: Sequence[date]) -> str:
    """``2026-11-01 to 2026-11-03, 2026-11-07``."""
    return ", ".join(
        f"{first}" if first == last else f"{first} to {last}" for first, last in consecutive(days)
    )


def consecutive(days: Iterable[date]) -> list[tuple[date, date]]:
    """The first and the last day of each run of days."""
    spans: list[tuple[date, date]] = []
    for day in sorted(days):
        if spans and spans[-1][1] + timedelta(days=1) == day:
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return spans
