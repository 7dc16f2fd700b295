"""The price list: which tables are in force, from when they are, and what each model costs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime

from flask import current_app
from werkzeug.wrappers import Response

from ...components import components
from ...doctor import prices_check
from ...errors import InvalidFilterError
from ...pricing import Catalog
from ...pricing import Match
from ...pricing import PriceTable
from ...pricing.entry import make_card
from ...pricing.modes import mode_name
from ...wording import plain_digits
from ...wording import plural
from ...wording import spreadsheet_text
from .. import formats
from ..filter_bar import Input
from ..parameters import read_parameters
from ..parameters import whole_number
from ..price_tables import SOURCE_NAMES
from ..price_tables import by_hour
from ..price_tables import list_table
from ..price_tables import resolved
from ..price_tables import split_key
from ..responses import link
from ..responses import page
from ..responses import protected
from ..responses import runtime

PAGE_SIZE = 50
_FILTERS = ("search", "provider", "source")
_KEYS = {
    "overrides": "LLM_COST_PRICING_OVERRIDES",
    "file": "LLM_COST_PRICES_FILE",
    "bundled": "part of the package",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One price table, in words."""

    name: str
    where: str
    entries: str
    version: str
    changed: str


def pricing() -> Response:
    """``GET /pricing``."""
    given = read_parameters((*_FILTERS, "page"))
    catalog, now = runtime().catalog, datetime.now(UTC)
    found = _chosen(catalog, given)
    pages = max(1, -(-len(found) // PAGE_SIZE))
    number = whole_number(given, "page", 10_000) or 1
    if number > pages:
        raise InvalidFilterError("page", f"there are only {plural(pages, 'page')}.")
    first = (number - 1) * PAGE_SIZE
    shown = found[first : first + PAGE_SIZE]
    filters = {name: given[name] for name in _FILTERS if name in given}
    check = prices_check(runtime(), now.date())
    context = {
        "current": "pricing",
        "sources": tuple(_source(catalog, table) for table in catalog.tables),
        "file_problem": catalog.file_problem,
        "check": check if check.status != "ok" else None,
        "action": link(".pricing", {}),
        "inputs": _inputs(catalog, given),
        "summary": _summary(len(found), first, len(shown)),
        "table": list_table(catalog, shown, now) if shown else None,
        "everything": link(".pricing", {}),
        "csv_url": link(".export_prices", filters),
        "previous": _page_link(filters, number - 1) if number > 1 else "",
        "next": _page_link(filters, number + 1) if number < pages else "",
        "place": f"Page {number} of {pages}",
    }
    return page("pricing.html", context)


def _chosen(catalog: Catalog, given: Mapping[str, str]) -> list[Match]:
    """The entries that all filters let through, by key."""
    wanted, source = given.get("search", "").lower(), given.get("source")
    if source is not None and source not in _KEYS:
        raise InvalidFilterError("source", f"{source[:40]!r} is not one of {', '.join(_KEYS)}.")
    provider = given.get("provider", "").lower()
    return sorted(
        (
            match
            for match in catalog.entries()
            if (not provider or split_key(match.key)[0] == provider)
            and (source is None or match.source == source)
            and any(wanted in name for name in (match.key, *match.entry.aliases))
        ),
        key=lambda match: match.key,
    )


def _summary(count: int, first: int, shown: int) -> str:
    if not count:
        return "No price entry matches"
    if shown == count:
        return plural(count, "price entry", "price entries")
    return f"Price entries {first + 1:,} to {first + shown:,} of {count:,}"


def _page_link(filters: Mapping[str, str], number: int) -> str:
    return link(".pricing", {**filters, **({"page": str(number)} if number > 1 else {})})


def _inputs(catalog: Catalog, given: Mapping[str, str]) -> tuple[Input, ...]:
    providers = {split_key(key)[0] for table in catalog.tables for key in table} - {""}
    sources = tuple(table.source for table in catalog.tables)
    return (
        Input(name="search", label="Model or alias", value=given.get("search", ""), options=()),
        _select("provider", "Provider", given, tuple(sorted(providers))),
        _select("source", "From", given, sources),
    )


def _select(name: str, label: str, given: Mapping[str, str], options: tuple[str, ...]) -> Input:
    value = given.get(name, "")
    known = options if not value or value in options else (value, *options)
    return Input(name=name, label=label, value=value, options=known, closed=True)


def _source(catalog: Catalog, table: PriceTable) -> Source:
    changed = catalog.file_changed_at if table.source == "file" else None
    return Source(
        name=SOURCE_NAMES[table.source].capitalize(),
        where=_KEYS[table.source],
        entries=plural(len(table), "entry", "entries"),
        version=table.version,
        changed=formats.moment(changed, runtime().config.timezone) if changed else "",
    )


COLUMNS = (
    "key",
    "source",
    "version",
    "same_as",
    "mode",
    "valid_from",
    "hours",
    "over_input_tokens",
    "component",
    "rate",
    "rate_basis",
    "currency",
)


def export_prices() -> Response:
    """``GET /pricing.csv``: every rate of the chosen entries, by date, mode and size."""
    given = read_parameters(_FILTERS)
    catalog = runtime().catalog
    found = _chosen(catalog, given)
    response = current_app.response_class(_lines(catalog, found), mimetype="text/csv")
    name = f"llm_prices_{datetime.now(UTC):%Y%m%d}.csv"
    response.headers["Content-Disposition"] = f"attachment; filename={name}"
    return protected(response)


def _lines(catalog: Catalog, matches: list[Match]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for match in matches:
        writer.writerows(_csv_rows(catalog, match))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _csv_rows(catalog: Catalog, match: Match) -> Iterator[list[str]]:
    entry = resolved(catalog, match)
    about = [spreadsheet_text(match.key), match.source, match.version, match.entry.same_as or ""]
    if entry.free:
        yield [*about, "", "", "", "", "free", "0", "", "USD"]
    for start, sheet in entry.sheets():
        for when, variant in by_hour(sheet):
            place = [start.isoformat() if start else "", when]
            for mode in ((), *sorted(variant.modes)):
                card = make_card(variant, mode)
                for level in card.levels if card else ():
                    size = "" if level.over is None else str(level.over)
                    for component, rate in level.rates.items():
                        if rate.lent_by is None:
                            basis = components()[component].rate_basis.value
                            priced = [component, plain_digits(rate.amount), basis, "USD"]
                            yield [*about, mode_name(mode), *place, size, *priced]
