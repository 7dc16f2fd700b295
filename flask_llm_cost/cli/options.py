"""Option bundles and readers of option values that several commands share, so that they read alike.

A reader takes the text that was typed and gives the value; a wrong one is a usage error that names the
accepted form.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC
from datetime import date
from datetime import datetime
from decimal import Decimal
from decimal import InvalidOperation

import click

#: 27 years: more is a mistake, and the same span before it must still be in the calendar of calls.
MAX_DAYS = 10_000
_YEARS = range(2000, 2200)

_DAYS = re.compile(r"(?P<count>[0-9]{1,5})(?P<unit>)")
_AGE = re.compile(r"(?P<count>[0-9]{1,5})(?P<unit>[dw]?)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)

format_option = click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="How to print the answer; JSON and CSV carry exact values.",
)

dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done and change nothing.")


def days(text: str) -> int:
    """A number of days such as ``30``."""
    return _count_of_days(_DAYS.fullmatch(text.strip()), f"{text!r} is not a whole number of days such as 30")


def age(text: str) -> int:
    """An age in days, given as ``90d``, ``12w`` or ``90``."""
    return _count_of_days(_AGE.fullmatch(text.strip()), f"{text!r} is not an age such as 90d, 12w or 90")


def _count_of_days(match: re.Match[str] | None, otherwise: str) -> int:
    count = int(match["count"]) * (7 if match["unit"] == "w" else 1) if match else 0
    if not 1 <= count <= MAX_DAYS:
        raise click.BadParameter(f"{otherwise}, from 1 to {MAX_DAYS} days.")
    return count


def day(text: str) -> date:
    """A local date, ``YYYY-MM-DD``."""
    try:
        found = date.fromisoformat(text.strip()) if _DATE.fullmatch(text.strip()) else None
    except ValueError:  # the thirtieth of February
        found = None
    if found is None or found.year not in _YEARS:
        raise click.BadParameter(
            f"{text!r} is not a date such as 2026-11-22, from {_YEARS[0]} to {_YEARS[-1]}."
        )
    return found


def month(text: str) -> tuple[date, date]:
    """The first and the last day of a calendar month, ``YYYY-MM``."""
    match = _MONTH.fullmatch(text.strip())
    year, number = (int(match[1]), int(match[2])) if match else (0, 0)
    if year not in _YEARS:
        raise click.BadParameter(
            f"{text!r} is not a month such as 2026-11, from {_YEARS[0]}-01 to {_YEARS[-1]}-12."
        )
    return date(year, number, 1), date(year, number, monthrange(year, number)[1])


def moment(text: str) -> datetime:
    """A date or an ISO 8601 moment; without an offset it is UTC."""
    try:
        found = datetime.fromisoformat(text.strip())
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        aware.astimezone(UTC)  # the first and the last day of all time have no place in every zone
    except (ValueError, OverflowError) as error:
        form = "2026-11-22 or 2026-11-22T09:30:00+01:00"
        raise click.BadParameter(f"{text!r} is not an ISO 8601 date or time, such as {form}.") from error
    return aware


def tag(text: str) -> tuple[str, str]:
    """``KEY=VALUE``; an empty value asks for calls without that tag."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise click.BadParameter(
            f"{text!r} is not KEY=VALUE, such as feature=chat. To split by a tag use --by tag:KEY."
        )
    return key.strip(), value


def tag_value(text: str) -> tuple[str, str]:
    """``KEY=VALUE`` with a value."""
    key, _, value = text.partition("=")
    if not key.strip() or not value.strip():
        raise click.BadParameter(f"{text!r} is not KEY=VALUE, such as email=ann@example.com.")
    return key.strip(), value


def trackable(text: str) -> tuple[str, str]:
    """``TYPE:ID``, the class and the primary key of an object."""
    kind, _, key = text.partition(":")
    if not kind.strip() or not key.strip():
        raise click.BadParameter(f"{text!r} is not TYPE:ID, such as Customer:7.")
    return kind.strip(), key.strip()


def charge(text: str) -> tuple[str, Decimal]:
    """``COMPONENT=N``, a quantity that is not counted in tokens."""
    name, _, number = text.partition("=")
    try:
        quantity = Decimal(number.strip())
    except InvalidOperation:
        quantity = Decimal("NaN")
    if not name.strip() or not quantity.is_finite():
        raise click.BadParameter(f"{text!r} is not COMPONENT=N, such as web_search_request=2.")
    return name.strip(), quantity
