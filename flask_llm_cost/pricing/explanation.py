"""A price in words: which record matched by which step, each line, what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ..components import RateBasis
from ..events import CostSource
from ..events import CostStatus
from ..events import PricedItem
from ..wording import amount_digits
from ..wording import plain_digits
from .calculate import Bill
from .calculate import Terms
from .calculate import find_level
from .dates import Dated
from .dates import dates_of
from .lookup import STEPS
from .lookup import Lookup
from .modes import mode_name
from .price import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLine:
    """One line item, the model it was billed for, and what is worth a note about its rate."""

    model: str
    component: str
    quantity: Decimal
    unit: str
    rate: Decimal | None
    rate_basis: str
    cost: Decimal | None
    note: str | None = None

    @property
    def arithmetic(self) -> str:
        """The line as it is computed: ``1,200 x 0.25 / 1,000,000 = 0.0003``."""
        told = [f"{amount_digits(self.quantity)} x"]
        divisor = RateBasis(self.rate_basis).divisor
        told.append("unknown" if self.rate is None else plain_digits(self.rate))
        told += [f"/ {divisor:,}"] if divisor > 1 else []
        return f"{' '.join(told)} = {'unknown' if self.cost is None else plain_digits(self.cost)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a call costs what it costs.

    ``rates`` are the list rates in force for this model, mode, moment and size, used or not. ``missing``
    names the used components without a rate, ``nearest`` price keys that look alike where nothing matched,
    ``notes`` are full sentences. ``valid_from`` and ``valid_until`` bound the dated prices that hold at this
    moment, ``time_windows`` are the daily intervals in UTC that it lies in. ``known_modes`` and
    ``thresholds`` (total input tokens from which a tier holds) are what the entry knows of.
    """

    provider: str
    model: str
    mode: str
    at: datetime
    key: str | None = None
    step: str | None = None
    source: str | None = None
    version: str | None = None
    provenance: Mapping[str, str]
    tier: int | None = None
    thresholds: tuple[int, ...] = ()
    known_modes: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    time_windows: tuple[str, ...] = ()
    discount: Decimal
    rates: Mapping[str, str]
    lines: tuple[ExplainedLine, ...] = ()
    total_cost: Decimal | None = None
    cost_status: CostStatus = "unknown"
    cost_source: CostSource | None = None
    missing: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether everything that was used has a price."""
        return self.cost_status in ("complete", "free")


def explain(lookup: Lookup, bills: Sequence[Bill], terms: Terms, price: Price, *, given: str) -> Explanation:
    """Put a price that was computed from ``bills`` into words."""
    main = bills[0]
    match = main.match
    level = main.level
    if level is None and match is not None and not match.entry.free:
        level = find_level(match, terms, None)
    lines = tuple(_line(bill, item) for bill in bills for item in bill.items)
    missing = tuple(dict.fromkeys(line.component for line in lines if line.rate is None))
    nearest = () if match else tuple(lookup.nearest(given, main.model))
    dated = dates_of(match.entry, terms.at) if match else Dated()
    return Explanation(
        provider=terms.provider or "unknown",
        model=main.model,
        mode=mode_name(main.mode),
        at=terms.at,
        key=match.key if match else None,
        step=match.step if match else None,
        source=match.source if match else None,
        version=match.version if match else None,
        provenance=match.entry.provenance if match else {},
        tier=level.over if level else None,
        thresholds=_thresholds(bill=main, terms=terms),
        known_modes=tuple(mode_name(mode) for mode in match.entry.modes()) if match else (),
        valid_from=dated.start,
        valid_until=dated.end,
        time_windows=dated.windows,
        discount=terms.discount,
        rates={name: rate.text for name, rate in level.rates.items()} if level else {},
        lines=lines,
        total_cost=price.total_cost,
        cost_status=price.cost_status,
        cost_source=price.cost_source,
        missing=missing,
        nearest=nearest,
        notes=tuple(_notes(lookup, bills, terms, price, missing, nearest)),
    )


def _line(bill: Bill, item: PricedItem) -> ExplainedLine:
    rate = bill.level.rates.get(item.component) if bill.level else None
    notes = []
    if rate and rate.lent_by:
        notes.append(f"no rate of its own: billed at the {rate.lent_by} rate")
    if rate and item.rate is not None and rate.amount != item.rate:
        notes.append(f"list rate {rate.text}")
    return ExplainedLine(
        model=bill.model,
        component=item.component,
        quantity=item.quantity,
        unit=item.unit,
        rate=item.rate,
        rate_basis=item.rate_basis,
        cost=item.cost,
        note="; ".join(notes) or None,
    )


def _notes(
    lookup: Lookup,
    bills: Sequence[Bill],
    terms: Terms,
    price: Price,
    missing: Sequence[str],
    nearest: Sequence[str],
) -> list[str]:
    notes: list[str] = []
    for bill in bills:
        if bill.match is None:
            notes += _no_match_notes(lookup, bill, terms, nearest)
        else:
            notes += [*_bill_notes(bill), *dates_of(bill.match.entry, terms.at).sentences()]
    if missing:
        notes.append(f"No rate for {', '.join(missing)}: that part of the cost is unknown.")
    if not all(bill.told for bill in bills):
        notes.append("The provider told no usage for this call, so there is nothing to multiply.")
    if terms.discount:
        notes.append(f"A discount of {plain_digits(terms.discount * 100)}% is taken off every rate.")
    if price.cost_source == "provider":
        notes.append("The provider told its own charge, which stands above the computed lines.")
    return list(dict.fromkeys(notes))


def _thresholds(bill: Bill, terms: Terms) -> tuple[int, ...]:
    card = bill.match.entry.card(terms.mode, terms.at) if bill.match else None
    return card.thresholds if card else ()


def _bill_notes(bill: Bill) -> list[str]:
    match = bill.match
    if match is None:
        return []
    steps = ", ".join(STEPS[step] for step in match.step.split("+"))
    notes = [f"{bill.model} is priced by {match.key} ({match.source}, {match.version}): {steps}."]
    if match.entry.free:
        notes.append("The entry says that this model is free.")
    if bill.mode_is_unknown:
        known = ", ".join(mode_name(mode) for mode in match.entry.modes()) or "none"
        notes.append(f"{match.key} has no rates for the mode {mode_name(bill.mode)} (known: {known}).")
    if bill.level is not None and bill.level.over is not None:
        notes.append(f"The whole call is billed by the tier over {bill.level.over} tokens of input.")
    return notes


def _no_match_notes(lookup: Lookup, bill: Bill, terms: Terms, nearest: Sequence[str]) -> list[str]:
    sellers = lookup.sellers(bill.model.strip().lower())
    notes = [f"No price entry for {terms.provider or 'unknown'}/{bill.model}."]
    if len(sellers) > 1 and not terms.provider:
        notes.append(f"Several providers sell it, which one is not known: {', '.join(sellers[:5])}.")
    elif nearest:
        notes.append(f"Nearest names: {', '.join(nearest)}.")
    key = f"{terms.provider}/{bill.model}" if terms.provider else bill.model
    notes.append(f"Add {key!r} to LLM_COST_PRICING_OVERRIDES or to the prices file.")
    return notes
