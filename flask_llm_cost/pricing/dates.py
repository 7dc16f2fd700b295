"""Which of an entry's dated prices and daily time windows hold at a moment, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime

from .entry import PriceEntry
from .entry import Window

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Dated:
    """What holds at one moment: from when until when, ``None`` without a bound, and in which windows."""

    start: datetime | None = None
    end: datetime | None = None
    windows: tuple[str, ...] = ()

    def sentences(self) -> Iterator[str]:
        """The same as sentences; none where nothing is dated."""
        bounds = [f"from {day(self.start)}"] if self.start else []
        bounds += [f"until {day(self.end)}"] if self.end else []
        if bounds:
            yield f"Dated prices: these hold {' '.join(bounds)}."
        for window in self.windows:
            yield f"The rates of the hours {window} apply."


def dates_of(entry: PriceEntry, at: datetime) -> Dated:
    """What holds of ``entry`` at the moment ``at``."""
    sheets = entry.sheets()
    place = max(index for index, (start, _) in enumerate(sheets) if start is None or start <= at)
    start, sheet = sheets[place]
    end = sheets[place + 1][0] if place + 1 < len(sheets) else None
    moment = at.astimezone(UTC)
    windows = tuple(hours(window) for window in sheet.windows or () if window.holds(moment))
    return Dated(start, end, windows)


def hours(window: Window) -> str:
    """``01:00 to 04:00 UTC, Mon Tue Wed Thu Fri``."""
    span = f"{_clock(window.start)} to {_clock(window.end)} UTC"
    if len(window.days) == len(_DAYS):
        return span
    return f"{span}, {' '.join(_DAYS[number] for number in sorted(window.days))}"


def day(moment: datetime) -> str:
    """A date, with the time where it is not midnight UTC."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%d}" if (utc.hour, utc.minute) == (0, 0) else f"{utc:%Y-%m-%d %H:%M} UTC"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
