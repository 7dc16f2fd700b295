"""One line of a provider's bill as a value, and what tells it apart from every other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Literal
from typing import TypedDict
from typing import Unpack

from ..components import components
from ..money import EXACT
from ..money import MONEY_LIMIT
from ..money import MONEY_SCALE
from ..money import QUANTITY_LIMIT
from ..money import QUANTITY_SCALE
from ..money import to_scale
from .errors import ReconciliationError

#: What a line is: only ``cost`` lines are compared with what calls cost, and ``usage`` lines with quantities.
RowType = Literal["cost", "usage", "credit", "adjustment"]
ROW_TYPES: tuple[RowType, ...] = ("cost", "usage", "credit", "adjustment")

#: How far an amount may be off that was cut to the digits of the ledger.
LEDGER_ROUNDING = Decimal(1).scaleb(-MONEY_SCALE)
#: The component that stands for how many calls were made, in usage lines.
CALLS = "calls"
#: Units of what the ledger does not bill.
_UNITS = {CALLS: "call", "moderation_token": "token", "stored_byte": "byte"}


@dataclass(frozen=True, slots=True)
class Line:
    """What a provider says of one span of time, as far as it tells what it is for.

    :param line_item: in the provider's own words.
    :param component: the same as a component of the ledger, where it is one.
    :param rounding: by how much ``amount`` may be off, as it was written with so many digits.
    """

    row_type: RowType
    bucket_start: datetime
    bucket_end: datetime
    provider_account: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    line_item: str | None = None
    component: str | None = None
    pricing_mode: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    rounding: Decimal | None = None
    quantity: Decimal | None = None
    unit: str | None = None

    def key(self, provider: str, source: str) -> str:
        """The same for the same line of the same source, whenever it is told; 64 characters."""
        parts = (
            provider,
            source,
            self.row_type,
            self.bucket_start.isoformat(),
            self.bucket_end.isoformat(),
            self.provider_account,
            self.api_key_id,
            self.model,
            self.line_item,
            self.component,
            self.pricing_mode,
            self.currency,
            self.unit,
        )
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Purpose(TypedDict, total=False):
    """What a line is for, as far as the provider tells."""

    provider_account: str | None
    api_key_id: str | None
    model: str | None
    line_item: str | None
    pricing_mode: str | None


def cost_line(
    amount: Decimal,
    *,
    where: str,
    bucket: tuple[datetime, datetime],
    currency: str,
    component: str | None = None,
    **told: Unpack[Purpose],
) -> Line:
    """A line of money; what a provider gives back is a credit, and no cost.

    :param where: names the place in the answer, for the error.
    :raises ReconciliationError: more money than the ledger can hold.
    """
    exact = checked_amount(amount, where)
    return Line(
        row_type="cost" if exact >= 0 else "credit",
        bucket_start=bucket[0],
        bucket_end=bucket[1],
        component=component,
        amount=exact,
        rounding=LEDGER_ROUNDING,
        currency=currency.upper(),
        **told,
    )


def usage_line(
    component: str,
    quantity: Decimal,
    *,
    where: str,
    bucket: tuple[datetime, datetime],
    **told: Unpack[Purpose],
) -> Line:
    """A line of a quantity, which costs nothing by itself.

    :raises ReconciliationError: a quantity that makes no sense.
    """
    known = components().get(component)
    return Line(
        row_type="usage",
        bucket_start=bucket[0],
        bucket_end=bucket[1],
        component=component,
        quantity=checked_quantity(quantity, where),
        unit=known.unit if known else _UNITS[component],
        **told,
    )


def checked_amount(amount: Decimal, where: str) -> Decimal:
    """``amount`` at the ledger's scale. :raises ReconciliationError: it cannot be stored."""
    if not amount.is_finite() or abs(amount) >= MONEY_LIMIT:
        raise ReconciliationError(f"{where} is no amount below {MONEY_LIMIT:,}.")
    return to_scale(amount, MONEY_SCALE)


def checked_quantity(quantity: Decimal, where: str) -> Decimal:
    """``quantity`` at the ledger's scale. :raises ReconciliationError: it cannot be stored."""
    if not quantity.is_finite() or not 0 <= quantity < QUANTITY_LIMIT:
        raise ReconciliationError(f"{where} is no quantity from 0 to {QUANTITY_LIMIT:,}.")
    return to_scale(quantity, QUANTITY_SCALE)


def added_up(lines: Iterable[Line]) -> list[Line]:
    """Lines that nothing tells apart become one: providers split by more than we ask for."""
    found: dict[str, Line] = {}
    for line in lines:
        key = line.key("", "")
        known = found.get(key)
        found[key] = line if known is None else _sum(known, line)
    return list(found.values())


def _sum(one: Line, other: Line) -> Line:
    return replace(
        one,
        amount=_added(one.amount, other.amount),
        rounding=_added(one.rounding, other.rounding),
        quantity=_added(one.quantity, other.quantity),
    )


def _added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    if one is None or other is None:
        return one if other is None else other
    return EXACT.add(one, other)
