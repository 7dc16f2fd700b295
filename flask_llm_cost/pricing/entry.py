"""One price entry as values, and the rates it gives for a moment, a mode and a size of input.

A *sheet* is what applies at one moment: rates, tiers and modes. A *card* is one mode of a sheet, worked
out to one table of rates per tier, so that a call costs a dictionary look-up per component.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from ..components import components
from ..money import EXACT
from ..money import MONEY_SCALE
from ..money import to_scale
from ..providers import is_size
from ..wording import plain_digits
from .modes import ModeKey

Rates = Mapping[str, Decimal]

#: The part of a mode that says that a call was bound to a region.
REGIONAL = "data_residency"


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates of a call whose total input is over a threshold: all of the call, not the part above."""

    over: int
    inclusive: bool
    rates: Rates

    @property
    def least(self) -> int:
        """The smallest total input that is billed by this tier."""
        return self.over if self.inclusive else self.over + 1


@dataclass(frozen=True, slots=True)
class Mode:
    """Rates of a pricing mode, or a multiplier on the token rates of whatever it is combined with.

    Without ``tiers`` (``None``) its rates stand whatever the size.
    """

    rates: Rates
    tiers: tuple[Tier, ...] | None = None
    multiplier: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Rates for an interval of each day in UTC, such as DeepSeek's peak hours. Minutes since midnight.

    An ``end`` at or before ``start`` is on the next day. ``days``: 0 is Monday.
    """

    start: int
    end: int
    days: frozenset[int]
    change: Sheet

    def holds(self, moment: datetime) -> bool:
        """Whether ``moment``, in UTC, lies in the interval."""
        minute = moment.hour * 60 + moment.minute
        if moment.weekday() not in self.days:
            return False
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


@dataclass(frozen=True, slots=True)
class Sheet:
    """What applies at one moment. In a period or a window ``None`` and missing keys mean "as before"."""

    rates: Rates = field(default_factory=dict)
    tiers: tuple[Tier, ...] | None = None
    modes: Mapping[ModeKey, Mode] = field(default_factory=dict)
    windows: tuple[Window, ...] | None = None

    def changed_by(self, change: Sheet) -> Sheet:
        """This sheet with everything that ``change`` names put in its place."""
        modes = dict(self.modes)
        for name, mode in change.modes.items():
            modes[name] = _changed_mode(modes.get(name), mode)
        return Sheet(
            rates={**self.rates, **change.rates},
            tiers=self.tiers if change.tiers is None else change.tiers,
            modes=modes,
            windows=self.windows if change.windows is None else change.windows,
        )


def _changed_mode(before: Mode | None, change: Mode) -> Mode:
    if before is None or change.multiplier is not None:
        return change
    tiers = before.tiers if change.tiers is None else change.tiers
    return Mode(rates={**before.rates, **change.rates}, tiers=tiers)


@dataclass(frozen=True, slots=True)
class Period:
    """A dated change: it holds from ``start`` on, until ``end`` where there is one."""

    start: datetime
    end: datetime | None
    change: Sheet


@dataclass(frozen=True, slots=True)
class Rate:
    """What one component costs: ``amount`` per rate basis, ``per_unit`` for one.

    ``lent_by`` names the component whose rate this is, where the entry has none of the component's own.
    """

    amount: Decimal
    per_unit: Decimal
    text: str
    lent_by: str | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """The rates of one size of input; ``over`` is the threshold that was passed, ``None`` below all."""

    over: int | None
    rates: Mapping[str, Rate]


@dataclass(frozen=True, slots=True)
class RateCard:
    """One mode at one moment: a level for each tier, found by total input."""

    thresholds: tuple[int, ...]
    levels: tuple[Level, ...]

    def level(self, tokens_in: int) -> Level:
        """The level of a call with ``tokens_in`` tokens of input, cached ones included."""
        if not self.thresholds:
            return self.levels[0]
        return self.levels[bisect_right(self.thresholds, tokens_in)]


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """How many tokens a model takes in and gives out at most in one turn; ``None`` where nobody said so."""

    max_input_tokens: int | None = None
    max_output_tokens: int | None = None

    def __or__(self, other: ModelLimits) -> ModelLimits:
        """These limits, completed by others."""
        return ModelLimits(
            self.max_input_tokens or other.max_input_tokens, self.max_output_tokens or other.max_output_tokens
        )


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """One record of a price table.

    :param key: as the table has it: ``provider/model``, or a bare model name.
    :param same_as: the key of the record that holds the prices, where this one only gives it another name.
    :param limits: of no matter for a price; they bound a call that is not made yet.
    """

    key: str
    sheet: Sheet = field(default_factory=Sheet)
    periods: tuple[Period, ...] = ()
    aliases: tuple[str, ...] = ()
    free: bool = False
    same_as: str | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    limits: ModelLimits = ModelLimits()
    _starts: list[datetime] = field(init=False, repr=False, compare=False)
    _sheets: list[Sheet] = field(init=False, repr=False, compare=False)
    _sized: list[bool] = field(init=False, repr=False, compare=False)
    _cards: dict[tuple[int, tuple[int, ...], ModeKey], RateCard] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        edges = sorted({edge for item in self.periods for edge in (item.start, item.end) if edge is not None})
        sheets = [self.sheet, *(self._merged(edge) for edge in edges)]
        object.__setattr__(self, "_starts", edges)
        object.__setattr__(self, "_sheets", sheets)
        object.__setattr__(self, "_sized", [_names_sizes(sheet) for sheet in sheets])

    def _merged(self, moment: datetime) -> Sheet:
        sheet = self.sheet
        for period in self.periods:
            if period.start <= moment and (period.end is None or moment < period.end):
                sheet = sheet.changed_by(period.change)
        return sheet

    def card(self, mode: ModeKey, at: datetime) -> RateCard | None:
        """The rates of a mode at a moment; ``None`` where the entry does not know the mode."""
        segment = bisect_right(self._starts, at) if self._starts else 0
        sheet = self._sheets[segment]
        if mode and not self._sized[segment]:
            mode = _without_sizes(mode)
        open_windows: tuple[int, ...] = ()
        if sheet.windows:
            moment = at.astimezone(UTC)
            open_windows = tuple(i for i, window in enumerate(sheet.windows) if window.holds(moment))
        place = (segment, open_windows, mode)
        card = self._cards.get(place)
        if card is None:
            for index in open_windows:
                sheet = sheet.changed_by((sheet.windows or ())[index].change)
            card = make_card(sheet, mode)
            # Unknown modes are not kept: their names come from outside and have no end.
            if card is not None:
                self._cards[place] = card
        return card

    def modes(self) -> tuple[ModeKey, ...]:
        """Every mode that the entry names, at any time."""
        return tuple(sorted({name for sheet in self._sheets for name in sheet.modes}))

    def sheets(self) -> tuple[tuple[datetime | None, Sheet], ...]:
        """What applies from when on; ``None`` is the beginning of time."""
        return tuple(zip([None, *self._starts], self._sheets, strict=True))


def make_card(sheet: Sheet, mode: ModeKey) -> RateCard | None:
    """Work one mode of a sheet out to a table of rates per tier; ``None`` for a mode the sheet cannot tell.

    A compound that is not listed is a listed mode times the multipliers that are: ``batch_data_residency`` is
    ``batch`` times ``data_residency``.
    """
    resolved = _resolve_mode(sheet, mode)
    if resolved is None:
        return None
    own, factor = resolved
    tiers = [*(sheet.tiers or ()), *(own.tiers or ())]
    thresholds = sorted({tier.least for tier in tiers})
    over_by_least = {tier.least: tier.over for tier in tiers}
    levels = [Level(over_by_least.get(size), _rates(sheet, own, factor, size)) for size in (0, *thresholds)]
    return RateCard(tuple(thresholds), tuple(levels))


def _names_sizes(sheet: Sheet) -> bool:
    """Whether the sheet has a rate for some size or quality: then it has to name the one that was used."""
    return any(is_size(word) for name in sheet.modes for word in name)


@lru_cache(maxsize=256)
def _without_sizes(mode: ModeKey) -> ModeKey:
    """The mode where all sizes and qualities have one rate."""
    return tuple(word for word in mode if not is_size(word))


_STANDARD = Mode(rates={}, tiers=None)
_ONE = Decimal(1)


def _resolve_mode(sheet: Sheet, mode: ModeKey) -> tuple[Mode, Decimal] | None:
    if not mode:
        return _STANDARD, _ONE
    listed = sheet.modes.get(mode)
    if listed is not None and listed.multiplier is None:
        return listed, _ONE
    factor = _ONE
    rest = set(mode)
    for name, candidate in sheet.modes.items():
        if candidate.multiplier is not None and rest.issuperset(name):
            rest.difference_update(name)
            factor = EXACT.multiply(factor, candidate.multiplier)
    if not any(REGIONAL in name for name in sheet.modes):
        # Where a call is processed is no mode of its own: a record without a surcharge for it has none.
        rest.discard(REGIONAL)
    remaining = tuple(sorted(rest))
    own = _STANDARD if not remaining else sheet.modes.get(remaining)
    if own is None or own.multiplier is not None:
        return None
    return own, factor


def _rates(sheet: Sheet, own: Mode, factor: Decimal, tokens_in: int) -> dict[str, Rate]:
    """The rates at one size: mode's tier, mode, entry's tier, entry, then the component it is part of."""
    merged: dict[str, Decimal] = dict(sheet.rates)
    for rates in (_tier_rates(sheet.tiers, tokens_in), own.rates, _tier_rates(own.tiers, tokens_in)):
        merged.update(rates)
    found: dict[str, Rate] = {}
    for component in components().values():
        for name in _lenders(component.name):
            if name in merged:
                counts_tokens = component.unit == "token"
                amount = to_scale(
                    EXACT.multiply(merged[name], factor) if counts_tokens else merged[name], MONEY_SCALE
                )
                lent_by = None if name == component.name else name
                found[component.name] = rate_of(amount, component.rate_basis.divisor, lent_by)
                break
    return found


def rate_of(amount: Decimal, divisor: int, lent_by: str | None = None) -> Rate:
    """``amount`` per ``divisor`` units as a rate, its text in plain digits."""
    return Rate(amount, EXACT.divide(amount, Decimal(divisor)), plain_digits(amount), lent_by)


def _lenders(component: str) -> Iterator[str]:
    """The component, then the one it is part of, and so on."""
    name: str | None = component
    while name is not None:
        yield name
        name = components()[name].part_of


def _tier_rates(tiers: tuple[Tier, ...] | None, tokens_in: int) -> Rates:
    passed = [tier for tier in tiers or () if tokens_in >= tier.least]
    return max(passed, key=lambda tier: tier.least).rates if passed else {}
