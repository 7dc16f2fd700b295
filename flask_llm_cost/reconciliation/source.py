"""What all sources of a provider's bill have in common: a question, and pages of buckets as its answer."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta
from typing import Any

from ..errors import ConfigurationError
from .admin_api import Parameters
from .document import as_list
from .document import as_object
from .errors import ReconciliationError
from .line import Line
from .line import added_up

Bucket = tuple[datetime, datetime]
#: More is a mistake, and some hundred pages.
MAX_DAYS = 1_000


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days in UTC, as providers bill; ``end`` is the start of the day after the last one."""

    start: datetime
    end: datetime

    @classmethod
    def of_days(cls, first: date, last: date) -> Period:
        """From the start of the first to the end of the last day.

        :raises ConfigurationError: the last day is before the first one, or the period is too long.
        """
        days = (last - first).days + 1
        if not 1 <= days <= MAX_DAYS:
            raise ConfigurationError(f"{first} to {last} is no period of 1 to {MAX_DAYS:,} days.")
        return cls(start_of(first), start_of(last) + timedelta(days=1))

    @property
    def days(self) -> list[date]:
        """Each of its days."""
        return [
            (self.start + timedelta(days=number)).date() for number in range((self.end - self.start).days)
        ]

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d} to {self.end - timedelta(days=1):%Y-%m-%d}"


def start_of(day: date) -> datetime:
    """The first moment of a day in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of an answer.

    :param buckets: the spans of time the page tells of; those without lines too.
    :param next_token: the provider's name of the next page, ``None`` on the last one.
    """

    buckets: Sequence[Bucket]
    lines: Sequence[Line]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of answer of one provider.

    :param ask: the query for a period.
    :param bucket: the span of time of one bucket of the answer.
    :param read: the lines of one result in a bucket.
    """

    name: str
    provider: str
    path: str
    ask: Callable[[Period], Parameters]
    bucket: Callable[[Mapping[str, Any], str], Bucket]
    read: Callable[[Mapping[str, Any], str, Bucket], Iterable[Line]]

    @property
    def tells_costs(self) -> bool:
        """Whether its lines are amounts; else they are quantities."""
        return self.name.endswith("_costs")


def read_page(source: Source, answer: Mapping[str, Any], token: str | None, period: Period) -> Page:
    """One answer as buckets and lines.

    :param token: of the page that was asked for.
    :raises ReconciliationError: it is not as the provider documents it; names the place.
    """
    buckets: list[Bucket] = []
    lines: list[Line] = []
    for number, told in enumerate(as_list(answer.get("data"), "data")):
        where = f"data[{number}]"
        bucket = as_object(told, where)
        span = source.bucket(bucket, where)
        if not period.start <= span[0] < span[1] <= period.end:
            raise ReconciliationError(f"{where} tells of a time that was not asked for.")
        buckets.append(span)
        for place, result in enumerate(as_list(bucket.get("results"), f"{where}.results")):
            inside = f"{where}.results[{place}]"
            lines += source.read(as_object(result, inside), inside, span)
    return Page(buckets, added_up(lines), _next(answer, token))


def _next(answer: Mapping[str, Any], token: str | None) -> str | None:
    if not answer.get("has_more"):
        return None
    following = answer.get("next_page")
    if not isinstance(following, str) or not following or following == token:
        raise ReconciliationError("has_more is true, but next_page names no further page.")
    return following
