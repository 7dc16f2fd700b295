"""Reconciliation: what providers say they billed beside the ledger. Imports are made by command only."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta

from werkzeug.wrappers import Response

from ...errors import ConfigurationError
from ...errors import InvalidFilterError
from ...ledger import Ledger
from ...reconciliation import FINEST
from ...reconciliation import Comparison
from ...reconciliation import Dimension
from ...reconciliation import ImportState
from ...reconciliation import Period
from ...reconciliation import Row
from ...reconciliation import compare
from ...reconciliation import imports
from ...wording import plural
from ..filter_bar import Input
from ..formats import days
from ..freshness import freshness
from ..ledger_side import LedgerSide
from ..parameters import read_parameters
from ..reconciliation_tables import apart_table
from ..reconciliation_tables import compared_table
from ..reconciliation_tables import imports_table
from ..reconciliation_tables import usage_table
from ..responses import Place
from ..responses import page
from ..responses import runtime
from ..scoped import require_everything
from ..scoped import visible_calls
from ..table_export import About
from ..tables import Table
from ..taking_away import FORMAT
from ..taking_away import PARAMETERS
from ..taking_away import Tables
from ..taking_away import offered
from ..taking_away import taken

_PLACE = Place(".reconciliation")
_DAYS = 30
_PARAMETERS = ("from", "to", "by", "provider")
_SPLITS = ("day", "model", "project", "line_item", "mode", "key")
#: Rows that the page shows of one table; a file has all.
_ROWS, _UNMATCHED = 500, 25
_ALL = 1_000_000


def reconciliation() -> Response:
    """``GET /reconciliation``."""
    given = read_parameters((*_PARAMETERS, *PARAMETERS))
    ledger = _ledger()
    most = None if FORMAT in given else _ROWS
    found = _compared(ledger, given, _UNMATCHED if most else _ALL)
    known = imports(ledger)
    tables = _tables(found, known, most)
    if (file := taken(given, tables, _about(found, given))) is not None:
        return file
    first, last = found.period.days[0], found.period.days[-1]
    context = {
        "current": "reconciliation",
        "fresh": freshness(visible_calls()),
        "days": days(first, last),
        "dates": (first.isoformat(), last.isoformat()),
        "action": _PLACE.link({}),
        "inputs": _inputs(given, sorted({each.provider for each in known})),
        "drifts": found.drifts,
        "verdict": _verdict(found),
        "limits": str(found.thresholds),
        "remarks": found.remarks,
        "cut": f"{most:,}" if most and max(len(found.rows), len(found.usage)) > most else "",
        "unmatched": _unmatched(found),
        "tables": offered(tables, _PLACE, given),
    }
    return page("reconciliation.html", context)


def _tables(found: Comparison, known: Sequence[ImportState], most: int | None) -> Tables:
    quantities = [each.label for each in found.split if each.name != "line_item"]

    def rows(name: str, caption: str, split: Sequence[Dimension], compared: Sequence[Row]) -> Table | None:
        side = LedgerSide(split, found.days, runtime().config.timezone)
        return compared_table(name, caption, compared, side, most)

    return {
        "totals": lambda: rows("totals", "Totals", (), found.totals),
        "rows": lambda: rows("rows", _split_in_words(found), found.split, found.rows),
        "usage": lambda: usage_table(quantities, found.usage, most),
        "apart": lambda: apart_table(found),
        "unmatched": lambda: rows("unmatched", "Without a counterpart", FINEST, found.unmatched),
        "imports": lambda: imports_table(known),
    }


def _split_in_words(found: Comparison) -> str:
    return "By " + ", ".join("day" if each.name == "day" else each.label.lower() for each in found.split)


def _about(found: Comparison, given: Mapping[str, str]) -> About:
    return About(
        zone="UTC",
        first=found.period.days[0],
        last=found.period.days[-1],
        filters={name: given[name] for name in ("by", "provider") if name in given},
        currency="",
    )


def _ledger() -> Ledger:
    ledger = runtime().ledger
    assert ledger is not None, "pages without a ledger are answered before"  # noqa: S101
    require_everything()
    return ledger


def _compared(ledger: Ledger, given: Mapping[str, str], unmatched: int) -> Comparison:
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
    return compare(ledger, period, by=[split], providers=providers, unmatched=unmatched)


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


def _unmatched(found: Comparison) -> str:
    """How many rows have no counterpart, where the page shows some of them."""
    if found.unmatched_count <= len(found.unmatched):
        return ""
    return f"{plural(found.unmatched_count, 'row')} in all; the largest are shown, the files have all."


def _verdict(found: Comparison) -> str:
    if not found.totals:
        return "Nothing can be compared in these days"
    return "The ledger and the bill differ" if found.drifts else "The ledger and the bill agree"
