"""The dearest rates that a call may meet: for bounds that are known before it is made."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from itertools import combinations

from ..components import components
from ..money import EXACT
from ..money import MONEY_SCALE
from ..money import to_scale
from ..providers import is_size
from .entry import Level
from .entry import PriceEntry
from .entry import RateCard
from .lookup import Match
from .modes import ModeKey

_ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class DearestRates:
    """What one unit of each component costs at most, in USD.

    :param per_unit: by component; empty where the model is free.
    """

    key: str
    free: bool = False
    per_unit: Mapping[str, Decimal] = field(default_factory=dict)

    def of(self, *names: str) -> Decimal | None:
        """The dearest of these components; ``None`` where none of them has a rate."""
        if self.free:
            return Decimal(0)
        return max((self.per_unit[name] for name in names if name in self.per_unit), default=None)


def dearest_rates(
    match: Match, mode: ModeKey, at: datetime, tokens_in: int, discount: Decimal
) -> DearestRates | None:
    """The dearest rate of each component over the modes that may be served and the sizes up to ``tokens_in``.

    :param mode: the one asked for. A provider may serve the standard one instead, or a part of a compound;
        where no size or quality was named, any may be billed.
    :returns: ``None`` where the entry has no rates for the mode that was asked for.
    """
    entry = match.entry
    if entry.free:
        return DearestRates(match.key, free=True)
    if entry.card(mode, at) is None:
        return None
    amounts: dict[str, Decimal] = {}
    for served in _may_be_served(entry, mode):
        card = entry.card(served, at)
        for level in _reachable(card, tokens_in) if card is not None else ():
            for name, rate in level.rates.items():
                amounts[name] = max(rate.amount, amounts.get(name, rate.amount))
    share = EXACT.subtract(_ONE, discount)
    return DearestRates(
        match.key, per_unit={name: _per_unit(name, amount, share) for name, amount in amounts.items()}
    )


def _may_be_served(entry: PriceEntry, mode: ModeKey) -> Iterator[ModeKey]:
    """All parts of a compound; and, for a size that was not named, every size of the entry."""
    for count in range(len(mode) + 1):
        yield from combinations(mode, count)
    if not any(is_size(word) for word in mode):
        yield from (each for each in entry.modes() if each and all(is_size(word) for word in each))


def _reachable(card: RateCard, tokens_in: int) -> Iterator[Level]:
    yield card.levels[0]
    for threshold, level in zip(card.thresholds, card.levels[1:], strict=True):
        if threshold <= tokens_in:
            yield level


def _per_unit(name: str, amount: Decimal, share: Decimal) -> Decimal:
    """As a bill applies a discount: the rate is rounded, not the cost."""
    if share != _ONE:
        amount = to_scale(EXACT.multiply(amount, share), MONEY_SCALE)
    return EXACT.divide(amount, Decimal(components()[name].rate_basis.divisor))
