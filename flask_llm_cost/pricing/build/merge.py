"""Two tables into one: the first source's record stands, the second confirms, completes or fills a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from decimal import Decimal

from ..completion import completed
from ..completion import differing
from ..completion import drop_slips
from ..completion import plausible_modes
from ..completion import sheet_at
from ..entry import PriceEntry
from ..lookup import spellings
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


def _agrees(entry: PriceEntry, row: PriceEntry, now: datetime) -> bool:
    rates = sheet_at(entry, now).rates
    return all(rates.get(name) == row.sheet.rates.get(name) for name in ("input", "output"))


def _confirm(merged: Merged, key: str, row: PriceEntry, now: datetime, *, say: str) -> None:
    """Compare, and where the plain rates agree, take over what the record lacks."""
    entry = merged.entries[key]
    mine, other = sheet_at(entry, now).rates, row.sheet.rates
    different = differing(sheet_at(entry, now), row.sheet)
    for name in different:
        merged.disagreements.append(f"{say}: {name}: {mine[name]:f} kept, litellm {other[name]:f}")
    if "input" not in mine or {"input", "output"} & set(different):
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


def _add_alias(merged: Merged, key: str, alias: str) -> None:
    entry = merged.entries[key]
    merged.entries[key] = replace(entry, aliases=(*entry.aliases, alias))


def _fill_gap(merged: Merged, key: str, row: PriceEntry, loose: str | None) -> None:
    if key.partition("/")[0] not in GAPS_FILLED_FOR:
        return
    modes = plausible_modes(row.sheet, row.sheet.modes, merged.remarks, say=key)
    rates = dict(row.sheet.rates)
    drop_slips(rates, rates.get("input"), merged.remarks, say=key)
    if loose is not None:
        merged.disagreements.append(f"{key}: a record of its own, genai-prices takes it for {loose}")
    merged.entries[key] = replace(row, sheet=replace(row.sheet, rates=rates, modes=modes))


def _completed_by_hand(key: str, entry: PriceEntry) -> PriceEntry:
    extra = _BY_HAND.get(key.partition("/")[0], {})
    missing = {name: rate for name, rate in extra.items() if name not in entry.sheet.rates}
    if not missing or entry.free or "web_search_request" not in entry.sheet.rates:
        return entry
    return replace(entry, sheet=replace(entry.sheet, rates={**entry.sheet.rates, **missing}))
