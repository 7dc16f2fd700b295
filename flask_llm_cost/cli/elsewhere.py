"""The table of ``prices estimate`` for recorded calls: what they would have cost on other models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from datetime import datetime

import click

from ..ledger import Ledger
from ..maintenance import LEFT
from ..maintenance import Comparison
from ..maintenance import Left
from ..maintenance import Selection
from ..maintenance import compare
from ..maintenance import count_selected
from ..money import EXACT
from ..runtime import Runtime
from ..wording import plural
from . import words
from .output import Cell
from .output import Column
from .output import Format
from .output import Table
from .output import echo_csv
from .output import echo_json
from .output import echo_table
from .output import exact
from .progress import progress

Named = tuple[str, str]
_LEFT_OUT: tuple[Left, ...] = ("told", "no_usage", "not_rebuilt")


def compare_recorded(
    runtime: Runtime,
    ledger: Ledger,
    days: tuple[date, date | None],
    models: Sequence[Named],
    *,
    only: Named | None,
    mode: str | None,
    at: datetime | None,
) -> Comparison:
    """Price the calls of some days at other models.

    :param only: the provider and model whose calls are taken; all where it is not given.
    """
    runtime.flush_quietly()
    first, last = days
    calls = runtime.calls
    span = calls.days(first, last or calls.now().astimezone(calls.zone).date()).range
    start, end = span or (None, None)
    provider, model = only or (None, None)
    selection = Selection(start=start, end=end, provider=provider, model=model)
    with progress(count_selected(ledger, selection), "Pricing calls") as reached:
        return compare(ledger, selection, runtime.catalog, models, mode=mode, at=at, on_progress=reached)


_COLUMNS = (
    Column("provider", "Provider"),
    Column("model", "Model"),
    Column("total_cost", "All calls", words.money, number=True),
    Column("difference", "Difference", words.signed_money, number=True),
    Column("ratio", "Times", words.ratio, number=True),
    Column("unpriced", "Not priced", words.count, number=True),
)


def _rows(found: Comparison) -> list[dict[str, Cell]]:
    """The models, cheapest first; one that could not price every call has no total that can be compared."""
    known = None if found.recorded_unknown else found.recorded_cost
    rows: list[dict[str, Cell]] = []
    for each in sorted(found.models, key=lambda model: (model.unpriced > 0, model.total_cost)):
        total = None if each.unpriced else each.total_cost
        row: dict[str, Cell] = {"provider": each.provider, "model": each.model, "unpriced": each.unpriced}
        row |= {"total_cost": total, "difference": None, "ratio": None}
        if total is not None and known is not None:
            row["difference"] = total - known
            row["ratio"] = EXACT.divide(total, known) if known else None
        rows.append({column.name: row[column.name] for column in _COLUMNS})
    return rows


def echo_comparison(found: Comparison, output: Format) -> None:
    """Print what :func:`compare_recorded` found."""
    rows = _rows(found)
    if output == "json":
        echo_json(
            {
                "currency": "USD",
                "calls": found.calls,
                "recorded_cost": exact(found.recorded_cost),
                "recorded_unknown": found.recorded_unknown,
                "left": {reason: found.left[reason] for reason in _LEFT_OUT},
                "models": [{name: exact(value) for name, value in row.items()} for row in rows],
            }
        )
    elif output == "csv":
        echo_csv([column.name for column in _COLUMNS], rows)
    else:
        _echo_text(found, rows)


def _echo_text(found: Comparison, rows: Sequence[dict[str, Cell]]) -> None:
    told = f"{plural(found.calls, 'recorded call')}, which cost {words.money(found.recorded_cost)}"
    if found.recorded_unknown:
        told += f" without {plural(found.recorded_unknown, 'call')} of unknown cost"
    echo_table(Table("models", told, _COLUMNS, rows))
    for reason in _LEFT_OUT:
        if found.left[reason]:
            click.echo(f"Left out: {found.left[reason]:,}, because {LEFT[reason]}.")
