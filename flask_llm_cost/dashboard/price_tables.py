"""The price list as tables: entries in short, and one entry with its modes, tiers, dates and hours."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ..components import components
from ..pricing import Catalog
from ..pricing import Match
from ..pricing import PriceEntry
from ..pricing.dates import day
from ..pricing.dates import hours
from ..pricing.entry import Level
from ..pricing.entry import RateCard
from ..pricing.entry import Sheet
from ..pricing.entry import make_card
from ..pricing.modes import ModeKey
from ..pricing.modes import mode_name
from ..wording import plural
from .bill import PER
from .formats import rate
from .responses import link
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import aligned

_SHORT = ("input", "cache_read_input", "output")
SOURCE_NAMES = {"overrides": "overrides", "file": "prices file", "bundled": "bundled"}
_NONE = Cell(text="\u2013", muted=True)


def resolved(catalog: Catalog, match: Match) -> PriceEntry:
    """The entry with the prices: another one where this only gives it a second name."""
    target = match.entry.same_as
    found = catalog.find(*split_key(target)) if target else None
    return found.entry if found else match.entry


def split_key(key: str) -> tuple[str, str]:
    """Provider and model of a price key; a bare model name has no provider."""
    provider, slash, model = key.partition("/")
    return (provider, model) if slash else ("", provider)


def model_link(key: str) -> str:
    """The page of one price entry."""
    provider, model = split_key(key)
    return link(".price", {"provider": provider, "model": model} if provider else {"model": model})


def list_table(catalog: Catalog, matches: list[Match], now: datetime) -> Table:
    """Entries at their standard rates of now."""
    columns = (
        Column(label="Price entry"),
        *(Column(label=_words(name).capitalize(), unit="USD/1M", numeric=True) for name in _SHORT),
        Column(label="Also"),
        Column(label="From"),
    )
    rows = tuple(_short_row(match, resolved(catalog, match), now) for match in matches)
    return aligned(Table(name="prices", caption="Prices", columns=columns, rows=rows, hidden_caption=True))


def _short_row(match: Match, entry: PriceEntry, now: datetime) -> Row:
    rates = own_rates(entry.card((), now))
    more = also(match, entry, rates)
    return (
        Cell(text=match.key, title=match.key, href=model_link(match.key), code=True),
        *(_rate_cell(rates.get(name)) for name in _SHORT),
        Cell(text=more, title=more) if more else _NONE,
        Cell(text=SOURCE_NAMES[match.source], title=match.version),
    )


def also(match: Match, entry: PriceEntry, rates: Mapping[str, Decimal]) -> str:
    """What an entry has besides its usual rates, in a few words."""
    if match.entry.same_as:
        return f"same as {match.entry.same_as}"
    if entry.free:
        return "free"
    more = sum(name not in _SHORT for name in rates)
    sheets = entry.sheets()
    parts = [plural(more, "more rate")] if more else []
    parts += [", ".join(mode_name(mode) for mode in entry.modes())] if entry.modes() else []
    parts += ["by size"] if any(sheet.tiers for _, sheet in sheets) else []
    parts += ["by hour"] if any(sheet.windows for _, sheet in sheets) else []
    parts += ["dated"] if len(sheets) > 1 else []
    return "; ".join(parts)


def own_rates(card: RateCard | None) -> dict[str, Decimal]:
    """The rates below all tiers, without those that are lent by another component."""
    return _own(card.levels[0]) if card else {}


def _own(level: Level) -> dict[str, Decimal]:
    return {name: found.amount for name, found in level.rates.items() if found.lent_by is None}


def _rate_cell(amount: Decimal | None) -> Cell:
    return _NONE if amount is None else Cell.of(rate(amount))


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One column of rates."""

    label: str
    rates: Mapping[str, Decimal]


def rate_tables(entry: PriceEntry, at: datetime) -> Iterator[Table]:
    """The rates of one entry: by mode and size at a moment, by date, and by hour."""
    if sheets := list(_by_mode(entry, at)):
        yield _rates_table("rates", "Rates by mode and size", sheets)
    dated = entry.sheets()
    if len(dated) > 1:
        yield _rates_table(
            "dates",
            "Standard rates by date",
            [
                _Sheet(f"from {day(start)}" if start else "before", own_rates(make_card(sheet, ())))
                for start, sheet in dated
            ],
        )
    sheet = next(sheet for start, sheet in reversed(dated) if start is None or start <= at)
    if sheet.windows:
        found = [
            _Sheet(when or "other hours", own_rates(make_card(variant, ())))
            for when, variant in by_hour(sheet)
        ]
        yield _rates_table("hours", "Standard rates by hour", found)


def by_hour(sheet: Sheet) -> Iterator[tuple[str, Sheet]]:
    """The sheet outside of all time windows, then as each of them changes it."""
    yield "", sheet
    for window in sheet.windows or ():
        yield hours(window), sheet.changed_by(window.change)


def _by_mode(entry: PriceEntry, at: datetime) -> Iterator[_Sheet]:
    standard: ModeKey = ()
    for mode in (standard, *entry.modes()):
        card = entry.card(mode, at)
        for level in card.levels if card else ():
            size = f", over {level.over:,}" if level.over is not None else ""
            yield _Sheet(mode_name(mode).replace("_", " ") + size, _own(level))


def _rates_table(name: str, caption: str, sheets: list[_Sheet]) -> Table:
    names = [each for each in components() if any(each in sheet.rates for sheet in sheets)]
    columns = (
        Column(label="Component"),
        Column(label="USD per"),
        *(Column(label=sheet.label, numeric=True) for sheet in sheets),
    )
    rows = tuple(
        (
            Cell(text=_words(each)),
            Cell(text=_per(each), muted=True),
            *(_rate_cell(sheet.rates.get(each)) for sheet in sheets),
        )
        for each in names
    )
    return aligned(Table(name=name, caption=caption, columns=columns, rows=rows))


def _per(component: str) -> str:
    declared = components()[component]
    number = PER[declared.rate_basis]
    return declared.unit if number == "1" else f"{number} {declared.unit}s"


def _words(component: str) -> str:
    return component.replace("_", " ")
