"""``flask llm-cost reconcile``: import what a provider says it billed, and hold the ledger against it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import click
from flask.cli import AppGroup
from flask.cli import with_appcontext

from ..errors import ConfigurationError
from ..ledger import Ledger
from ..reconciliation import BILLING_PROVIDERS
from ..reconciliation import COLUMNS
from ..reconciliation import Imported
from ..reconciliation import InvoiceFileError
from ..reconciliation import Period
from ..reconciliation import import_csv
from ..reconciliation import import_source
from ..wording import plural
from .output import Cell
from .output import Column
from .output import Format
from .output import Table
from .output import echo_csv
from .output import echo_json
from .output import echo_table
from .output import exact
from .reconcile_diff import diff
from .reconcile_period import first_day
from .reconcile_period import last_day
from .reconcile_period import period_of
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger

_WHAT = ("all", "costs", "usage")

_IMPORTED = (
    Column("provider", "Provider"),
    Column("source", "Source"),
    Column("period", "Days (UTC)"),
    Column("pages", "Pages", number=True),
    Column("lines", "Lines", number=True),
    Column("resumed", "Resumed", lambda value: "yes" if value else ""),
)

reconcile = AppGroup(
    "reconcile",
    help="Import what providers say they billed, and hold the ledger against it.",
    short_help="Compare with the provider's bill.",
)
reconcile.add_command(diff)


def _column(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or ours not in COLUMNS or not theirs:
        raise click.BadParameter(f"{text!r} is not NAME=COLUMN; NAME is one of {', '.join(COLUMNS)}.")
    return ours, theirs


@reconcile.command("import", short_help="Import a provider's costs and usage.")
@click.option(
    "--provider",
    required=True,
    metavar="NAME",
    help="openai or anthropic; with --csv any provider, as the ledger names it.",
)
@first_day
@last_day
@click.option(
    "--what",
    type=click.Choice(_WHAT),
    default="all",
    show_default=True,
    help="Amounts, quantities, or both.",
)
@click.option(
    "--address",
    metavar="URL",
    help="Another address of the admin API, such as a gateway's, with its /v1. The admin key goes there.",
)
@click.option(
    "--csv",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV file instead of the admin API. It stands for all its days.",
)
@click.option(
    "--column",
    "columns",
    type=_column,
    multiple=True,
    metavar="NAME=COLUMN",
    help="What the file calls a column, as in --column amount='Cost (USD)'. Can be repeated.",
)
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="How to print what was imported.",
)
@with_appcontext
def import_bill(
    provider: str,
    first: date | None,
    last: date | None,
    what: str,
    address: str | None,
    file: Path | None,
    columns: Sequence[tuple[str, str]],
    output: Format,
) -> None:
    """Import what a provider says it billed, into the ledger's database and nowhere else.

    The admin key is read from OPENAI_ADMIN_KEY or ANTHROPIC_ADMIN_KEY, is sent to the provider only, and is
    not kept. Every page is stored at once: where the import breaks off, run it again and it goes on there.
    The same period twice is the same lines. With --csv no network is used.
    """
    runtime = current_runtime()
    with one_sentence_errors(runtime):
        ledger = require_ledger(runtime)
        if file is not None:
            if first or last or address or what != "all":
                raise click.UsageError("--csv takes its days and lines from the file: give --column only.")
            found = [_from_file(ledger, provider, file, dict(columns))]
        else:
            if columns:
                raise click.UsageError("--column is for --csv FILE.")
            found = _from_api(ledger, provider, period_of(first, last), what, address)
    _print(found, output)


def _from_file(ledger: Ledger, provider: str, file: Path, columns: dict[str, str]) -> Imported:
    try:
        return import_csv(ledger, provider, file, columns=columns)
    except InvoiceFileError as error:
        raise click.ClickException("\n".join((f"{file.name} was not imported.", *error.problems))) from None


def _from_api(
    ledger: Ledger, provider: str, period: Period, what: str, address: str | None
) -> list[Imported]:
    billing = BILLING_PROVIDERS.get(provider)
    if billing is None:
        names = " and ".join(BILLING_PROVIDERS)
        raise click.UsageError(f"Only {names} can be asked. Import another provider's bill with --csv FILE.")
    try:
        api = billing.api(address)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    found = []
    for source in billing.sources:
        if what == "all" or (what == "costs") == source.tells_costs:
            found.append(import_source(ledger, source, api, period, on_page=_telling(source.name)))
    return found


def _telling(name: str) -> Callable[[int], object]:
    """Says on a terminal which page has come."""

    def tell(pages: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"{name}: {plural(pages, 'page')}", err=True)

    return tell


def _print(found: Sequence[Imported], output: Format) -> None:
    rows: list[dict[str, Cell]] = [
        {
            "provider": each.provider,
            "source": each.source,
            "period": str(each.period),
            "pages": each.pages,
            "lines": each.lines,
            "resumed": each.resumed,
        }
        for each in found
    ]
    unread = [name for each in found for name in each.unread]
    if output == "json":
        echo_json(
            {
                "imports": [{key: exact(value) for key, value in row.items()} for row in rows],
                "unread_columns": unread,
            }
        )
    elif output == "csv":
        echo_csv([column.name for column in _IMPORTED], rows)
    else:
        echo_table(Table("imports", "Imported", _IMPORTED, rows))
        if unread:
            click.echo(f"Columns that were not read: {', '.join(repr(name) for name in unread)}.")
        click.echo("Compare with: flask llm-cost reconcile diff")
