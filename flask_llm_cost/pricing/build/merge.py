"""Two tables into one: the first source's record stands, the second confirms, completes or fills a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from decimal import Decimal

from ...components import components
from ..entry import Mode
from ..entry import PriceEntry
from ..entry import Sheet
from ..lookup import spellings
from ..modes import ModeKey
from ..modes import mode_name
from ..published.genai import GenaiTable

#: Providers whose models are bundled even where only the second source has them.
GAPS_FILLED_FOR = frozenset(
    [
        "anthropic",
        "cohere",
        "deepseek",
        "google",
        "groq",
        "minimax",
        "mistral",
        "moonshot",
        "openai",
        "voyage",
        "xai",
        "zai",
    ]
)
#: Components that are compared and said to disagree; the others are completed in silence.
_COMPARED = ("input", "output", "cache_read_input", "cache_write_input", "cache_write_extended_input")
_TEXT_CACHE = ("cache_read_input", "cache_write_input", "cache_write_extended_input")
#: What the providers' pages say and neither table can: web fetches cost only their tokens.
_BY_HAND: Mapping[str, Mapping[str, Decimal]] = {"anthropic": {"web_fetch_request": Decimal(0)}}


@dataclass(slots=True)
class Merged:
    """The table to bundle, and what a maintainer should look at."""

    entries: dict[str, PriceEntry]
    disagreements: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    agreed: int = 0


def merge(first: GenaiTable, second: Mapping[str, PriceEntry]) -> Merged:
    """One entry per model, with its provenance."""
    now = datetime.fromisoformat(first.generated_at).replace(tzinfo=UTC)
    merged = Merged(dict(first.entries), remarks=list(first.remarks))
    names = {alias: key for key, entry in first.entries.items() for alias in (key, *entry.aliases)}
    for key, row in second.items():
        known = _known_as(names, key)
        loose = _loosely_known_as(first, key)
        if known is not None:
            _confirm(merged, known, row, now, say=key)
        elif loose is not None and _agrees(merged.entries[loose], row, now):
            _add_alias(merged, loose, key)
            _confirm(merged, loose, row, now, say=key)
        else:
            _fill_gap(merged, key, row, loose)
    _name_free_models(first, merged)
    for key, entry in merged.entries.items():
        merged.entries[key] = _completed_by_hand(key, entry)
    return merged


def _name_free_models(first: GenaiTable, merged: Merged) -> None:
    """Names of models that cost nothing: the second source has no price to compare there."""
    for provider, matches in sorted(first.matches.items()):
        for model, key in sorted(matches.items()):
            name = f"{provider}/{model}"
            entry = merged.entries[key]
            if entry.free and name != key and name not in merged.entries and name not in entry.aliases:
                _add_alias(merged, key, name)


def _known_as(names: Mapping[str, str], key: str) -> str | None:
    """The first source's key of this very name, found as a lookup finds it."""
    provider, _, model = key.partition("/")
    for _, name in spellings(provider, model):
        found = names.get(f"{provider}/{name}")
        if found is not None:
            return found
    return None


def _loosely_known_as(first: GenaiTable, key: str) -> str | None:
    """The record that the first source's own, looser rules give this name."""
    provider, _, model = key.partition("/")
    return first.matches.get(provider, {}).get(model)


def _sheet_at(entry: PriceEntry, now: datetime) -> Sheet:
    return [sheet for start, sheet in entry.sheets() if start is None or start <= now][-1]


def _agrees(entry: PriceEntry, row: PriceEntry, now: datetime) -> bool:
    rates = _sheet_at(entry, now).rates
    return all(rates.get(name) == row.sheet.rates.get(name) for name in ("input", "output"))


def _confirm(merged: Merged, key: str, row: PriceEntry, now: datetime, *, say: str) -> None:
    """Compare, and where the plain rates agree, take over what the record lacks."""
    entry = merged.entries[key]
    mine, other = _sheet_at(entry, now).rates, row.sheet.rates
    differing = _differing(_sheet_at(entry, now), row.sheet)
    for name in differing:
        merged.disagreements.append(f"{say}: {name}: {mine[name]:f} kept, litellm {other[name]:f}")
    if "input" not in mine or any(name in ("input", "output") for name in differing):
        return
    if not differing:
        merged.agreed += 1
    completed, added = _completed(merged, entry, row.sheet, now, say=say)
    provenance = dict(completed.provenance)
    if not differing and provenance.get("confidence") == "single":
        provenance["confidence"] = "agreed"
    if added:
        provenance["source"] = "genai-prices+litellm"
    merged.entries[key] = replace(completed, provenance=provenance)


def _differing(sheet: Sheet, other: Sheet) -> list[str]:
    """The components whose rates differ at every hour: the other source may state the peak rates."""
    found = []
    for hours in (Sheet(), *(window.change for window in sheet.windows or ())):
        mine = sheet.changed_by(hours).rates
        shared = [name for name in _COMPARED if name in mine and name in other.rates]
        found.append([name for name in shared if mine[name] != other.rates[name]])
    return min(found, key=len)


def _completed(
    merged: Merged, entry: PriceEntry, other: Sheet, now: datetime, *, say: str
) -> tuple[PriceEntry, bool]:
    """``entry`` with the modes and components that only the other source has, from today's prices on.

    Where rates change by the hour or soon, only surcharges are taken over: they follow the rates.
    """
    sheet = _sheet_at(entry, now)
    rates = {name: rate for name, rate in other.rates.items() if name not in sheet.rates}
    modes = {name: mode for name, mode in other.modes.items() if name not in sheet.modes}
    if sheet.windows or any(period.start > now for period in entry.periods):
        rates = {name: rate for name, rate in rates.items() if components()[name].unit != "token"}
        modes = {name: mode for name, mode in modes.items() if mode.multiplier is not None}
    _drop_slips(merged, rates, sheet.rates["input"], say)
    modes = {name: mode for name, mode in modes.items() if _is_plausible(merged, sheet, name, mode, say)}
    if not rates and not modes:
        return entry, False
    return _with_change(entry, Sheet(rates=rates, modes=modes), now), True


def _with_change(entry: PriceEntry, change: Sheet, now: datetime) -> PriceEntry:
    """The entry with a change to what is in force, be that the entry itself or its last period."""
    past = [index for index, period in enumerate(entry.periods) if period.start <= now]
    if not past:
        return replace(entry, sheet=entry.sheet.changed_by(change))
    periods = list(entry.periods)
    last = periods[past[-1]]
    periods[past[-1]] = replace(last, change=last.change.changed_by(change))
    return replace(entry, periods=tuple(periods))


def _drop_slips(merged: Merged, rates: dict[str, Decimal], plain: Decimal, say: str) -> None:
    """Leave out a cached read dearer than input, or a cache write cheaper than it: mixed-up columns."""
    for name in _TEXT_CACHE:
        rate = rates.get(name, plain)
        if rate > plain if name == "cache_read_input" else rate < plain:
            merged.remarks.append(f"left out, mixed up: {say}: {name} {rate:f}, input {plain:f}")
            del rates[name]


def _is_plausible(merged: Merged, sheet: Sheet, name: ModeKey, mode: Mode, say: str) -> bool:
    """Half price for batch and flex; a row that says otherwise is one of the source's known slips."""
    if mode.multiplier is not None:
        return True
    if sheet.tiers and mode.tiers is None:
        merged.remarks.append(f"left out, tiers unknown: {say}: {mode_name(name)}")
        return False
    for component in ("input", "output"):
        plain, own = sheet.rates.get(component), mode.rates.get(component)
        if name in (("batch",), ("flex",)) and plain and own is not None and own * 2 != plain:
            merged.remarks.append(f"left out, not half price: {say}: {mode_name(name)} {component} {own:f}")
            return False
    return True


def _add_alias(merged: Merged, key: str, alias: str) -> None:
    entry = merged.entries[key]
    merged.entries[key] = replace(entry, aliases=(*entry.aliases, alias))


def _fill_gap(merged: Merged, key: str, row: PriceEntry, loose: str | None) -> None:
    if key.partition("/")[0] not in GAPS_FILLED_FOR:
        return
    modes = {
        name: mode
        for name, mode in row.sheet.modes.items()
        if _is_plausible(merged, row.sheet, name, mode, key)
    }
    rates = dict(row.sheet.rates)
    if "input" in rates:
        _drop_slips(merged, rates, rates["input"], key)
    if loose is not None:
        merged.disagreements.append(f"{key}: a record of its own, genai-prices takes it for {loose}")
    merged.entries[key] = replace(row, sheet=replace(row.sheet, rates=rates, modes=modes))


def _completed_by_hand(key: str, entry: PriceEntry) -> PriceEntry:
    extra = _BY_HAND.get(key.partition("/")[0], {})
    missing = {name: rate for name, rate in extra.items() if name not in entry.sheet.rates}
    if not missing or entry.free or "web_search_request" not in entry.sheet.rates:
        return entry
    return replace(entry, sheet=replace(entry.sheet, rates={**entry.sheet.rates, **missing}))
