"""``flask llm-cost prices``: which prices are in force, and why a call costs what it costs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from decimal import Decimal

import click
from flask.cli import AppGroup

from ..pricing.explanation import Explanation
from ..providers import normalise_mode
from . import words
from .estimate import estimate
from .options import format_option
from .options import moment as read_moment
from .output import Cell
from .output import Column
from .output import Format
from .output import JSONValue
from .output import Table
from .output import echo_csv
from .output import echo_json
from .output import echo_table
from .output import exact
from .output import plain
from .price_list import list_prices
from .price_refresh import check_prices
from .price_refresh import refresh_prices
from .quantities import quantity_options
from .quantities import read_usage
from .state import current_runtime

prices = AppGroup(
    "prices",
    help="Which prices are in force, and why a call costs what it costs.",
    short_help="Prices in force, and how a cost comes about.",
)
for command in (list_prices, estimate, refresh_prices, check_prices):
    prices.add_command(command)


@prices.command("explain", short_help="Why a call costs what it costs.")
@click.option("--provider", required=True, help="As in the ledger, such as openai.")
@click.option("--model", required=True, help="As in the ledger, such as gpt-5-mini.")
@click.option("--mode", help="The pricing mode, such as batch, flex or priority.  [default: standard]")
@click.option("--at", type=read_moment, metavar="TIME", help="The moment whose prices apply.  [default: now]")
@quantity_options
@format_option
def explain(
    provider: str,
    model: str,
    mode: str | None,
    at: datetime | None,
    charges: Sequence[tuple[str, Decimal]],
    output: Format,
    **counts: int | None,
) -> None:
    """Show which price entry a model gets, by which step it was found, and the arithmetic of each line.

    Without any count, 1,000 tokens in and 1,000 out are explained; for embeddings give --input-tokens alone.
    The exit code is 1 where the call could not be priced in full. Nothing is recorded.
    """
    found = current_runtime().catalog.explain(
        provider=provider,
        model=model,
        usage=read_usage(counts, charges),
        pricing_mode=normalise_mode(mode),
        at=at or datetime.now(UTC),
    )
    if output == "json":
        echo_json(_document(found))
    elif output == "csv":
        echo_csv([column.name for column in _LINES], _lines(found))
    else:
        _echo_explanation(found)
    if not found.is_complete:
        sys.exit(1)


_LINES = (
    Column("model", "Model"),
    Column("component", "Component"),
    Column("quantity", "Quantity", words.quantity, number=True),
    Column("unit", "Unit"),
    Column("rate", "Rate", words.rate, number=True),
    Column("rate_basis", "Rate is", lambda basis: str(basis).replace("_", " ")),
    Column("cost", "Cost", words.rate, number=True),
    Column("note", "Note"),
)


def _lines(found: Explanation) -> list[dict[str, Cell]]:
    return [{column.name: getattr(line, column.name) for column in _LINES} for line in found.lines]


def _exact_lines(found: Explanation) -> list[dict[str, JSONValue]]:
    return [
        {**{name: exact(value) for name, value in row.items()}, "arithmetic": line.arithmetic}
        for row, line in zip(_lines(found), found.lines, strict=True)
    ]


def _document(found: Explanation) -> dict[str, JSONValue]:
    return {
        "provider": found.provider,
        "model": found.model,
        "mode": found.mode,
        "at": exact(found.at),
        "key": found.key,
        "step": found.step,
        "source": found.source,
        "version": found.version,
        "provenance": dict(found.provenance),
        "tier": found.tier,
        "thresholds": list(found.thresholds),
        "known_modes": list(found.known_modes),
        "valid_from": exact(found.valid_from),
        "valid_until": exact(found.valid_until),
        "time_windows": list(found.time_windows),
        "discount": exact(found.discount),
        "rates": dict(found.rates),
        "lines": _exact_lines(found),
        "total_cost": exact(found.total_cost),
        "cost_status": found.cost_status,
        "missing": list(found.missing),
        "nearest": list(found.nearest),
        "notes": list(found.notes),
    }


def _echo_explanation(found: Explanation) -> None:
    title = f"{found.provider}/{found.model}, {found.mode}, {found.at:%Y-%m-%d %H:%M} {found.at:%Z}"
    if found.lines:
        several = len({line.model for line in found.lines}) > 1
        noted = any(line.note for line in found.lines)
        hidden = {"model": not several, "note": not noted}
        columns = tuple(column for column in _LINES if not hidden.get(column.name, False))
        echo_table(Table("lines", title, columns, _lines(found)))
    else:
        click.secho(title, bold=True)
    click.echo()
    if len(found.lines) > 1:
        click.echo("Sum: " + " + ".join(words.rate(line.cost) for line in found.lines))
    click.echo(f"Total: {words.rate(found.total_cost)} ({found.cost_status})")
    for note in found.notes:
        click.echo(plain(note))
