"""Which days a bill is imported or compared for: the options of both commands, and what they mean."""

from __future__ import annotations

from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta

import click

from ..errors import ConfigurationError
from ..reconciliation import Period
from .options import day as read_day

DEFAULT_DAYS = 30

first_day = click.option(
    "--from",
    "first",
    type=read_day,
    metavar="DATE",
    help=f"The first day, UTC.  [default: {DEFAULT_DAYS} days ago]",
)
last_day = click.option(
    "--to", "last", type=read_day, metavar="DATE", help="The last day, UTC.  [default: yesterday]"
)


def period_of(first: date | None, last: date | None) -> Period:
    """The days asked for.

    :raises click.UsageError: they are not in order, or too many.
    """
    last = last or datetime.now(UTC).date() - timedelta(days=1)
    try:
        return Period.of_days(first or last - timedelta(days=DEFAULT_DAYS - 1), last)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
