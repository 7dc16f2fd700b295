"""A provider's bill in a CSV file with named columns."""

from __future__ import annotations

import csv
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from datetime import timedelta
from decimal import Decimal
from decimal import InvalidOperation
from pathlib import Path
from typing import Any

from ..components import components
from ..errors import ConfigurationError
from ..money import MONEY_SCALE
from .errors import InvoiceFileError
from .errors import ReconciliationError
from .line import CALLS
from .line import LEDGER_ROUNDING
from .line import ROW_TYPES
from .line import Line
from .line import RowType
from .line import added_up
from .line import checked_amount
from .line import checked_quantity
from .source import Period
from .source import start_of

#: Our names of the columns; ``date`` and one of ``amount`` and ``quantity`` must be there.
COLUMNS = (
    "date", "amount", "currency", "account", "key", "model", "line_item", "component", "mode", "type",
    "quantity", "unit",
)  # fmt: skip
#: Words that files use for the same.
_ALIASES = {"project": "account", "workspace": "account", "cost": "amount", "day": "date"}
#: So many problems are told at once.
PROBLEMS_TOLD = 5
_YEARS = range(2000, 2200)
_LENGTHS = {"account": 191, "key": 191, "model": 191, "line_item": 255, "unit": 32}


@dataclass(frozen=True, slots=True)
class InvoiceFile:
    """What a file holds.

    :param period: from its first to its last day.
    :param unread: its columns that have no meaning here.
    """

    lines: Sequence[Line]
    period: Period
    unread: tuple[str, ...]


def read_csv(path: Path, *, columns: Mapping[str, str], currency: str) -> InvoiceFile:
    """The lines of a file.

    :param columns: by our name of a column the file's.
    :raises InvoiceFileError: names line and column of the first problems.
    :raises ConfigurationError: ``columns`` names one that there is not.
    """
    for ours in columns:
        if ours not in COLUMNS:
            raise ConfigurationError(f"There is no column {ours!r}. There are: {', '.join(COLUMNS)}.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(path.name, csv.DictReader(file, strict=True), columns, currency)
    except UnicodeDecodeError:
        raise InvoiceFileError(path.name, ("It is not in UTF-8: save it so.",)) from None
    except csv.Error as error:
        raise InvoiceFileError(path.name, (f"It is no CSV: {error}.",)) from None
    except OSError as error:
        raise InvoiceFileError(path.name, (f"{error.strerror or type(error).__name__}.",)) from None


def _read(name: str, rows: csv.DictReader[str], columns: Mapping[str, str], currency: str) -> InvoiceFile:
    headers = list(rows.fieldnames or ())
    places = _places(name, headers, columns)
    lines: list[Line] = []
    problems: list[str] = []
    for row in rows:
        try:
            lines.append(_line(_Row(row, places, rows.line_num), currency))
        except ReconciliationError as problem:
            problems.append(str(problem))
        if len(problems) == PROBLEMS_TOLD:
            break
    if problems:
        raise InvoiceFileError(name, tuple(problems))
    if not lines:
        raise InvoiceFileError(name, ("There is no line in it below the header.",))
    first = min(line.bucket_start for line in lines).date()
    last = max(line.bucket_start for line in lines).date()
    try:
        period = Period.of_days(first, last)
    except ConfigurationError as error:
        raise InvoiceFileError(name, (str(error),)) from None
    unread = tuple(header for header in headers if header not in places.values())
    return InvoiceFile(added_up(lines), period, unread)


def _places(name: str, headers: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    """By our names of columns the file's."""
    problems = [
        f"Line 1: there is no column {theirs!r}." for theirs in columns.values() if theirs not in headers
    ]
    places = dict(columns)
    for header in headers:
        plain = header.strip().lower().replace(" ", "_")
        ours = _ALIASES.get(plain, plain)
        if ours not in COLUMNS or header in columns.values():
            continue
        if ours in places and ours not in columns:
            problems.append(f"Line 1: both {places[ours]!r} and {header!r} are {ours!r}.")
        places.setdefault(ours, header)
    if "date" not in places:
        problems.append("Line 1: there is no column 'date'.")
    if not places.keys() & {"amount", "quantity"}:
        problems.append("Line 1: there is neither a column 'amount' nor 'quantity'.")
    if problems:
        told = ", ".join(repr(header) for header in headers) or "none"
        named = f"The file's columns: {told}. Name one with --column NAME=COLUMN."
        if len(headers) == 1 and (";" in headers[0] or "\t" in headers[0]):
            named = f"The file's only column is {told}: columns are separated by commas."
        raise InvoiceFileError(name, (*problems, named))
    return places


@dataclass(frozen=True, slots=True)
class _Row:
    """One row by our names of columns, with the place of each cell for errors."""

    cells: Mapping[str, Any]
    places: Mapping[str, str]
    line: int

    def text(self, column: str) -> str | None:
        """What stands there, or ``None`` where nothing does."""
        found = self.cells.get(self.places.get(column, ""))
        if found is None or not found.strip():
            return None
        readable = "".join(sign if sign.isprintable() else " " for sign in found.strip())
        if len(readable) > _LENGTHS.get(column, 64):
            raise self.problem(column, f"is longer than {_LENGTHS.get(column, 64)} characters")
        return readable

    def problem(self, column: str, what: str) -> ReconciliationError:
        """An error that names the place."""
        return ReconciliationError(f"Line {self.line}, column {self.places.get(column, column)!r} {what}.")

    def number(self, column: str) -> Decimal | None:
        """A plain decimal number: with a point, without signs for thousands or currencies."""
        told = self.text(column)
        if told is None:
            return None
        try:
            found = Decimal(told) if told.isascii() and "_" not in told else Decimal("NaN")
        except InvalidOperation:
            found = Decimal("NaN")
        if not found.is_finite():
            raise self.problem(column, f"is {told[:40]!r}, not a number such as 12.34")
        return found

    def checked(self, column: str, check: Callable[[Decimal, str], Decimal]) -> Decimal | None:
        """A number that fits the ledger."""
        found = self.number(column)
        return None if found is None else check(found, f"Line {self.line}, column {self.places[column]!r}")


def _line(row: _Row, currency: str) -> Line:
    if None in row.cells or None in row.cells.values():
        raise ReconciliationError(f"Line {row.line} has not as many cells as the header.")
    day = _day(row)
    kind = _row_type(row)
    needed = "quantity" if kind == "usage" else "amount"
    if row.text(needed) is None:
        raise row.problem(needed, f"is empty, in a line of type {kind!r}")
    told = row.number("amount")
    if kind == "cost" and told is not None and told < 0:
        kind = "credit"
    return Line(
        row_type=kind,
        bucket_start=start_of(day),
        bucket_end=start_of(day) + timedelta(days=1),
        provider_account=row.text("account"),
        api_key_id=row.text("key"),
        model=row.text("model"),
        line_item=row.text("line_item"),
        component=_component(row),
        pricing_mode=row.text("mode"),
        amount=row.checked("amount", checked_amount),
        currency=None if told is None else _currency(row, currency),
        rounding=None if told is None else _rounding(told),
        quantity=row.checked("quantity", checked_quantity),
        unit=row.text("unit"),
    )


def _row_type(row: _Row) -> RowType:
    told = row.text("type") or ("usage" if row.text("amount") is None else "cost")
    for kind in ROW_TYPES:
        if kind == told:
            return kind
    raise row.problem("type", f"is {told!r}, not one of {', '.join(ROW_TYPES)}")


def _day(row: _Row) -> date:
    told = row.text("date") or ""
    try:
        found = date.fromisoformat(told[:10])
        # Exports write the first moment of a day, too.
        if not told[10:].replace("+00:00", "").strip("TZ :0.") and found.year in _YEARS:
            return found
    except ValueError:
        pass
    raise row.problem("date", f"is {told[:40]!r}, not a day in UTC such as 2026-11-22")


def _component(row: _Row) -> str | None:
    told = row.text("component")
    if told is not None and told not in components() and told != CALLS:
        raise row.problem("component", f"is {told!r}, not one of {', '.join((*components(), CALLS))}")
    return told


def _currency(row: _Row, otherwise: str) -> str:
    told = (row.text("currency") or otherwise).upper()
    if len(told) != 3 or not told.isascii() or not told.isalpha():
        raise row.problem("currency", f"is {told[:20]!r}, not a code such as USD")
    return told


def _rounding(told: Decimal) -> Decimal:
    """Half of the last digit that was written: an amount in cents may be off by half a cent."""
    exponent = told.as_tuple().exponent
    assert isinstance(exponent, int), "a finite number"  # noqa: S101
    half = Decimal(5).scaleb(min(exponent, 0) - 1)
    return max(half, LEDGER_ROUNDING) if exponent >= -MONEY_SCALE else LEDGER_ROUNDING
