"""How amounts and counts are written, where every face, log line and message writes them alike."""

from __future__ import annotations

from decimal import ROUND_HALF_UP
from decimal import Context
from decimal import Decimal

from .money import EXACT

#: Stands where a number is not known; never 0 and never an empty cell.
UNKNOWN = "unknown"

#: Enough digits for any amount; people expect half a cent to be rounded up.
ROUND = Context(prec=60, rounding=ROUND_HALF_UP)
_SIX_DIGITS = Context(prec=6, rounding=ROUND_HALF_UP)
_CENT = Decimal("0.01")
_SMALL = Decimal("0.0001")

#: A cell that begins so is run as a formula by spreadsheets, also behind spaces.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain_digits(amount: Decimal) -> str:
    """Every digit that is not a trailing zero, never with an exponent: ``0.0000015``, ``12.5``."""
    return f"{amount.normalize(EXACT):f}"


def amount_digits(quantity: Decimal) -> str:
    """A quantity with thousands separators and no needless zeros: ``1,200``, ``0.333333``."""
    return f"{quantity.normalize(EXACT):,f}"


def money_digits(size: Decimal) -> str:
    """US dollars to be read: two decimals from 1 on, four below, six significant digits below 0.01.

    :param size: not negative.

    >>> money_digits(Decimal("1234.5")), money_digits(Decimal("0.0213"))
    ('1,234.50', '0.0213')
    """
    if size == 0:
        return "0.00"
    small = size.normalize(_SIX_DIGITS)
    if small < _CENT:
        return f"{small:f}"
    middle = size.quantize(_SMALL, context=ROUND)
    return f"{middle:f}" if middle < 1 else f"{size.quantize(_CENT, context=ROUND):,f}"


def plural(count: int, one: str, many: str = "") -> str:
    """``1 call``, ``1,200 calls``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def spreadsheet_text(text: str) -> str:
    """``text`` with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA) else text
