"""Where the days and weeks of a time zone begin, whatever its clocks do at midnight."""

from __future__ import annotations

from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local date, in ``zone``.

    Where midnight happens twice it is the first one; where it is skipped, the end of the gap, which for a
    date that was left out altogether is the start of the next one.
    """
    midnight = datetime.combine(day, time(), zone)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != midnight.replace(tzinfo=None):
        instant = _gap_end(midnight)
    return instant.astimezone(zone)


def _gap_end(skipped: datetime) -> datetime:
    """The instant at which the clocks were put forward over the wall time ``skipped``, in UTC."""
    zone = skipped.tzinfo
    before, after = skipped.replace(fold=1).astimezone(UTC), skipped.astimezone(UTC)
    old_offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == old_offset:
            before = middle
        else:
            after = middle
    return after


def day_around(moment: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """When the day that ``moment`` belongs to begins, and when the next one does; in UTC."""
    return _around(moment, moment.astimezone(zone).date(), _DAY, zone)


def week_around(moment: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The same of its week, which begins on Monday."""
    day = moment.astimezone(zone).date()
    return _around(moment, day - day.weekday() * _DAY, 7 * _DAY, zone)


def _around(moment: datetime, first: date, length: timedelta, zone: ZoneInfo) -> tuple[datetime, datetime]:
    start, end = _span(first, length, zone)
    # The clocks may go back over midnight: then an instant can bear the date of a day that is over.
    while moment >= end:
        first += length
        start, end = _span(first, length, zone)
    return start, end


@lru_cache(maxsize=4096)
def _span(first: date, length: timedelta, zone: ZoneInfo) -> tuple[datetime, datetime]:
    return day_start(first, zone).astimezone(UTC), day_start(first + length, zone).astimezone(UTC)
