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

#: A hundred years: more is a mistake, and dates before the year 1 do not exist.
MAX_DAYS = 36_500

_AGE = re.compile(r"(?P<count>[0-9]{1,5})(?P<unit>[dw]?)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONTH = re.compile(r"(?!0000)(\d{4})-(0[1-9]|1[0-2])", re.ASCII)

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
    if not text.strip().isdecimal():
        raise click.BadParameter(f"{text!r} is not a whole number of days from 1 to {MAX_DAYS}, such as 30.")
    return age(text)


def age(text: str) -> int:
    """An age in days, given as ``90d``, ``12w`` or ``90``."""
    match = _AGE.fullmatch(text.strip().lower())
    count = int(match["count"]) * (7 if match["unit"] == "w" else 1) if match else 0
    if not 1 <= count <= MAX_DAYS:
        raise click.BadParameter(f"{text!r} is not an age from 1 to {MAX_DAYS} days, such as 90d, 12w or 90.")
    return count


def day(text: str) -> date:
    """A local date, ``YYYY-MM-DD``."""
    try:
        found = date.fromisoformat(text.strip()) if _DATE.fullmatch(text.strip()) else None
    except ValueError:  # the thirtieth of February
        found = None
    if found is None:
        raise click.BadParameter(f"{text!r} is not a date such as 2026-11-22.")
    return found


def month(text: str) -> tuple[date, date]:
    """The first and the last day of a calendar month, ``YYYY-MM``."""
    match = _MONTH.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not a month such as 2026-11.")
    year, number = int(match[1]), int(match[2])
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
