"""What a request asks: its filters, and the query they make of the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace
from datetime import date
from typing import Literal
from typing import cast

from flask import request

from ..analytics import CallQuery
from ..analytics import Series
from ..analytics import at_once
from ..errors import InvalidFilterError
from .filter_reading import read_filters
from .filter_reading import read_zone
from .filters import MAX_QUERY_BYTES
from .filters import Filters
from .periods import Period
from .responses import Place
from .responses import runtime
from .scoped import visible_calls
from .taking_away import FORMAT

BucketName = Literal["hour", "day", "week", "month"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One view of the ledger.

    :param query: the calls that all filters let through.
    :param in_period: the calls of the period, whatever else is filtered.
    :param visible: all calls that the reader may see.
    """

    filters: Filters
    query: CallQuery
    in_period: CallQuery
    visible: CallQuery
    today: date

    @property
    def exporting(self) -> bool:
        """Whether a table is to be taken away, whole, instead of a page to be shown."""
        return FORMAT in self.filters.extra

    @contextmanager
    def at_once(self) -> Iterator[Asked]:
        """The same view as of one moment: what a page says adds up, and is read once."""
        with at_once(self.query, self.in_period, self.visible) as (query, in_period, visible):
            yield replace(self, query=query, in_period=in_period, visible=visible)

    @property
    def previous(self) -> CallQuery:
        """The same calls of the period before."""
        return self.query.previous_period()

    def series(
        self,
        query: CallQuery | None = None,
        by: str | None = None,
        limit: int = 7,
        values: Sequence[str | None] | None = None,
    ) -> Series:
        """``query``, or the page's calls, over time in the buckets that were asked for."""
        bucket = cast(BucketName, self.filters.bucket)
        return (query or self.query).series(bucket, by=by, limit=limit, values=values)

    def option(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """The page's own parameter ``name``.

        :raises InvalidFilterError: it is not one of ``choices``.
        """
        value = self.filters.extra.get(name, default)
        if value not in choices:
            raise InvalidFilterError(name, f"{value[:40]!r} is not one of {', '.join(choices)}.")
        return value


def ask(extra: tuple[str, ...] = ()) -> Asked:
    """Read the current request.

    :param extra: the page's own parameters.
    :raises InvalidFilterError: the query string is too long, or a parameter is unknown or malformed.
    """
    if len(request.query_string) > MAX_QUERY_BYTES:
        raise InvalidFilterError("query string", f"is longer than {MAX_QUERY_BYTES // 1024} KB.")
    usual = runtime().config.timezone
    zone = read_zone(request.args, usual)
    calls = visible_calls().in_zone(zone)
    today = calls.now().astimezone(zone).date()
    filters = read_filters(request.args, today=today, zone=zone, extra=extra, usual_zone=usual)
    return Asked(filters, narrowed(calls, filters), in_period(calls, filters.period), calls, today)


def in_period(calls: CallQuery, period: Period) -> CallQuery:
    """The calls of a period's days."""
    return calls.days(period.first, period.last)


def narrowed(calls: CallQuery, filters: Filters) -> CallQuery:
    """The calls that ``filters`` let through."""
    query = in_period(calls, filters.period).where(**filters.columns()).tagged(filters.tags())
    for dimension, values in filters.excluded().items():
        query = query.besides(dimension, values)
    if "tags" in filters.values:
        query = query.untagged()
    if "latency" in filters.values:
        query = query.without_latency()
    return query.missing_provider_response_id() if "response_id" in filters.values else query


def canonical(place: Place, filters: Filters) -> str | None:
    """The address to keep, where a form's blank fields or its new tag make the request's own a worse one."""
    arguments = filters.arguments() | filters.extra
    return None if arguments == request.args.to_dict() else place.link(arguments)
