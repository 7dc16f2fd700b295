"""Two states of one model's price: how they differ, and what the one lacks and the other knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from decimal import Decimal

from ..components import components
from .entry import Mode
from .entry import Period
from .entry import PriceEntry
from .entry import Sheet
from .modes import ModeKey
from .modes import mode_name

#: Components that are compared; where one of them differs, the records are not of one price.
COMPARED = ("input", "output", "cache_read_input", "cache_write_input", "cache_write_extended_input")
_TEXT_CACHE = ("cache_read_input", "cache_write_input", "cache_write_extended_input")
#: A batch or flex rate is at least this share of the standard rate, and less than it.
_LEAST_SHARE = Decimal("0.3")
#: So much may input and output differ in their share: published rates are rounded to whole cents.
_UNEVEN = Decimal("1.2")
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)


def sheet_at(entry: PriceEntry, moment: datetime) -> Sheet:
    """What holds at a moment."""
    return [sheet for start, sheet in entry.sheets() if start is None or start <= moment][-1]


def differing(sheet: Sheet, other: Sheet) -> list[str]:
    """The components whose rates differ at every hour: the other record may state the peak rates."""
    found = []
    for hours in (Sheet(), *(window.change for window in sheet.windows or ())):
        mine = sheet.changed_by(hours).rates
        shared = [name for name in COMPARED if name in mine and name in other.rates]
        found.append([name for name in shared if mine[name] != other.rates[name]])
    return min(found, key=len)


def difference(before: Sheet, after: Sheet) -> Sheet:
    """What has to change in ``before`` to get ``after``."""
    tiers = None
    if (before.tiers or ()) != (after.tiers or ()):
        tiers = after.tiers or ()
    modes = {}
    for name, mode in after.modes.items():
        if before.modes.get(name) != mode:
            old = before.modes.get(name)
            dropped = old is not None and bool(old.tiers) and not mode.tiers
            modes[name] = Mode(mode.rates, () if dropped else mode.tiers, mode.multiplier)
    changed = {name: rate for name, rate in after.rates.items() if before.rates.get(name) != rate}
    windows = None if before.windows == after.windows else after.windows
    return Sheet(rates=changed, tiers=tiers, modes=modes, windows=windows)


def completed(entry: PriceEntry, other: Sheet, now: datetime, remarks: list[str], *, say: str) -> PriceEntry:
    """``entry`` with the modes and components that only the other record has, from today's prices on.

    Where the two state another price, and where prices change by the hour, only surcharges and what is not
    counted in tokens are taken over. Rates that are taken over end with the period they were seen in.

    :param remarks: what was left out or decided is told here.
    """
    sheet = sheet_at(entry, now)
    rates = {name: rate for name, rate in other.rates.items() if name not in sheet.rates}
    modes = {name: mode for name, mode in other.modes.items() if name not in sheet.modes}
    if sheet.windows or "input" not in sheet.rates or {"input", "output"} & set(differing(sheet, other)):
        rates = {name: rate for name, rate in rates.items() if components()[name].unit != "token"}
        modes = {name: mode for name, mode in modes.items() if mode.multiplier is not None}
    drop_slips(rates, sheet.rates.get("input"), remarks, say=say)
    modes = plausible_modes(sheet, modes, remarks, say=say)
    lasting = Sheet(
        rates={name: rate for name, rate in rates.items() if components()[name].unit != "token"},
        modes={name: mode for name, mode in modes.items() if mode.multiplier is not None},
    )
    passing = Sheet(
        rates={name: rate for name, rate in rates.items() if name not in lasting.rates},
        modes={name: mode for name, mode in modes.items() if name not in lasting.modes},
    )
    return _with_passing(_with_lasting(entry, lasting, now), passing, now)


def _with_lasting(entry: PriceEntry, change: Sheet, now: datetime) -> PriceEntry:
    """The entry with a change to what is in force, be that the entry itself or its last period."""
    if change == Sheet():
        return entry
    past = [index for index, period in enumerate(entry.periods) if period.start <= now]
    if not past:
        return replace(entry, sheet=entry.sheet.changed_by(change))
    periods = list(entry.periods)
    last = periods[past[-1]]
    periods[past[-1]] = replace(last, change=last.change.changed_by(change))
    return replace(entry, periods=tuple(periods))


def _with_passing(entry: PriceEntry, change: Sheet, now: datetime) -> PriceEntry:
    """The same, but only until the next change that is ahead: nobody said what it does to these rates."""
    ahead = [period.start for period in entry.periods if period.start > now]
    if not ahead or change == Sheet():
        return _with_lasting(entry, change, now)
    past = [period.start for period in entry.periods if period.start <= now]
    period = Period(past[-1] if past else _BEGINNING, min(ahead), change)
    return replace(entry, periods=tuple(sorted((*entry.periods, period), key=lambda item: item.start)))


def drop_slips(rates: dict[str, Decimal], plain: Decimal | None, remarks: list[str], *, say: str) -> None:
    """Leave out a cached read dearer than input, or a cache write cheaper than it: mixed-up columns."""
    if plain is None:
        return
    for name in _TEXT_CACHE:
        rate = rates.get(name, plain)
        if rate > plain if name == "cache_read_input" else rate < plain:
            remarks.append(f"left out, mixed up: {say}: {name} {rate:f}, input {plain:f}")
            del rates[name]


def plausible_modes(
    sheet: Sheet, modes: Mapping[ModeKey, Mode], remarks: list[str], *, say: str
) -> dict[ModeKey, Mode]:
    """The modes whose published rates can be true beside the standard ones.

    A model with tiers needs them in its modes too. Where flex costs what batch costs, its tiers are batch's.
    """
    found: dict[ModeKey, Mode] = {}
    for name, mode in modes.items():
        problem = "" if mode.multiplier is not None else _implausible(sheet, name, mode)
        if problem:
            remarks.append(f"left out, {problem}: {say}: {mode_name(name)}")
            continue
        if mode.multiplier is None and sheet.tiers and mode.tiers is None:
            batch = modes.get(("batch",)) or sheet.modes.get(("batch",))
            if name != ("flex",) or batch is None or not _same_price(mode, batch):
                remarks.append(f"left out, tiers unknown: {say}: {mode_name(name)}")
                continue
            remarks.append(f"decided, tiers of batch, which costs the same: {say}: {mode_name(name)}")
            mode = replace(mode, tiers=batch.tiers)
        found[name] = mode
    return found


def _same_price(mode: Mode, batch: Mode) -> bool:
    return bool(batch.tiers) and all(
        mode.rates.get(name) == batch.rates.get(name) for name in ("input", "output")
    )


def _implausible(sheet: Sheet, name: ModeKey, mode: Mode) -> str:
    """Why the rates of a batch or flex mode must be a slip; empty where they need not be."""
    if name not in (("batch",), ("flex",)):
        return ""
    shares = [
        mode.rates[component] / plain
        for component in ("input", "output")
        if (plain := sheet.rates.get(component)) and component in mode.rates
    ]
    if not shares:
        return ""
    if not all(_LEAST_SHARE <= share < 1 for share in shares):
        return f"{max(shares):.2f} of the standard rate"
    if max(shares) / min(shares) > _UNEVEN:
        return f"input and output at {shares[0]:.2f} and {shares[-1]:.2f} of the standard rates"
    return ""
