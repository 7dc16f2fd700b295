"""Whether two sides agree: a pure comparison of sums, with thresholds and a tolerance that are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN
from decimal import Decimal
from typing import Literal

from ..money import EXACT
from ..wording import money_digits
from ..wording import plain_digits
from .sides import Key
from .sides import Recorded
from .sides import Told

#: A difference that is no more than this, in the currency's unit, is rounding: providers round to cents in
#: places of their own, and the ledger keeps twelve digits.
TOLERANCE = Decimal("0.01")
#: Per cent of the provider's amount.
THRESHOLD = Decimal(5)

State = Literal["agrees", "drift", "only_provider", "only_ours", "unknown", "not_compared"]
_FOUR_DIGITS = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A row drifts where its difference is more than all three.

    :param percent: of the provider's amount.
    :param amount: in the currency's unit.
    :param tolerance: what is taken for rounding; more where the provider's amounts have fewer digits.
    """

    percent: Decimal = THRESHOLD
    amount: Decimal = Decimal(0)
    tolerance: Decimal = TOLERANCE

    def __str__(self) -> str:
        amount = f" more than {money_digits(self.amount)}," if self.amount else ""
        return (
            f"Drift is a difference of more than {plain_digits(self.percent)} % of the bill,{amount} and "
            f"more than rounding explains: {money_digits(self.tolerance)}, or half of the last digit of each "
            "line of the bill."
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One key of a comparison.

    :param provider_amount: ``None`` where the provider tells nothing of it.
    :param our_amount: ``None`` where the ledger has no calls of it, or none of them has a known cost.
    :param difference: ours less theirs.
    :param percent: of theirs; ``None`` where that is nothing.
    :param tolerance: up to which difference this row was taken to agree; ``None`` where it was not judged.
    :param state: ``unknown`` where the bill has nothing of calls of which no cost is known.
    :param lines: how many lines of the provider it is made of.
    :param unknown_calls: calls, or their line items, without a whole known cost: ours is too low by theirs.
    """

    provider: str
    currency: str
    key: Key
    provider_amount: Decimal | None
    our_amount: Decimal | None
    difference: Decimal | None
    percent: Decimal | None
    tolerance: Decimal | None
    state: State
    lines: int = 0
    calls: int = 0
    unknown_calls: int = 0

    @property
    def drifts(self) -> bool:
        """Whether the difference is over the thresholds."""
        return self.state in ("drift", "only_provider", "only_ours")

    @property
    def is_alone(self) -> bool:
        """Whether one of the sides has nothing of it."""
        return not self.lines or not self.calls

    @property
    def size(self) -> Decimal:
        """By how much it matters: the difference without its sign."""
        return abs(self.difference or Decimal(0))


def compared(
    provider: str,
    theirs: Mapping[tuple[str, Key], Told],
    ours: Mapping[Key, Recorded],
    thresholds: Thresholds,
    *,
    currency: str = "USD",
    matchable: bool = True,
) -> list[Row]:
    """A row for each key of either side. Other currencies than the ledger's are told, and never compared.

    :param matchable: whether both sides mean the same by their keys; where not, nothing is judged.
    """
    keys = {key for told_currency, key in theirs if told_currency == currency} | set(ours)
    rows = [
        _row(provider, currency, key, theirs.get((currency, key)), ours.get(key), thresholds, matchable)
        for key in keys
    ]
    rows += [
        Row(provider, other, key, told.amount, None, None, None, None, "not_compared", told.lines)
        for (other, key), told in theirs.items()
        if other != currency
    ]
    return sorted(rows, key=lambda row: (row.currency, tuple(str(value or "") for value in row.key)))


def _row(
    provider: str,
    currency: str,
    key: Key,
    told: Told | None,
    recorded: Recorded | None,
    thresholds: Thresholds,
    matchable: bool,
) -> Row:
    theirs = told.amount if told else Decimal(0)
    ours = recorded.amount if recorded else Decimal(0)
    difference = EXACT.subtract(ours, theirs)
    tolerance = max(thresholds.tolerance, told.rounding if told else Decimal(0))
    percent = percent_of(difference, theirs)
    over = abs(difference) > max(tolerance, thresholds.amount) and (
        percent is None or abs(difference) * 100 > thresholds.percent * abs(theirs)
    )
    is_known = recorded is not None and bool(recorded.amount or not recorded.unknown)
    is_judged = matchable and (is_known or told is not None)
    state: State = "agrees"
    if not is_judged:
        state = "unknown" if matchable else "not_compared"
    elif over:
        state = "only_ours" if told is None else "only_provider" if recorded is None else "drift"
    return Row(
        provider=provider,
        currency=currency,
        key=key,
        provider_amount=None if told is None else theirs,
        our_amount=ours if is_known else None,
        difference=difference if is_judged else None,
        percent=percent if is_judged else None,
        tolerance=tolerance if is_judged else None,
        state=state,
        lines=told.lines if told else 0,
        calls=recorded.calls if recorded else 0,
        unknown_calls=recorded.unknown if recorded else 0,
    )


def percent_of(difference: Decimal, whole: Decimal) -> Decimal | None:
    """``difference`` in per cent of ``whole``, to four digits; ``None`` of nothing."""
    if not whole:
        return None
    exact = EXACT.divide(difference * 100, whole)
    return exact.quantize(_FOUR_DIGITS, rounding=ROUND_HALF_EVEN, context=EXACT)
