"""How reconciliation stands: when anything was imported last, and which imports broke off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy import select

from ..ledger import Ledger
from .coverage import whole_days
from .source import Period
from .store import IMPORTS


@dataclass(frozen=True, slots=True)
class ImportState:
    """One import: of what, of when, and how far it has come."""

    provider: str
    source: str
    period: Period
    status: str
    pages: int
    lines: int
    problem: str | None
    started_at: datetime
    changed_at: datetime


def imports(ledger: Ledger, most: int = 100) -> Sequence[ImportState]:
    """The latest imports, the last one first. :raises LedgerUnavailable: the database cannot be used now."""

    def read(connection: Connection) -> list[ImportState]:
        column = IMPORTS.columns
        statement = select(IMPORTS).order_by(column.changed_at.desc(), column.id.desc()).limit(most)
        return [
            ImportState(
                provider=row["provider"],
                source=row["source"],
                period=Period(row["period_start"], row["period_end"]),
                status=row["status"],
                pages=row["page_count"],
                lines=row["line_count"],
                problem=row["problem"],
                started_at=row["started_at"],
                changed_at=row["changed_at"],
            )
            for row in connection.execute(statement).mappings()
        ]

    return ledger.reading(read)


def broken_off(found: Sequence[ImportState]) -> list[ImportState]:
    """The imports that did not end, where other ones of the same source do not tell all of their days."""
    told: dict[tuple[str, str], set[date]] = defaultdict(set)
    for each in found:
        if each.status == "complete":
            told[each.provider, each.source] |= whole_days(each.period, each.source, each.started_at)
    return [
        each
        for each in found
        if each.status != "complete" and not told[each.provider, each.source].issuperset(each.period.days)
    ]
