"""Calls as CSV and as JSON: streamed, exact, and safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Literal
from zoneinfo import ZoneInfo

from flask import current_app
from werkzeug.wrappers import Response

from ..analytics import CallQuery
from ..analytics import Page
from ..ledger import LlmCall
from ..usage import BUCKET_FIELDS
from ..wording import spreadsheet_text
from .asking import Asked
from .formats import exact_money
from .responses import protected

#: Columns of the file, named like those of the ledger.
COLUMNS = (
    "id",
    "event_id",
    "occurred_at",
    "service",
    "provider",
    "provider_account",
    "model",
    "requested_model",
    "operation",
    "status",
    "http_status",
    "error_type",
    "attempts",
    "stream",
    "usage_source",
    *BUCKET_FIELDS,
    "reasoning_tokens",
    "total_tokens",
    "pricing_mode",
    "total_cost",
    "currency",
    "cost_status",
    "cost_source",
    "latency_ms",
    "time_to_first_token_ms",
    "user_id",
    "request_type",
    "trackable_type",
    "trackable_id",
    "endpoint",
    "provider_response_id",
    "tags",
)
#: Columns of the CSV alone: the same moment where the report's days are, and where that is.
_LOCAL = ("occurred_at_local", "time_zone")
_PAGE = 500

Sort = Literal["recent", "cost", "input", "output", "latency"]
Direction = Literal["desc", "asc"]


def csv_response(query: CallQuery, sort: Sort, direction: Direction) -> Response:
    """The calls of ``query`` as an attachment. The first page is read before the answer begins."""
    first = query.page(sort, direction, _PAGE)
    pages = chain([first], _following(query, sort, direction, first.next))
    return _attached(query, _lines(pages, query.zone), "text/csv", "csv")


def json_response(asked: Asked, sort: Sort, direction: Direction) -> Response:
    """The same calls as one JSON object: what was asked, and the calls in order."""
    query = asked.query
    first = query.page(sort, direction, _PAGE)
    pages = chain([first], _following(query, sort, direction, first.next))
    return _attached(query, _json(pages, asked), "application/json", "json")


def _attached(query: CallQuery, lines: Iterator[str], mimetype: str, kind: str) -> Response:
    response = current_app.response_class(lines, mimetype=mimetype)
    name = f"llm_calls_{query.now().astimezone(UTC):%Y%m%d_%H%M%S}.{kind}"
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return protected(response)


def _following(query: CallQuery, sort: Sort, direction: Direction, cursor: str | None) -> Iterator[Page]:
    """The pages from ``cursor`` on. Between two of them no connection is held, however slow the reader is."""
    while cursor is not None:
        page = query.page(sort, direction, _PAGE, cursor)
        cursor = page.next
        yield page


def _json(pages: Iterator[Page], asked: Asked) -> Iterator[str]:
    period = asked.filters.period
    head = {
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "time_zone": period.zone.key,
        "currency": "USD",
        "filters": dict(asked.filters.values),
    }
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "calls": ['
    before = "\n"
    for page in pages:
        for call in page.calls:
            told = {name: _told(call, name) for name in COLUMNS if name != "currency"}
            yield before + json.dumps(told, ensure_ascii=False)
            before = ",\n"
    yield "]}\n"


def _told(call: LlmCall, name: str) -> object:
    """One value of a JSON object: money as text, with every digit; ``null`` where nothing is known."""
    value = getattr(call, name)
    if isinstance(value, Decimal):
        return exact_money(value)
    return _moment(value) if isinstance(value, datetime) else value


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _lines(pages: Iterator[Page], zone: ZoneInfo) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow((*COLUMNS, *_LOCAL))
    for page in pages:
        for call in page.calls:
            local = call.occurred_at.astimezone(zone).isoformat(timespec="seconds")
            writer.writerow([*(_cell(call, name) for name in COLUMNS), local, zone.key])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cell(call: LlmCall, name: str) -> str:
    """One value; what is not known stays blank, beside the ``cost_status`` that says so."""
    value = "USD" if name == "currency" else getattr(call, name)
    if value is None:
        return ""
    if name == "tags":
        return spreadsheet_text(json.dumps(value, ensure_ascii=False, sort_keys=True))
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return exact_money(value) if isinstance(value, Decimal) else spreadsheet_text(str(value))
