"""The spans of time for which a limit holds: hours, days, weeks and months of a zone, or for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Period = Literal["call", "hour", "day", "week", "month", "total"]

_DAY = timedelta(days=1)
#: Where the one window of all time begins.
EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """From ``start``, up to and without ``end``, in UTC; ``end`` is ``None`` where there is none."""

    start: datetime
    end: datetime | None


def window_of(period: Period, moment: datetime, zone: ZoneInfo) -> Window:
    """The window of that period in which ``moment`` is. A single call's is that very moment."""
    if period == "call":
        return Window(moment.astimezone(UTC), moment.astimezone(UTC))
    if period == "total":
        return Window(EVER, None)
    if period == "hour":
        return _hour(moment, zone)
    first = _first_day(period, moment.astimezone(zone).date())
    return Window(_midnight(first, zone), _midnight(_first_day_of_next(period, first), zone))


def _hour(moment: datetime, zone: ZoneInfo) -> Window:
    # Counted in UTC from the local full hour, so that an hour which happens twice is two windows.
    local = moment.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    start = moment.astimezone(UTC) - past
    return Window(start, start + timedelta(hours=1))


def _first_day(period: Period, day: date) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def _first_day_of_next(period: Period, first: date) -> date:
    if period == "week":
        return first + 7 * _DAY
    return (first + 31 * _DAY).replace(day=1) if period == "month" else first + _DAY


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local date, in UTC.

    Of a midnight that happens twice it is the first one. A skipped one is read with the offset of before the
    gap: the end of one window and the start of the next are the same instant in any case.
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)
