"""Quantities times rates. Every line is rounded once, to the scale of stored money; sums are exact."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache

from ..components import RateBasis
from ..components import components
from ..events import CostStatus
from ..events import PricedItem
from ..money import EXACT
from ..money import MONEY_LIMIT
from ..money import MONEY_SCALE
from ..money import QUANTITY_SCALE
from ..money import to_scale
from ..usage import Usage
from .entry import Level
from .entry import Rate
from .entry import rate_of
from .lookup import Match
from .modes import BILLED_AS_STANDARD
from .modes import ModeKey

_ZERO = Decimal(0)
_ONE = Decimal(1)
_SIXTY = Decimal(60)
#: Six digits of a minute tell a ten-thousandth of a second.
_SECOND_SCALE = 4


@dataclass(frozen=True, slots=True)
class Bill:
    """What one usage costs at one model's rates.

    :param told: whether there was anything to bill; without it nothing is known about the cost.
    :param level: the rates that were asked for their price; ``None`` where no entry or mode matched.
    """

    model: str
    match: Match | None
    level: Level | None
    mode: ModeKey
    items: tuple[PricedItem, ...]
    told: bool

    @property
    def mode_is_unknown(self) -> bool:
        """Whether the entry exists but has no rates for the mode."""
        return self.match is not None and self.level is None and not self.match.entry.free


@dataclass(frozen=True, slots=True)
class Terms:
    """What a bill is drawn up under, apart from the quantities."""

    provider: str
    mode: ModeKey
    at: datetime
    discount: Decimal
    provider_fields: Mapping[str, str]


def draw_up(model: str, match: Match | None, usage: Usage | None, terms: Terms) -> Bill:
    """Price one usage."""
    level = None
    free = match is not None and match.entry.free
    if match is not None and not free:
        level = find_level(match, terms, usage)
    quantities = usage.quantities() if usage is not None else {}
    rates = level.rates if level is not None else {}
    items = [
        _line(name, quantity, _FREE if free else rates.get(name), terms)
        for name, quantity in quantities.items()
        if quantity
    ]
    return Bill(model, match, level, terms.mode, tuple(items), free or _is_told(usage, quantities, items))


def find_level(match: Match, terms: Terms, usage: Usage | None) -> Level | None:
    """The rates that hold for this mode, moment and size; ``None`` where the entry cannot tell the mode."""
    card = match.entry.card(terms.mode, terms.at)
    if card is None and (terms.provider, terms.mode) in BILLED_AS_STANDARD:
        card = match.entry.card((), terms.at)
    if card is None:
        return None
    return card.level(usage.tokens_in if card.thresholds and usage else 0)


def _is_told(usage: Usage | None, quantities: Mapping[str, Decimal], items: Sequence[PricedItem]) -> bool:
    """Zeros are an answer; silence, or a total without its parts, is none."""
    if usage is None or not quantities:
        return False
    return bool(items) or not usage.total_tokens


_FREE = rate_of(_ZERO, 1)
_QUANTUM = to_scale(_ZERO, MONEY_SCALE)


def _stored(amount: Decimal) -> Decimal:
    """``amount`` at the scale of stored money."""
    return amount.quantize(_QUANTUM, context=EXACT)


@cache
def _plain_bases() -> Mapping[str, str]:
    """Rate bases as plain text, because asking an enumeration's member each time is slow."""
    return {name: component.rate_basis.value for name, component in components().items()}


def _line(name: str, quantity: Decimal, rate: Rate | None, terms: Terms) -> PricedItem:
    component = components()[name]
    if component.usage is None:
        # What the ledger can store, so that a line that is priced again from there costs the same.
        quantity = to_scale(quantity, QUANTITY_SCALE)
    amount: Decimal | None = None
    cost: Decimal | None = None
    status: CostStatus = "unknown"
    if rate is not None:
        amount, per_unit = rate.amount, rate.per_unit
        if terms.discount:
            amount = discounted(amount, terms.discount)
            per_unit = EXACT.divide(amount, Decimal(component.rate_basis.divisor))
        billed = _exact_minutes(quantity) if component.unit == "minute" else quantity
        cost = _stored(EXACT.multiply(billed, per_unit))
        status = "complete" if cost else "free"
    fields = terms.provider_fields
    return PricedItem(
        component=name,
        quantity=quantity,
        unit=component.unit,
        rate=amount,
        rate_basis=_plain_bases()[name],
        cost=cost,
        cost_status=status,
        provider_field=(fields.get(name) or fields.get(component.usage or "")) if fields else None,
    )


def discounted(rate: Decimal, discount: Decimal) -> Decimal:
    """A rate with a share taken off, as it is stored."""
    return to_scale(EXACT.multiply(rate, EXACT.subtract(_ONE, discount)), MONEY_SCALE) if discount else rate


def line_cost(quantity: Decimal, unit: str, rate: Decimal, rate_basis: str) -> Decimal:
    """What a line costs by what is stored of it."""
    billed = _exact_minutes(quantity) if unit == "minute" else quantity
    per_unit = EXACT.divide(rate, Decimal(RateBasis(rate_basis).divisor))
    return _stored(EXACT.multiply(billed, per_unit))


def _exact_minutes(minutes: Decimal) -> Decimal:
    """Minutes whose digits have no end, such as a sixth, out of the six that are stored: recordings are
    measured in seconds, of which no provider tells more than four digits behind the point.
    """
    return EXACT.divide(to_scale(EXACT.multiply(minutes, _SIXTY), _SECOND_SCALE), _SIXTY)


@dataclass(frozen=True, slots=True)
class Sum:
    """Bills added up."""

    total: Decimal | None
    items: tuple[PricedItem, ...]
    status: CostStatus


def add_up(bills: Sequence[Bill]) -> Sum:
    """The exact sum of all lines, and whether it is all there is.

    A known part of zero beside an unknown one is not a cost of zero: the whole is unknown then.
    """
    items = bills[0].items if len(bills) == 1 else tuple(item for bill in bills for item in bill.items)
    total, complete = _ZERO, all(bill.told for bill in bills)
    for item in items:
        if item.cost is None:
            complete = False
        else:
            total = EXACT.add(total, item.cost)
    if total >= MONEY_LIMIT:
        return Sum(None, tuple(without_cost(item) for item in items), "unknown")
    if complete:
        return Sum(_stored(total), items, "complete" if total else "free")
    if total:
        return Sum(_stored(total), items, "partial")
    return Sum(None, items, "unknown")


def without_cost(item: PricedItem) -> PricedItem:
    """The same line with its cost unknown, where a sum cannot be believed."""
    return PricedItem(
        component=item.component,
        quantity=item.quantity,
        unit=item.unit,
        rate=item.rate,
        rate_basis=item.rate_basis,
        cost=None,
        cost_status="unknown",
        provider_field=item.provider_field,
    )


def as_billed(charge: Decimal, provider_field: str | None) -> PricedItem:
    """The one line of a call whose provider told the charge itself; there is no rate behind it."""
    component = components()["request"]
    return PricedItem(
        component=component.name,
        quantity=_ONE,
        unit=component.unit,
        rate=None,
        rate_basis=component.rate_basis.value,
        cost=charge,
        cost_status="complete" if charge else "free",
        provider_field=provider_field,
    )
