"""Numbers as people read them in a terminal. Unknown is the word, never 0 and never an empty cell."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from ..wording import UNKNOWN
from ..wording import money_digits
from ..wording import plain_digits
from .output import Cell


def money(value: Cell) -> str:
    """US dollars as the dashboard shows them: two decimals from 1 on, four below, six digits below 0.01.

    >>> money(Decimal("1234.5")), money(Decimal("0.0213")), money(Decimal("0.000001234567"))
    ('$1,234.50', '$0.0213', '$0.00000123457')
    """
    if value is None:
        return UNKNOWN
    amount = Decimal(str(value))
    return f"{'-' if amount < 0 else ''}${money_digits(abs(amount))}"


def signed_money(value: Cell) -> str:
    """As :func:`money`, with its sign: a difference.

    >>> signed_money(Decimal("1.5")), signed_money(Decimal("-0.02")), signed_money(Decimal(0))
    ('+$1.50', '-$0.0200', '$0.00')
    """
    return f"+{money(value)}" if isinstance(value, Decimal) and value > 0 else money(value)


def plain_amount(value: Cell, *, signed: bool = False) -> str:
    """An amount as :func:`money`, in whichever currency stands beside it.

    >>> plain_amount(Decimal("1234.5")), plain_amount(Decimal("0.02"), signed=True)
    ('1,234.50', '+0.0200')
    """
    amount = Decimal(str(value))
    sign = "-" if amount < 0 else "+" if signed and amount > 0 else ""
    return f"{sign}{money_digits(abs(amount))}"


def rate(value: Cell) -> str:
    """A rate in full: it is compared with a provider's price list, digit by digit."""
    return UNKNOWN if value is None else f"${plain_digits(Decimal(str(value)))}"


def count(value: Cell) -> str:
    """A whole number with thousands separators.

    >>> count(1234567), count(None)
    ('1,234,567', 'unknown')
    """
    return UNKNOWN if value is None else f"{int(str(value)):,}"


def quantity(value: Cell) -> str:
    """A quantity without needless zeros: tokens are whole, minutes may have a fraction."""
    if value is None:
        return UNKNOWN
    text = f"{Decimal(str(value)):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(value: Cell) -> str:
    """Milliseconds as ``812 ms`` or ``4.2 s``."""
    if value is None:
        return UNKNOWN
    milliseconds = Decimal(str(value))
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def share(value: Cell) -> str:
    """A part of one as a percentage."""
    return UNKNOWN if value is None else f"{Decimal(str(value)) * 100:.1f} %"


def ratio(value: Cell) -> str:
    """How many times as much, in three digits.

    >>> ratio(Decimal("12.345")), ratio(Decimal("0.0333"))
    ('12.3', '0.0333')
    """
    return UNKNOWN if value is None else f"{Decimal(str(value)):.3g}"


def moment(value: Cell) -> str:
    """A moment to the second, in the zone it is told in."""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else ""
