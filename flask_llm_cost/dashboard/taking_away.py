"""Tables that can be taken away: which one an address asks for, and the links that ask for it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from werkzeug.wrappers import Response

from ..errors import InvalidFilterError
from .responses import Place
from .table_export import FORMATS
from .table_export import About
from .table_export import export_table
from .tables import Link
from .tables import Table

#: The parameters that take a table of a page away: which one, and in which format.
TABLE = "table"
FORMAT = "format"
PARAMETERS = (TABLE, FORMAT)

#: A page's tables by name, each made when it is wanted; ``None`` where there is nothing to show.
Tables = Mapping[str, Callable[[], Table | None]]


def ready(*tables: Table) -> Tables:
    """Tables that are made already, by name."""
    return {table.name: partial(_itself, table) for table in tables}


def _itself(table: Table) -> Table:
    return table


def taken(arguments: Mapping[str, str], tables: Tables, about: About) -> Response | None:
    """The table that an address asks for as a file; ``None`` where it asks for the page.

    :raises InvalidFilterError: the page has no such table, or the format is none.
    """
    if not any(name in arguments for name in PARAMETERS):
        return None
    name, kind = arguments.get(TABLE, ""), arguments.get(FORMAT)
    if kind is None:
        raise InvalidFilterError(FORMAT, f"is missing: give one of {', '.join(FORMATS)} with the table.")
    if kind not in FORMATS:
        raise InvalidFilterError(FORMAT, f"{kind[:40]!r} is not one of {', '.join(FORMATS)}.")
    if name not in tables:
        raise InvalidFilterError(TABLE, f"{name[:80]!r} is not one of {', '.join(tables)}.")
    made = tables[name]() or Table(name=name, caption=name, columns=(), rows=())
    return export_table(made, kind, about)


def offered(tables: Tables, place: Place, arguments: Mapping[str, str]) -> dict[str, Table]:
    """The tables that there are, by name, each with links that take it away.

    :param arguments: what the page itself was asked for.
    """
    made = ((name, make()) for name, make in tables.items())
    return {name: _downloadable(table, place, arguments) for name, table in made if table is not None}


def _downloadable(table: Table, place: Place, arguments: Mapping[str, str]) -> Table:
    links = tuple(
        Link(
            text=kind.upper(),
            href=place.link({**arguments, TABLE: table.name, FORMAT: kind}),
            title=f"{table.caption} as {kind.upper()}",
        )
        for kind in FORMATS
    )
    return replace(table, downloads=links)
