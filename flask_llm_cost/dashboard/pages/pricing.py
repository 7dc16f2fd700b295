"""The price list: which tables are in force, from when they are, and what each model costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime

from werkzeug.wrappers import Response

from ...doctor import prices_check
from ...errors import InvalidFilterError
from ...pricing import Catalog
from ...pricing import Match
from ...pricing import PriceTable
from ...wording import plural
from .. import formats
from ..filter_bar import Input
from ..parameters import read_parameters
from ..parameters import whole_number
from ..price_tables import SOURCE_NAMES
from ..price_tables import list_table
from ..price_tables import split_key
from ..rates_table import every_rate_table
from ..responses import Place
from ..responses import link
from ..responses import page
from ..responses import runtime
from ..table_export import FORMATS
from ..table_export import About
from ..taking_away import FORMAT
from ..taking_away import PARAMETERS
from ..taking_away import TABLE
from ..taking_away import Tables
from ..taking_away import offered
from ..taking_away import taken

_PLACE = Place(".pricing")
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
    given = read_parameters((*_FILTERS, "page", *PARAMETERS))
    catalog, now = runtime().catalog, datetime.now(UTC)
    found = _chosen(catalog, given)
    filters = {name: given[name] for name in _FILTERS if name in given}
    whole: Tables = {
        "prices": lambda: list_table(catalog, found, now),
        "rates": lambda: every_rate_table(catalog, found),
    }
    if (file := taken(given, whole, About(zone=runtime().config.timezone.key, filters=filters))) is not None:
        return file
    pages = max(1, -(-len(found) // PAGE_SIZE))
    number = whole_number(given, "page", 10_000) or 1
    if number > pages:
        raise InvalidFilterError("page", f"there are only {plural(pages, 'page')}.")
    first = (number - 1) * PAGE_SIZE
    shown = found[first : first + PAGE_SIZE]
    check = prices_check(runtime(), now.date())
    context = {
        "current": "pricing",
        "sources": tuple(_source(catalog, table) for table in catalog.tables),
        "file_problem": catalog.file_problem,
        "check": check if check.status != "ok" else None,
        "action": link(".pricing", {}),
        "inputs": _inputs(catalog, given),
        "summary": _summary(len(found), first, len(shown)),
        "tables": offered(
            {"prices": lambda: list_table(catalog, shown, now) if shown else None}, _PLACE, filters
        ),
        "everything": link(".pricing", {}),
        "downloads": tuple(
            (kind.upper(), _PLACE.link({**filters, TABLE: "rates", FORMAT: kind})) for kind in FORMATS
        ),
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
