"""Days, weeks and months of a time zone as half-open spans of instants, and the buckets of a series."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import timedelta
from zoneinfo import ZoneInfo
from zoneinfo import ZoneInfoNotFoundError

from ..errors import InvalidFilterError
from ..ledger.days import day_start
from .dimensions import choice
from .filters import DateRange

BUCKETS = ("hour", "day", "week", "month")
#: More buckets than this in one series are refused: six years of days, a hundred days of hours.
MAX_BUCKETS = 2_500

_Step = Callable[[datetime, ZoneInfo], datetime]

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
#: Outside of these years no call can have happened, and arithmetic with zones overflows near the ends.
_YEARS = range(1970, 9999)


def named_zone(zone: str | ZoneInfo, field: str = "tz") -> ZoneInfo:
    """The zone of that IANA name.

    :raises InvalidFilterError: there is none.
    """
    if isinstance(zone, ZoneInfo):
        return zone
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as error:
        raise InvalidFilterError(field, "an IANA time zone name such as 'Europe/Berlin' is needed") from error


def days(first: date, last: date, zone: ZoneInfo) -> DateRange:
    """From the start of ``first`` to the end of ``last``, local dates.

    :raises InvalidFilterError: ``last`` is before ``first``, or either is outside of 1970 to 9998.
    """
    for day in (first, last):
        if isinstance(day, datetime) or not isinstance(day, date):
            raise InvalidFilterError("range", f"a date is needed, got {type(day).__name__}")
        _check_year(day)
    if last < first:
        raise InvalidFilterError("range", f"the last day, {last}, is before the first, {first}")
    return checked(day_start(first, zone), day_start(last + _DAY, zone), zone)


def checked(start: datetime, end: datetime, zone: ZoneInfo) -> DateRange:
    """The span from ``start`` to ``end``, both told in ``zone``.

    :raises InvalidFilterError: either has no time zone or is outside of 1970 to 9998, or nothing is between.
    """
    for moment in (start, end):
        if not isinstance(moment, datetime) or moment.utcoffset() is None:
            raise InvalidFilterError("range", "datetimes with a time zone are needed")
        _check_year(moment)
    if start.astimezone(UTC) >= end.astimezone(UTC):
        raise InvalidFilterError(
            "range", f"the start, {start.isoformat()}, must be before the end, {end.isoformat()}"
        )
    return start.astimezone(zone), end.astimezone(zone)


def _check_year(day: date) -> None:
    if day.year not in _YEARS:
        raise InvalidFilterError("range", f"years from 1970 to 9998 are accepted, got {day.year}")


def week_start(day: date) -> date:
    """The Monday of the week of ``day``."""
    return day - timedelta(days=day.weekday())


def month_start(day: date) -> date:
    """The first of the month of ``day``."""
    return day.replace(day=1)


def previous(span: DateRange, zone: ZoneInfo) -> DateRange:
    """The span of the same length just before: the same number of days where both edges are midnights.

    Days are counted, not hours, so that a week with a clock change is held against a whole week.
    """
    start, end = (moment.astimezone(zone) for moment in span)
    if start == day_start(start.date(), zone) and end == day_start(end.date(), zone):
        length = end.date() - start.date()
        return checked(day_start(start.date() - length, zone), start, zone)
    earlier = start.astimezone(UTC) - (end.astimezone(UTC) - start.astimezone(UTC))
    return checked(earlier, start, zone)


def bucket_edges(span: DateRange, bucket: str, zone: ZoneInfo) -> list[datetime]:
    """The edges of the buckets that cover ``span``, whole buckets, in order, in ``zone``.

    :raises InvalidFilterError: ``bucket`` is none of :data:`BUCKETS`, or there are too many.
    """
    start, end = (moment.astimezone(UTC) for moment in span)
    begin, following = _STEPS[choice("bucket", bucket, BUCKETS)]
    edges = [begin(start.astimezone(zone), zone)]
    while edges[-1].astimezone(UTC) < end:
        if len(edges) > MAX_BUCKETS:
            raise InvalidFilterError(
                "bucket", f"{bucket} is too fine for this range: more than {MAX_BUCKETS} buckets"
            )
        edges.append(following(edges[-1], zone))
    return edges


def _hour(moment: datetime, zone: ZoneInfo) -> datetime:
    past = timedelta(minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond)
    return (moment.astimezone(UTC) - past).astimezone(zone)


def _next_hour(moment: datetime, zone: ZoneInfo) -> datetime:
    # Counted in UTC, so that the hour which happens twice gives two buckets; brought back to the full local
    # hour where the clocks are moved by half an hour.
    return (moment.astimezone(UTC) + _HOUR - timedelta(minutes=moment.minute)).astimezone(zone)


def _next_month(day: date) -> date:
    return month_start(month_start(day) + timedelta(days=31))


#: How a bucket begins around a local moment, and where the next one begins.
_STEPS: dict[str, tuple[_Step, _Step]] = {
    "hour": (_hour, _next_hour),
    "day": (
        lambda moment, zone: day_start(moment.date(), zone),
        lambda moment, zone: day_start(moment.date() + _DAY, zone),
    ),
    "week": (
        lambda moment, zone: day_start(week_start(moment.date()), zone),
        lambda moment, zone: day_start(week_start(moment.date()) + 7 * _DAY, zone),
    ),
    "month": (
        lambda moment, zone: day_start(month_start(moment.date()), zone),
        lambda moment, zone: day_start(_next_month(moment.date()), zone),
    ),
}
