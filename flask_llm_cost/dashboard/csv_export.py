"""Calls as CSV: streamed, exact, and safe to open in a spreadsheet."""

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

from flask import current_app
from werkzeug.wrappers import Response

from ..analytics import CallQuery
from ..analytics import Page
from ..ledger import LlmCall
from ..usage import BUCKET_FIELDS
from ..wording import spreadsheet_text
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
_PAGE = 500

Sort = Literal["recent", "cost", "input", "output", "latency"]
Direction = Literal["desc", "asc"]


def csv_response(query: CallQuery, sort: Sort, direction: Direction) -> Response:
    """The calls of ``query`` as an attachment. The first page is read before the answer begins."""
    first = query.page(sort, direction, _PAGE)
    pages = chain([first], _following(query, sort, direction, first.next))
    response = current_app.response_class(_lines(pages), mimetype="text/csv")
    name = f"llm_calls_{query.now().astimezone(UTC):%Y%m%d_%H%M%S}.csv"
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return protected(response)


def _following(query: CallQuery, sort: Sort, direction: Direction, cursor: str | None) -> Iterator[Page]:
    """The pages from ``cursor`` on. Between two of them no connection is held, however slow the reader is."""
    while cursor is not None:
        page = query.page(sort, direction, _PAGE, cursor)
        cursor = page.next
        yield page


def _lines(pages: Iterator[Page]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for page in pages:
        writer.writerows([_cell(call, name) for name in COLUMNS] for call in page.calls)
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
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, bool):
        return "true" if value else "false"
    return exact_money(value) if isinstance(value, Decimal) else spreadsheet_text(str(value))
