"""How money, counts, tokens, durations, shares and dates are written. One module, so that all pages agree."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from ..money import EXACT
from ..wording import ROUND
from ..wording import UNKNOWN
from ..wording import money_digits
from ..wording import plain_digits
from ..wording import plural

_MINUS = "\u2212"
_SPACE = "\u202f"  # narrow and not breaking: between a number and its unit
_RATIO = Decimal("0.000001")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A value as a page shows it.

    :param exact: the same value in full, for the ``title``; empty where ``text`` already is exact.
    :param decimals: digits behind the point in ``text``, so that a column can be aligned to it.
    :param value: the bare value for exports, in US dollars, tokens, calls, milliseconds or parts of one.
    """

    text: str
    exact: str = ""
    decimals: int = 0
    known: bool = True
    value: Decimal | int | None = None

    def __str__(self) -> str:
        return self.text


NOT_KNOWN = Shown(UNKNOWN, known=False)


def money(amount: Decimal | None) -> Shown:
    """US dollars: two decimals from 1 on, four below, six significant digits below 0.01."""
    if amount is None:
        return NOT_KNOWN
    digits = money_digits(abs(amount))
    decimals = len(digits.partition(".")[2])
    return Shown(f"{_sign(amount)}${digits}", f"{exact_money(amount)} USD", decimals, value=amount)


def exact_money(amount: Decimal) -> str:
    """Every digit that is not a trailing zero, at least two decimals: ``0.000213``, ``12.50``."""
    whole, _, fraction = plain_digits(amount).partition(".")
    return f"{whole}.{fraction:0<2}"


def rate(amount: Decimal | None) -> Shown:
    """A rate in US dollars, never rounded: it is what the bill was computed with."""
    if amount is None:
        return NOT_KNOWN
    digits = exact_money(amount)
    return Shown(f"${digits}", "", len(digits.partition(".")[2]), value=amount)


def number(value: int | Decimal | None) -> Shown:
    """A count in full with thousands separators."""
    if value is None:
        return NOT_KNOWN
    digits = f"{Decimal(value).normalize(EXACT):,f}"
    return Shown(digits, "", len(digits.partition(".")[2]), value=value)


def tokens(value: int | Decimal | None) -> Shown:
    """A token count in three or so digits (``1.2 M``), the full count in ``exact``."""
    if value is None:
        return NOT_KNOWN
    count = int(value)
    if count < 10_000:
        return Shown(f"{count:,}", value=count)
    for unit, size in (("k", 1_000), ("M", 1_000_000), ("B", 1_000_000_000)):
        scaled = ROUND.divide(Decimal(count), Decimal(size)).quantize(Decimal("0.1"), context=ROUND)
        if scaled < 1000 or unit == "B":
            return Shown(f"{scaled:,f}{_SPACE}{unit}", f"{count:,}", value=count)
    raise AssertionError("the last unit takes every count")


def duration(milliseconds: int | Decimal | None) -> Shown:
    """``812 ms``, ``4.2 s``, ``2 min 5 s``, ``1 h 3 min``; the full count of milliseconds in ``exact``."""
    if milliseconds is None:
        return NOT_KNOWN
    whole = int(Decimal(milliseconds).quantize(Decimal(1), context=ROUND))
    exact = f"{whole:,}{_SPACE}ms"
    if whole < 1_000:
        return Shown(exact, value=whole)
    seconds = Decimal(whole) / 1000
    if seconds < Decimal("59.95"):
        return Shown(f"{seconds.quantize(Decimal('0.1'), context=ROUND)}{_SPACE}s", exact, value=whole)
    minutes, rest = divmod(int(seconds.quantize(Decimal(1), context=ROUND)), 60)
    if minutes < 60:
        return Shown(f"{minutes}{_SPACE}min {rest}{_SPACE}s", exact, value=whole)
    hours, minutes = divmod(minutes, 60)
    return Shown(f"{hours:,}{_SPACE}h {minutes}{_SPACE}min", exact, value=whole)


def percent(part: Decimal | int | None, whole: Decimal | int | None) -> Shown:
    """The share of ``part`` in ``whole``; ``<0.1 %`` for something that would read as nothing."""
    if part is None or whole is None or whole == 0:
        return NOT_KNOWN
    ratio = ROUND.divide(Decimal(part), Decimal(whole))
    share, value = ratio * 100, ratio.quantize(_RATIO, context=ROUND)
    shown = share.quantize(Decimal("0.1"), context=ROUND)
    text = f"{shown:,f}"
    if shown == 0 and share > 0:
        text = "<0.1"
    elif share == 100:
        text = "100"
    elif shown == 100:
        text = ">99.9"
    return Shown(f"{text}{_SPACE}%", decimals=1, value=value)


def change(now: Decimal | int, before: Decimal | int) -> str:
    """The change against the previous period: ``+12.3 %``, ``new`` where there was nothing before."""
    if before == 0:
        return "no change" if now == 0 else "new"
    relative = ROUND.divide(Decimal(now) - Decimal(before), Decimal(before)) * 100
    step = Decimal(1) if abs(relative) >= 1000 else Decimal("0.1")
    shown = relative.quantize(step, context=ROUND)
    if now == before:
        return "no change"
    if shown == 0:
        return f"{_sign(relative) or '+'}<0.1{_SPACE}%"
    return f"{_sign(shown) or '+'}{abs(shown):,f}{_SPACE}%"


def signed(difference: Decimal | int, shown: Shown) -> str:
    """``shown``, the absolute size of ``difference``, with the sign of ``difference``."""
    return f"{_sign(difference) or '+'}{shown.text}"


def _sign(value: Decimal | int) -> str:
    return _MINUS if value < 0 else ""


def day(value: date) -> str:
    """``22 November 2026``."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def short_day(value: date) -> str:
    """``22 Nov``."""
    return f"{value.day} {_MONTHS[value.month - 1][:3]}"


def month(value: date) -> str:
    """``November 2026``."""
    return f"{_MONTHS[value.month - 1]} {value.year}"


def days(first: date, last: date) -> str:
    """A range of days, both included: ``1 to 22 November 2026``."""
    if first == last:
        return day(first)
    if first.year != last.year:
        return f"{day(first)} to {day(last)}"
    if first.month != last.month:
        return f"{first.day} {_MONTHS[first.month - 1]} to {day(last)}"
    return f"{first.day} to {day(last)}"


def moment(value: datetime, zone: ZoneInfo) -> str:
    """``22 Nov 2026, 14:05:09`` in ``zone``."""
    local = value.astimezone(zone)
    return f"{short_day(local)} {local.year}, {local:%H:%M:%S}"


def age(value: datetime, now: datetime) -> str:
    """How long ago a moment was, in its largest unit: ``3 minutes ago``."""
    seconds = int((now - value).total_seconds())
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{plural(seconds // size, word)} ago"
    return "just now"
