"""Which calls a command is about: the options that ``report`` and ``export`` share."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import click

from ..analytics import CallQuery
from .options import day as read_day
from .options import days as read_days
from .options import month as read_month
from .options import tag as read_tag
from .options import trackable as read_trackable

#: Options that are a column of the calls.
_COLUMNS = {
    "provider": "Only calls of this provider, as in the ledger, such as openai.",
    "model": "Only calls of this model, as in the ledger.",
    "user": "Only calls of this user's id.",
    "request_type": "Only calls of this request type.",
    "endpoint": "Only calls of this Flask endpoint.",
    "operation": "Only calls of this operation, such as chat or embeddings.",
    "status": "Only calls that ended so: ok, error, aborted or blocked.",
}
_NAMES = {"user": "user_id"}


def narrowing(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options, for a command that takes all of them as keywords.

    :param default: the range where none is given, in words.
    """
    options = (
        click.option(
            "--days",
            type=read_days,
            metavar="N",
            help=f"The last N days, today included.  [default: {default}]",
        ),
        click.option(
            "--from", "first", type=read_day, metavar="DATE", help="From this day on, as YYYY-MM-DD."
        ),
        click.option(
            "--to", "last", type=read_day, metavar="DATE", help="To the end of this day.  [default: today]"
        ),
        click.option("--month", type=read_month, metavar="MONTH", help="A calendar month, as YYYY-MM."),
        *(
            click.option(f"--{name.replace('_', '-')}", name, metavar="NAME", help=help)
            for name, help in _COLUMNS.items()
        ),
        click.option(
            "--trackable",
            type=read_trackable,
            metavar="TYPE:ID",
            help="Only calls about this object, such as Ticket:7.",
        ),
        click.option(
            "--tag",
            "tags",
            type=read_tag,
            multiple=True,
            metavar="KEY=VALUE",
            help="Only calls with this tag; KEY= for calls without it. Can be repeated, all must match.",
        ),
    )

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What was given, checked."""

    days: int | None
    first: date | None
    last: date | None
    month: tuple[date, date] | None
    columns: Mapping[str, str]
    trackable: tuple[str, str] | None
    tags: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Narrowing:
        """:raises click.UsageError: more than one range is given, or an end without its beginning."""
        found = cls(
            **{name: given[name] for name in ("days", "first", "last", "month", "trackable", "tags")},
            columns={name: given[name] for name in _COLUMNS if given[name] is not None},
        )
        ranges = [
            found.days is not None,
            found.month is not None,
            found.first is not None or found.last is not None,
        ]
        if sum(ranges) > 1:
            raise click.UsageError("Choose one range: --days, --month, or --from with --to.")
        if found.last is not None and found.first is None:
            raise click.UsageError("--to needs --from, as in --from 2026-11-01 --to 2026-11-22.")
        return found

    def applied_to(self, calls: CallQuery, default_days: int | None) -> CallQuery:
        """The calls it means; without a range those of the last ``default_days`` days, or of all time.

        :raises InvalidFilterError: a value is none of a column's.
        """
        query = self._during(calls, default_days)
        for name, value in self.columns.items():
            query = query.where(**{_NAMES.get(name, name): value})
        if self.trackable is not None:
            query = query.for_trackable(self.trackable)
        for tag in self.tags:
            query = query.tagged(dict([tag]))
        return query

    def told(self) -> list[tuple[str, str]]:
        """What it narrows to besides the range, by name; an empty value is "without it"."""
        return [*self.told_columns(), *self.tags]

    def told_columns(self) -> list[tuple[str, str]]:
        """The same without the tags."""
        trackable = [] if self.trackable is None else [("trackable", ":".join(self.trackable))]
        return [*self.columns.items(), *trackable]

    def _during(self, calls: CallQuery, default_days: int | None) -> CallQuery:
        if self.month is not None:
            return calls.days(*self.month)
        if self.first is not None:
            return calls.days(self.first, self.last or calls.now().astimezone(calls.zone).date())
        days = self.days or default_days
        return calls.all_time() if days is None else calls.last_days(days)
