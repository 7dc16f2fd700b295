"""Reconciliation: what providers say they billed beside the ledger. Imports are made by command only."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta

from flask import current_app
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

from ...errors import ConfigurationError
from ...errors import InvalidFilterError
from ...ledger import Ledger
from ...reconciliation import Comparison
from ...reconciliation import Period
from ...reconciliation import compare
from ...reconciliation import imports
from ...wording import plural
from ...wording import spreadsheet_text
from ..filter_bar import Input
from ..formats import days
from ..parameters import read_parameters
from ..reconciliation_tables import apart_table
from ..reconciliation_tables import compared_table
from ..reconciliation_tables import exported
from ..reconciliation_tables import imports_table
from ..reconciliation_tables import limits_in_words
from ..reconciliation_tables import unmatched_table
from ..reconciliation_tables import usage_table
from ..responses import link
from ..responses import page
from ..responses import protected
from ..responses import runtime
from ..scoped import sees_everything
from ..scoped import visible_calls

_DAYS = 30
_PARAMETERS = ("from", "to", "by", "provider")
_SPLITS = ("day", "model", "project", "line_item", "mode", "key")


def reconciliation() -> Response:
    """``GET /reconciliation``."""
    given = read_parameters(_PARAMETERS)
    ledger = _ledger()
    found, known = _compared(ledger, given), imports(ledger)
    labels = [each.label for each in found.split]
    quantities = [each.label for each in found.split if each.name != "line_item"]
    first, last = found.period.days[0], found.period.days[-1]
    context = {
        "current": "reconciliation",
        "days": days(first, last),
        "dates": (first.isoformat(), last.isoformat()),
        "action": link(".reconciliation", {}),
        "inputs": _inputs(given, sorted({each.provider for each in known})),
        "csv_url": link(".export_reconciliation", given),
        "drifts": found.drifts,
        "verdict": _verdict(found),
        "limits": limits_in_words(found),
        "remarks": found.remarks,
        "totals": compared_table("totals", "Totals", (), found.totals),
        "rows": compared_table("rows", "Split", labels, found.rows) if found.split else None,
        "usage": usage_table(quantities, found.usage),
        "apart": apart_table(found),
        "unmatched": unmatched_table(found),
        "unmatched_count": plural(found.unmatched_count, "row"),
        "imports": imports_table(known),
    }
    return page("reconciliation.html", context)


def export_reconciliation() -> Response:
    """``GET /reconciliation.csv``: the rows of the comparison, exact."""
    found = _compared(_ledger(), read_parameters(_PARAMETERS))
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for number, row in enumerate(exported(found)):
        # Amounts are numbers of ours, with a sign; only names may come from elsewhere.
        names = 2 + len(found.split)
        writer.writerow(row if not number else [*map(spreadsheet_text, row[:names]), *row[names:]])
    response = current_app.response_class(buffer.getvalue(), mimetype="text/csv")
    name = f"llm_costs_reconciliation_{found.period.days[0]}_{found.period.days[-1]}.csv"
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return protected(response)


def _ledger() -> Ledger:
    ledger = runtime().ledger
    assert ledger is not None, "pages without a ledger are answered before"  # noqa: S101
    if runtime().scope is not None and not sees_everything(visible_calls()):
        raise Forbidden("This page is about the whole account, and your view is narrowed to a part of it.")
    return ledger


def _compared(ledger: Ledger, given: Mapping[str, str]) -> Comparison:
    split = given.get("by", "day")
    if split not in _SPLITS:
        raise InvalidFilterError("by", f"{split[:40]!r} is not one of {', '.join(_SPLITS)}.")
    last = _day(given, "to") or datetime.now(UTC).date() - timedelta(days=1)
    first = _day(given, "from") or last - timedelta(days=_DAYS - 1)
    try:
        period = Period.of_days(first, last)
    except ConfigurationError as error:
        raise InvalidFilterError("from", str(error)) from error
    providers = [given["provider"]] if "provider" in given else []
    return compare(ledger, period, by=[split], providers=providers)


def _day(given: Mapping[str, str], name: str) -> date | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.year not in range(2000, 2200):
        raise InvalidFilterError(name, f"{text[:40]!r} is not a day such as 2026-11-22.")
    return found


def _inputs(given: Mapping[str, str], providers: list[str]) -> tuple[Input, ...]:
    return (
        Input(name="by", label="Split by", value=given.get("by", "day"), options=_SPLITS, closed=True),
        Input(
            name="provider",
            label="Provider",
            value=given.get("provider", ""),
            options=tuple(providers),
            closed=True,
        ),
    )


def _verdict(found: Comparison) -> str:
    if not found.totals:
        return "Nothing can be compared in these days"
    return "The ledger and the bill differ" if found.drifts else "The ledger and the bill agree"
