"""``flask llm-cost prices list``: the price entries in force."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from decimal import Decimal

import click
from flask.cli import with_appcontext

from ..pricing import Catalog
from ..pricing import Match
from ..wording import plural
from . import words
from .options import format_option
from .output import Cell
from .output import Column
from .output import Format
from .output import JSONValue
from .output import Table
from .output import echo_csv
from .output import echo_json
from .output import echo_table
from .output import exact
from .state import current_runtime

_SHOWN = ("input", "cache_read_input", "output")


@dataclass(frozen=True, slots=True)
class Entry:
    """One price entry at its standard rates.

    :param rates: USD per rate basis, by component; only the entry's own, none that is lent by another.
    """

    match: Match
    rates: Mapping[str, Decimal]

    @classmethod
    def of(cls, match: Match, at: datetime) -> Entry:
        """The entry at its standard mode and smallest size, at a moment."""
        card = match.entry.card((), at)
        level = card.level(0).rates if card else {}
        return cls(match, {name: rate.amount for name, rate in level.items() if rate.lent_by is None})

    @property
    def note(self) -> str:
        """What stands in place of rates, or beside them."""
        if self.match.entry.same_as:
            return f"same as {self.match.entry.same_as}"
        if self.match.entry.free:
            return "free"
        more = sum(name not in _SHOWN for name in self.rates)
        return f"{more} more" if more else ""


@click.command("list", short_help="The prices in force.")
@click.option("--provider", help="Only entries of this provider, such as openai.")
@click.option("--search", metavar="TEXT", help="Only keys that contain this text.")
@format_option
@with_appcontext
def list_prices(provider: str | None, search: str | None, output: Format) -> None:
    """List the price entries in force today: your overrides, your prices file, then the bundled ones.

    Rates are the standard ones, in USD: tokens and characters per million, requests per thousand, everything
    else each. JSON and CSV have every component; prices explain shows modes, tiers and dates.
    """
    catalog = current_runtime().catalog
    now = datetime.now(UTC)
    entries = [Entry.of(match, now) for match in _chosen(catalog, provider, search)]
    if output == "json":
        echo_json(
            {"currency": "USD", "tables": _tables(catalog), "prices": [_json(entry) for entry in entries]}
        )
    elif output == "csv":
        echo_csv(("key", "source", "component", "rate", "note"), _csv_rows(entries))
    else:
        _echo_text(catalog, entries)


def _chosen(catalog: Catalog, provider: str | None, search: str | None) -> Iterator[Match]:
    wanted = (search or "").strip().lower()
    for match in catalog.entries():
        seller, slash, _ = match.key.partition("/")
        if provider and (not slash or seller != provider.strip().lower()):
            continue
        if wanted in match.key.lower():
            yield match


def _tables(catalog: Catalog) -> list[dict[str, JSONValue]]:
    return [
        {"source": table.source, "version": table.version, "entries": len(table)} for table in catalog.tables
    ]


def _json(entry: Entry) -> dict[str, JSONValue]:
    return {
        "key": entry.match.key,
        "source": entry.match.source,
        "version": entry.match.version,
        "free": entry.match.entry.free,
        "same_as": entry.match.entry.same_as,
        "rates": {name: exact(amount.normalize()) for name, amount in entry.rates.items()},
    }


def _csv_rows(entries: Sequence[Entry]) -> Iterator[dict[str, Cell]]:
    for entry in entries:
        first: dict[str, Cell] = {"key": entry.match.key, "source": entry.match.source}
        for name, amount in entry.rates.items():
            yield {**first, "component": name, "rate": amount.normalize()}
        if not entry.rates:
            yield {**first, "note": entry.note}


def _echo_text(catalog: Catalog, entries: Sequence[Entry]) -> None:
    columns = (
        Column("key", "Model"),
        *(Column(name, name.replace("_", " ").capitalize(), _rate, number=True) for name in _SHOWN),
        Column("note", "Also"),
        Column("source", "From"),
    )
    rows: list[Mapping[str, Cell]] = [
        {"key": entry.match.key, "source": entry.match.source, "note": entry.note, **entry.rates}
        for entry in entries
    ]
    echo_table(Table("prices", "", columns, rows, empty="No price entry matches."))
    click.echo()
    versions = "; ".join(f"{len(table):,} {table.source} ({table.version})" for table in catalog.tables)
    click.echo(f"{plural(len(entries), 'price')} shown, USD per million tokens. In force: {versions}.")


def _rate(value: Cell) -> str:
    # An entry without a rate for a component is no unknown amount: most models have no such component.
    return "" if value is None else words.rate(value)
