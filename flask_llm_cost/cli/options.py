"""Option bundles and parameter types that several commands share, so that they read the same everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from typing import TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., object])

format_option = click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="How to print the answer; JSON and CSV carry exact values.",
)

dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done and change nothing.")


class Duration(click.ParamType):
    """A number of days, as ``90d``, ``12w`` or plain ``90``."""

    name = "duration"
    _form = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[dw]?)", re.ASCII)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of days, at least one."""
        if isinstance(value, int):
            return value
        match = self._form.fullmatch(str(value).strip().lower())
        days = int(match["count"]) * (7 if match["unit"] == "w" else 1) if match else 0
        if days < 1:
            self.fail(f"{value!r} is not an age of at least one day, such as 90d, 12w or 90.", param, ctx)
        return days


class PositiveDays(click.ParamType):
    """A whole number of days from 1 to 36500."""

    name = "days"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; anything else is a usage error that names the accepted form."""
        text = str(value).strip()
        if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 5 and 1 <= int(text) <= 36_500):
            self.fail(f"{value!r} is not a whole number of days from 1 to 36500, such as 30.", param, ctx)
        return int(text)


class Moment(click.ParamType):
    """A date or an ISO 8601 moment; without an offset it is UTC."""

    name = "iso-time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """An aware datetime."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value).strip())
        except ValueError:
            form = "2026-11-22 or 2026-11-22T09:30:00+01:00"
            self.fail(f"{value!r} is not an ISO 8601 date or time, such as {form}.", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class TagFilter(click.ParamType):
    """``KEY=VALUE``; an empty value asks for calls without that tag."""

    name = "key=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The pair, with the key trimmed; the value is taken verbatim."""
        if isinstance(value, tuple):
            return (str(value[0]), str(value[1]))
        key, found, text = str(value).partition("=")
        if not found or not key.strip():
            self.fail(f"{value!r} is not KEY=VALUE, such as feature=chat.", param, ctx)
        return (key.strip(), text)
