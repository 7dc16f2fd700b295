"""Any table of a page as CSV or JSON: whole, exact, streamed, and safe to open in a spreadsheet.

Each says the days and the time zone that it is about: a file outlives the address it came from.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from flask import current_app
from werkzeug.wrappers import Response

from ..wording import spreadsheet_text
from .formats import exact_money
from .responses import protected
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import Value

FORMATS = ("csv", "json")
_CHUNK = 500
_TYPES = {"csv": "text/csv", "json": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a file says of itself besides its rows.

    :param zone: the name of the time zone that days and moments are in.
    :param first: the first of the days that the table is about; ``None`` where it is about now.
    :param currency: of all amounts; empty where the rows name their own.
    """

    zone: str
    first: date | None = None
    last: date | None = None
    filters: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    currency: str = "USD"

    @property
    def days(self) -> dict[str, str]:
        """The days and their zone, by the names that they have in files."""
        if self.first is None or self.last is None:
            return {"time_zone": self.zone}
        return {"from": self.first.isoformat(), "to": self.last.isoformat(), "time_zone": self.zone}


def export_table(table: Table, kind: str, about: About) -> Response:
    """``table`` as an attachment, in one of :data:`FORMATS`."""
    lines = _csv(table, about) if kind == "csv" else _json(table, about)
    response = current_app.response_class(lines, mimetype=_TYPES[kind])
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", "_".join(("llm_costs", table.name, *about.days.values())))
    response.headers["Content-Disposition"] = f"attachment; filename={plain}.{kind}"
    return protected(response)


def _csv(table: Table, about: About) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    told = _told(table.columns)
    writer.writerow([spreadsheet_text(name) for _, name in told] + [*about.days])
    days = [*about.days.values()]
    for start in range(0, max(len(table.rows), 1), _CHUNK):
        rows = table.rows[start : start + _CHUNK]
        writer.writerows([_text(row[at].exported) for at, _ in told] + days for row in rows)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _json(table: Table, about: About) -> Iterator[str]:
    told = _told(table.columns)
    head = {
        "table": table.name,
        "caption": table.caption,
        **about.days,
        **({"currency": about.currency} if about.currency else {}),
        "filters": dict(about.filters),
        "columns": [name for _, name in told],
        "total": _named(told, table.total) if table.total else None,
    }
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "rows": ['
    for start in range(0, len(table.rows), _CHUNK):
        rows = table.rows[start : start + _CHUNK]
        lines = ",\n".join(json.dumps(_named(told, row), ensure_ascii=False) for row in rows)
        yield ("\n" if start == 0 else ",\n") + lines
    yield "]}\n"


def _told(columns: Sequence[Column]) -> list[tuple[int, str]]:
    """Places and names of the columns that say something outside of the page; no name twice."""
    seen: dict[str, int] = {}
    found = []
    for at, column in enumerate(columns):
        if column.drawn:
            continue
        seen[column.key] = seen.get(column.key, 0) + 1
        found.append((at, column.key if seen[column.key] == 1 else f"{column.key}_{seen[column.key]}"))
    return found


def _named(told: list[tuple[int, str]], row: Row) -> dict[str, int | str | None]:
    return {name: _plain(row[at].exported) for at, name in told}


def _plain(value: Value) -> int | str | None:
    """Money and shares as text, with every digit: a JSON number would round them."""
    return exact_money(value) if isinstance(value, Decimal) else value


def _text(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return exact_money(value)
    return spreadsheet_text(value) if isinstance(value, str) else str(value)
