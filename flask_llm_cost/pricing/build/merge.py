"""Two tables into one: the first source's record stands, the second confirms, completes or fills a gap."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import UTC
from datetime import date
from datetime import datetime
from decimal import Decimal

from ..completion import completed
from ..completion import differing
from ..completion import drop_slips
from ..completion import plausible_modes
from ..completion import sheet_at
from ..entry import Mode
from ..entry import ModelLimits
from ..entry import PriceEntry
from ..entry import Sheet
from ..lookup import spellings
from ..modes import ModeKey
from ..names import SELLS_AT_LIST_PRICE
from ..names import without_date
from ..published.genai import GenaiTable
from .decisions import completed_by_hand
from .decisions import decide

#: Providers whose models are bundled even where only the second source has them.
GAPS_FILLED_FOR = frozenset(
    [
        "anthropic",
        "azure",
        "bedrock",
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
_HOSTS = frozenset(["azure", "bedrock"])


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A rate that the two sources state differently, and what was decided."""

    key: str
    rate: str
    first: Decimal | None
    second: Decimal | None
    decision: str


@dataclass(slots=True)
class Merged:
    """The table to bundle, and what a maintainer should look at."""

    entries: dict[str, PriceEntry]
    disagreements: list[Disagreement] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    agreed: int = 0


@dataclass(frozen=True, slots=True)
class Second:
    """What the second source says.

    :param retired: the day on which a name was retired, by key.
    :param regional: what regional endpoints of Vertex AI cost over the global one, by model.
    """

    entries: Mapping[str, PriceEntry]
    retired: Mapping[str, date] = field(default_factory=dict)
    regional: Mapping[str, Decimal] = field(default_factory=dict)


def merge(first: GenaiTable, second: Second) -> Merged:
    """One entry per model, with its provenance."""
    now = datetime.fromisoformat(first.generated_at).replace(tzinfo=UTC)
    merged = Merged(dict(first.entries), remarks=list(first.remarks))
    names = {alias: key for key, entry in first.entries.items() for alias in (key, *entry.aliases)}
    disputed: list[tuple[str, str]] = []
    for key, row in second.entries.items():
        known = _known_as(names, key)
        loose = _loosely_known_as(first, key)
        if known is not None:
            _confirm(merged, known, row, now, say=key)
            _take_limits(merged, known, row)
            disputed.append((key, known))
        elif loose is not None and _agrees(merged.entries[loose], row, now):
            _add_alias(merged, loose, key)
            _confirm(merged, loose, row, now, say=key)
            _take_limits(merged, loose, row)
        elif _is_wanted(key, row, second, now):
            _fill_gap(merged, key, row, loose)
    _settle(merged, disputed, second, now)
    _name_free_models(first, merged)
    for key, entry in merged.entries.items():
        full = _with_regional(entry, second.regional.get(key.partition("/")[2]))
        merged.entries[key] = completed_by_hand(key, full)
    return merged


def _settle(merged: Merged, disputed: Sequence[tuple[str, str]], second: Second, now: datetime) -> None:
    """Decide where the sources disagree, and note all of it for the report."""
    agreed = {
        key: entry for key, entry in merged.entries.items() if entry.provenance["confidence"] == "agreed"
    }
    # The name of a record first: its aliases follow what is decided for it.
    for key, known in sorted(disputed, key=lambda names: names[0] != names[1]):
        entry, row = merged.entries[known], second.entries[key]
        different = differing(sheet_at(entry, now), row.sheet)
        decision = decide(key, entry, row, agreed, second.retired, now)
        words = decision.words if decision else "kept"
        rates = sheet_at(entry, now).rates
        merged.disagreements += [
            Disagreement(key, name, rates[name], row.sheet.rates[name], words) for name in different
        ]
        if decision and decision.entry != entry:
            _replace_name(merged, key, known, decision.entry)


def _replace_name(merged: Merged, key: str, known: str, decided: PriceEntry) -> None:
    """Give a name the record that was decided on, be it a record's own name or an alias of another."""
    if key == known or decided.key == known:
        aliases = merged.entries[known].aliases
        merged.entries[known] = replace(decided, aliases=aliases)
        return
    other = merged.entries[known]
    merged.entries[known] = replace(other, aliases=tuple(name for name in other.aliases if name != key))
    merged.entries[key] = decided


def _with_regional(entry: PriceEntry, factor: Decimal | None) -> PriceEntry:
    """The record with the surcharge of regional endpoints, where it has none yet."""
    provider = entry.key.partition("/")[0]
    if factor is None or provider not in ("google", "anthropic") or entry.free:
        return entry
    if any(("data_residency",) in sheet.modes for _, sheet in entry.sheets()):
        return entry
    modes: dict[ModeKey, Mode] = {("data_residency",): Mode(rates={}, multiplier=factor)}
    return replace(entry, sheet=entry.sheet.changed_by(Sheet(modes=modes)))


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


def _agrees(entry: PriceEntry, row: PriceEntry, now: datetime) -> bool:
    rates = sheet_at(entry, now).rates
    return all(rates.get(name) == row.sheet.rates.get(name) for name in ("input", "output"))


def _confirm(merged: Merged, key: str, row: PriceEntry, now: datetime, *, say: str) -> None:
    """Where the plain rates agree, note it and take over what the record lacks."""
    entry = merged.entries[key]
    different = differing(sheet_at(entry, now), row.sheet)
    if "input" not in sheet_at(entry, now).rates or {"input", "output"} & set(different):
        return
    if not different:
        merged.agreed += 1
    full = completed(entry, row.sheet, now, merged.remarks, say=say)
    provenance = dict(full.provenance)
    if not different and provenance.get("confidence") == "single":
        provenance["confidence"] = "agreed"
    if full != entry:
        provenance["source"] = "genai-prices+litellm"
    merged.entries[key] = replace(full, provenance=provenance)


def _take_limits(merged: Merged, key: str, row: PriceEntry) -> None:
    """Only the second source has limits. Of several names of one record the largest ones stand."""
    entry, told = merged.entries[key], row.limits
    limits = ModelLimits(
        max(entry.limits.max_input_tokens or 0, told.max_input_tokens or 0) or None,
        max(entry.limits.max_output_tokens or 0, told.max_output_tokens or 0) or None,
    )
    merged.entries[key] = replace(entry, limits=limits)


def _add_alias(merged: Merged, key: str, alias: str) -> None:
    entry = merged.entries[key]
    merged.entries[key] = replace(entry, aliases=(*entry.aliases, alias))


def _fill_gap(merged: Merged, key: str, row: PriceEntry, loose: str | None) -> None:
    """Take a record that only the second source has, unless a lookup finds the same price without it."""
    provider, _, model = key.partition("/")
    if provider not in GAPS_FILLED_FOR:
        return
    modes = plausible_modes(row.sheet, row.sheet.modes, merged.remarks, say=key)
    rates = dict(row.sheet.rates)
    drop_slips(rates, rates.get("input"), merged.remarks, say=key)
    entry = replace(row, sheet=replace(row.sheet, rates=rates, modes=modes))
    if model.startswith("us/") and f"{provider}/eu/{model[3:]}" in merged.entries:
        twin = f"{provider}/eu/{model[3:]}"
        if merged.entries[twin].sheet == entry.sheet:
            _add_alias(merged, twin, key)
            return
    for seller in (provider, *SELLS_AT_LIST_PRICE.get(provider, ())):
        for _, name in spellings(seller, model):
            found = merged.entries.get(f"{seller}/{name}")
            # What is sold at another's list price follows that price, also where an app overrides it.
            if found is not None and (seller != provider or _is_included(entry.sheet, found.sheet)):
                return
    if loose is not None:
        merged.disagreements.append(
            Disagreement(key, "all", None, None, f"a record of its own; genai-prices takes it for {loose}")
        )
    merged.entries[key] = entry


def _is_wanted(key: str, row: PriceEntry, second: Second, now: datetime) -> bool:
    """Whether a record of the second source alone is a model that is sold under this name only.

    Hosts of other providers' models list each of them many times over; there the retired ones are left out.
    """
    provider, _, model = key.partition("/")
    undated = without_date(key)
    if provider == "bedrock" and "." not in model:
        return False  # an id of Bedrock's names the maker of the model
    twin = second.entries.get(undated) if undated is not None else None
    if twin is not None and twin.sheet == row.sheet:
        return False
    day = second.retired.get(key)
    return provider not in _HOSTS or day is None or day > now.date()


def _is_included(sheet: Sheet, other: Sheet) -> bool:
    """Whether another record says all of what this one does."""
    return (
        dict(sheet.rates).items() <= dict(other.rates).items()
        and (sheet.tiers or ()) == (other.tiers or ())
        and all(other.modes.get(name) == mode for name, mode in sheet.modes.items())
    )
