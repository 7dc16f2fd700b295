"""How exact money and quantities are: the scales that pricing rounds to and the ledger stores."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN
from decimal import Context
from decimal import Decimal

#: Digits behind the point of a stored amount: a rate with six decimals per million tokens is exact.
MONEY_SCALE = 12
#: Digits behind the point of a stored quantity (seconds / 60 is the only one that needs them).
QUANTITY_SCALE = 6
#: One call's cost must stay below this, in USD, so that NUMERIC(24, 12) and SQLite's 64-bit sums hold it.
MONEY_LIMIT = Decimal(1_000_000)
#: No quantity of one call can mean more than this; it also keeps sums inside BIGINT.
QUANTITY_LIMIT = 10**12

#: Arithmetic before rounding: far more digits than a rate times a quantity can have.
EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


def to_scale(value: Decimal, scale: int) -> Decimal:
    """``value`` with exactly ``scale`` digits behind the point, ties to even."""
    return value.quantize(Decimal(1).scaleb(-scale), context=EXACT)
