"""What a refresh would do: the new prices file, the difference, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from datetime import time
from typing import Any

from ...errors import ConfigurationError
from ..completion import completed
from ..completion import difference
from ..completion import differing
from ..completion import sheet_at
from ..entry import Period
from ..entry import PriceEntry
from ..entry import Sheet
from ..lookup import Lookup
from ..lookup import Match
from ..parse import parse_entry
from ..render import entry_body
from ..sanity import broken_rules
from ..sanity import warnings
from ..tables import PriceTable
from .changes import Change
from .changes import alias_changes
from .changes import compare
from .changes import rates_by_path
from .changes import suspicions
from .prices_file import PricesFile
from .prices_file import is_manual
from .source import PriceList


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of holding a price list against what is in force.

    :param bodies: the entries of the new prices file, in the grammar of price documents.
    :param kept: keys that stay as they are because they are manual.
    :param reasons: why it should not be done without force.
    :param warnings: what is unusual, and what was left out; ``--strict`` refuses these.
    """

    bodies: Mapping[str, Mapping[str, Any]]
    changes: tuple[Change, ...]
    kept: tuple[str, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def refused(self) -> tuple[Change, ...]:
        """Entries of the list that break a rule; what is in force for them stays."""
        return tuple(change for change in self.changes if change.kind == "refused")

    @property
    def drift(self) -> bool:
        """Whether other prices would be in force."""
        return any(change.kind != "refused" for change in self.changes)


class Standing:
    """Which entry prices a name: those of a prices file above the bundled table."""

    def __init__(self, entries: Mapping[str, PriceEntry], bundled: PriceTable) -> None:
        file = PriceTable("file", "", entries)
        self._lookup = Lookup((file, bundled))
        self.aliases = {**bundled.aliases(), **file.aliases()}

    def entry(self, key: str) -> PriceEntry | None:
        """The entry that prices this key's model, by whichever step it is found."""
        match = self._match(key)
        return match.entry if match else None

    def is_by_hand(self, key: str, listed: PriceList) -> bool:
        """Whether people decided the price of this name. A list of our own may overrule the bundled table."""
        match = self._match(key)
        if match is None or not is_manual(match.entry):
            return False
        return match.source == "file" or listed.format != "own"

    def says(self, entry: PriceEntry) -> bool:
        """Whether all names of an entry have its prices already."""
        return all(
            (found := self.entry(name)) is not None
            and (found.free, found.sheets()) == (entry.free, entry.sheets())
            for name in (entry.key, *entry.aliases)
        )

    def _match(self, key: str) -> Match | None:
        provider, slash, model = key.partition("/")
        if slash:
            return self._lookup.find(provider, model)
        # A bare name is an entry for every provider, and only found as such.
        match = self._lookup.find("", key)
        return match if match and "providerless" not in match.step else None


def make_plan(listed: PriceList, file: PricesFile, bundled: PriceTable, at: datetime) -> Plan:
    """Hold a list against the prices file and the bundled table.

    The list speaks for the providers that it has models of: their entries in the file are replaced, but for
    the manual ones. What the bundled table says already is not written again: its next release shall count.

    :param at: the moment of the refresh; from its day on a list without history changes a rate.
    """
    providers = {_provider(key) for key in listed.entries}
    mine = {
        key: entry
        for key, entry in file.entries.items()
        if not is_manual(entry) and _provider(key) in providers
    }
    staying = {key: entry for key, entry in file.entries.items() if key not in mine}
    present = Standing(file.entries, bundled)
    kept = {key for key in listed.entries if present.is_by_hand(key, listed)}
    wanted, changes = _compared(listed, present, kept, at)
    refused = {change.key for change in changes if change.kind == "refused"}
    wanted |= {key: mine[key] for key in refused & mine.keys()}
    changes += [Change("removed", key) for key in sorted(mine.keys() - wanted.keys() - listed.entries.keys())]
    changes += alias_changes(present.aliases, {name: key for key in wanted for name in wanted[key].aliases})
    written = {key: entry_body(entry) for key, entry in _to_write(wanted, staying, bundled).items()}
    return Plan(
        bodies={**{key: file.bodies[key] for key in staying}, **written},
        changes=tuple(changes),
        kept=tuple(sorted(kept)),
        reasons=(
            *_out_of_date(listed, bundled),
            *suspicions(changes, models=len(mine), rates=_rates_held(present, wanted, at)),
        ),
        warnings=(*listed.remarks, *warnings(wanted)),
    )


def _compared(
    listed: PriceList, present: Standing, kept: set[str], at: datetime
) -> tuple[dict[str, PriceEntry], list[Change]]:
    """The entries that are to be in force, without those that break a rule, and what they change."""
    wanted: dict[str, PriceEntry] = {}
    changes: list[Change] = []
    for key in sorted(listed.entries.keys() - kept):
        before = present.entry(key)
        entry = _in_place_of(before, _free_names(listed.entries[key], present, listed), listed, at)
        if problem := _problem(key, entry):
            changes.append(Change("refused", key, note=problem))
        else:
            changes += compare(key, before, entry, at)
            wanted[key] = entry
    return wanted, changes


def _out_of_date(listed: PriceList, bundled: PriceTable) -> list[str]:
    if listed.as_of and bundled.generated_at and listed.as_of < bundled.generated_at:
        return [f"The list is of {listed.as_of}, older than the bundled prices of {bundled.generated_at}."]
    return []


def _provider(key: str) -> str:
    return key.partition("/")[0]


def _to_write(
    wanted: Mapping[str, PriceEntry], staying: Mapping[str, PriceEntry], bundled: PriceTable
) -> dict[str, PriceEntry]:
    """The entries that nothing else says already.

    Twice: what one provider sells at another's list price may be said only until that one's entry is written.
    """
    found: dict[str, PriceEntry] = {}
    for _ in range(2):
        beneath = Standing({**staying, **found}, bundled)
        found |= {key: entry for key, entry in wanted.items() if key not in found and not beneath.says(entry)}
    return found


def _rates_held(present: Standing, wanted: Iterable[str], at: datetime) -> int:
    """How many rates are in force for the models of a list."""
    found = (present.entry(key) for key in wanted)
    return sum(len(rates_by_path(entry, at)) for entry in found if entry is not None)


def _free_names(entry: PriceEntry, present: Standing, listed: PriceList) -> PriceEntry:
    """The entry without the names whose price people decided."""
    return replace(
        entry, aliases=tuple(name for name in entry.aliases if not present.is_by_hand(name, listed))
    )


def _in_place_of(before: PriceEntry | None, entry: PriceEntry, listed: PriceList, at: datetime) -> PriceEntry:
    """What is to stand where ``before`` does, so that nothing gets lost which the list cannot say."""
    if before is None or listed.format == "own" or before.free or entry.free:
        return entry
    now = sheet_at(before, at)
    if listed.has_history:
        return completed(entry, now, at, [], say=entry.key)
    if now.windows and not differing(now, entry.sheet):
        return replace(before, key=entry.key, aliases=entry.aliases)
    change = _without_losses(difference(now, entry.sheet), entry.sheet)
    periods = before.periods if change == Sheet() else _with_today(before.periods, change, at)
    return replace(before, key=entry.key, aliases=entry.aliases, periods=periods, provenance=entry.provenance)


def _without_losses(change: Sheet, listed: Sheet) -> Sheet:
    """The change without tiers taken away: a list without history names none where it knows none."""
    modes = {name: replace(mode, tiers=mode.tiers or None) for name, mode in change.modes.items()}
    return replace(change, tiers=change.tiers if listed.tiers else None, modes=modes)


def _with_today(periods: Sequence[Period], change: Sheet, at: datetime) -> tuple[Period, ...]:
    """The periods with a change from this day on, until the next one that is scheduled."""
    today = datetime.combine(at.astimezone(UTC).date(), time(), UTC)
    before = [period for period in periods if period.start < today]
    after = [period for period in periods if period.start > today]
    for period in periods:
        if period.start == today:
            change = period.change.changed_by(change)
    return (*before, Period(today, after[0].start if after else None, change), *after)


def _problem(key: str, entry: PriceEntry) -> str:
    """Why an entry cannot be right, in one sentence; empty where it can."""
    broken = broken_rules({key: entry})
    if broken:
        return "; ".join(line.removeprefix(f"{key}: ") for line in broken)
    try:
        parse_entry("the list", key, entry_body(entry))
    except ConfigurationError as error:
        return str(error)
    return ""
