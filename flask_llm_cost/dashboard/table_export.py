"""Any table of a page as CSV or JSON: whole, exact, streamed, and safe to open in a spreadsheet.

Each says the days and the time zone that it is about: a file outlives the address it came from.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal

from flask import current_app
from werkzeug.wrappers import Response

from ..errors import InvalidFilterError
from ..wording import spreadsheet_text
from .asking import FORMAT
from .asking import TABLE
from .filters import Filters
from .formats import exact_money
from .responses import protected
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import Value

FORMATS = ("csv", "json")
_CHUNK = 500
_TYPES = {"csv": "text/csv", "json": "application/json"}

#: A page's tables by name, each made when it is wanted; ``None`` where there is nothing to show.
Tables = Mapping[str, Callable[[], Table | None]]


def wanted_table(filters: Filters, tables: Tables) -> tuple[str, str]:
    """The name and the format of the table that an address asks for.

    :raises InvalidFilterError: the page has no such table, or the format is none.
    """
    name, kind = filters.extra.get(TABLE, ""), filters.extra[FORMAT]
    if kind not in FORMATS:
        raise InvalidFilterError(FORMAT, f"{kind[:40]!r} is not one of {', '.join(FORMATS)}.")
    if name not in tables:
        raise InvalidFilterError(TABLE, f"{name[:80]!r} is not one of {', '.join(tables)}.")
    return name, kind


def export_table(table: Table, kind: str, filters: Filters) -> Response:
    """``table`` as an attachment."""
    lines = _csv(table, filters) if kind == "csv" else _json(table, filters)
    response = current_app.response_class(lines, mimetype=_TYPES[kind])
    period = filters.period
    name = f"llm_costs_{table.name}_{period.first}_{period.last}_{period.zone.key}"
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    response.headers["Content-Disposition"] = f"attachment; filename={plain}.{kind}"
    return protected(response)


def _csv(table: Table, filters: Filters) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    told = _told(table.columns)
    writer.writerow([spreadsheet_text(name) for _, name in told] + ["from", "to", "time_zone"])
    period = filters.period
    about = [period.first.isoformat(), period.last.isoformat(), period.zone.key]
    for start in range(0, max(len(table.rows), 1), _CHUNK):
        rows = table.rows[start : start + _CHUNK]
        writer.writerows([_text(row[at].exported) for at, _ in told] + about for row in rows)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _json(table: Table, filters: Filters) -> Iterator[str]:
    told, period = _told(table.columns), filters.period
    head = {
        "table": table.name,
        "caption": table.caption,
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "time_zone": period.zone.key,
        "currency": "USD",
        "filters": dict(filters.values),
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
