"""The range of days a page looks at, in the ledger's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from datetime import timedelta
from zoneinfo import ZoneInfo

#: The presets by their name in URLs, with the words of their link.
PRESETS = {
    "today": "Today",
    "7d": "7 days",
    "30d": "30 days",
    "month": "Month to date",
    "last-month": "Last month",
}
DEFAULT_PRESET = "30d"
MAX_DAYS = 366

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, ``first`` and ``last`` included. ``preset`` is the name of the rule that made it."""

    first: date
    last: date
    zone: ZoneInfo
    preset: str | None = None

    @property
    def days(self) -> int:
        """How many days the period has."""
        return (self.last - self.first).days + 1

    @property
    def previous(self) -> Period:
        """As many days right before this period."""
        return Period(self.first - self.days * _DAY, self.first - _DAY, self.zone)


def preset_period(name: str, today: date, zone: ZoneInfo) -> Period:
    """The period a preset means today.

    :raises KeyError: there is no such preset.
    """
    first_of_month = today.replace(day=1)
    last_month = first_of_month - _DAY
    first, last = {
        "today": (today, today),
        "7d": (today - 6 * _DAY, today),
        "30d": (today - 29 * _DAY, today),
        "month": (first_of_month, today),
        "last-month": (last_month.replace(day=1), last_month),
    }[name]
    return Period(first, last, zone, name)
