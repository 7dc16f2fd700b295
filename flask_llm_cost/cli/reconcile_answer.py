"""How the ledger beside a provider's bill is printed."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal

import click

from ..reconciliation import Comparison
from ..reconciliation import Row
from ..wording import UNKNOWN
from ..wording import plural
from . import words
from .output import Cell
from .output import Column
from .output import Format
from .output import JSONValue
from .output import Table
from .output import echo_csv
from .output import echo_json
from .output import echo_table
from .output import exact

_STATES = {
    "agrees": "agrees",
    "drift": "drift",
    "only_provider": "not in the ledger",
    "only_ours": "not on the bill",
    "unknown": "cost unknown",
    "not_compared": "not compared",
    "differs": "differs",
}


def _in_words(value: Cell) -> str:
    return _STATES.get(str(value), str(value))


def _percent(value: Cell) -> str:
    return f"{value:+.2f} %" if isinstance(value, Decimal) else ""


def _amount(value: Cell) -> str:
    return value if isinstance(value, str) else "none" if value is None else words.plain_amount(value)


def _tolerance(value: Cell) -> str:
    return "" if value is None else words.plain_amount(value)


def _difference(value: Cell) -> str:
    return "" if value is None else words.plain_amount(value, signed=True)


def _count(value: Cell) -> str:
    return "none" if value is None else words.quantity(value)


def _more_or_less(value: Cell) -> str:
    return f"+{words.quantity(value)}" if isinstance(value, Decimal) and value > 0 else _count(value)


_KEY = (Column("provider", "Provider"), Column("currency", "Currency"))
_AMOUNTS = (
    Column("provider_amount", "Provider says", _amount, number=True),
    Column("our_amount", "Ledger says", _amount, number=True),
    Column("difference", "Difference", _difference, number=True),
    Column("percent", "%", _percent, number=True),
    Column("tolerance", "Rounding up to", _tolerance, number=True),
    Column("calls", "Calls", words.count, number=True),
    Column("unknown_calls", "Unknown cost", words.count, number=True),
    Column("state", "State", _in_words),
)
_QUANTITIES = (
    Column("provider_quantity", "Provider says", _count, number=True),
    Column("our_quantity", "Ledger says", _count, number=True),
    Column("difference", "Difference", _more_or_less, number=True),
    Column("percent", "%", _percent, number=True),
    Column("state", "State", _in_words),
)
_APART = (
    Column("provider", "Provider"),
    Column("source", "Source"),
    Column("row_type", "Type"),
    Column("line_item", "Line item"),
    Column("currency", "Currency"),
    Column("amount", "Amount", _amount, number=True),
    Column("lines", "Lines", number=True),
)


def echo_comparison(found: Comparison, output: Format, *, unmatched: bool) -> None:
    """Print a comparison. CSV is one table: its rows, or with ``unmatched`` what has no counterpart."""
    if output == "json":
        echo_json(_document(found))
    elif output == "csv":
        rows = found.unmatched if unmatched else found.rows
        keys = _keys(found, unmatched)
        echo_csv(
            [*keys, *_KEY_NAMES, *(column.name for column in _AMOUNTS)], [_cells(keys, row) for row in rows]
        )
    else:
        _echo(found, unmatched)
    if output == "csv":
        for remark in found.remarks:
            click.echo(remark, err=True)


_KEY_NAMES = tuple(column.name for column in _KEY)
#: By what :attr:`Comparison.unmatched` is split.
_FINEST = {"day": "Day (UTC)", "model": "Model", "line_item": "Line item"}


def _keys(found: Comparison, finest: bool = False) -> dict[str, str]:
    return dict(_FINEST) if finest else {each.name: each.label for each in found.split}


def _cells(keys: Mapping[str, str], row: Row) -> dict[str, Cell]:
    cells: dict[str, Cell] = dict(zip(keys, row.key, strict=True))
    for column in (*_KEY, *_AMOUNTS):
        cells[column.name] = getattr(row, column.name)
    return cells


def _echo(found: Comparison, unmatched: bool) -> None:
    if not found.providers:
        click.echo(
            f"Nothing is imported of {found.period}. Begin with: flask llm-cost reconcile import --provider "
            "openai"
        )
        return
    keys = _keys(found)
    rows = found.rows if found.split else found.totals
    _echo_rows(f"Ledger and bill, {found.period}", keys, rows)
    if found.split:
        _echo_rows("Totals", {}, found.totals)
    _echo_usage(found)
    if found.apart:
        cells = [{column.name: getattr(each, column.name) for column in _APART} for each in found.apart]
        click.echo()
        echo_table(Table("apart", "On the bill, and no cost: in no sum above", _APART, cells))
    if unmatched:
        title = f"Without a counterpart: {plural(found.unmatched_count, 'row')}"
        _echo_rows(title, _keys(found, True), found.unmatched, "Every row has one.")
    elif found.unmatched_count:
        click.echo(
            f"\nWithout a counterpart: {plural(found.unmatched_count, 'row')}; --unmatched shows them."
        )
    click.echo()
    for remark in found.remarks:
        click.echo(remark)
    click.echo(_verdict(found))


def _echo_rows(title: str, keys: Mapping[str, str], rows: Sequence[Row], empty: str = "none") -> None:
    click.echo()
    columns = (*_KEY, *(Column(name, label, _key_word) for name, label in keys.items()), *_AMOUNTS)
    echo_table(Table("rows", title, columns, [_read(keys, row) for row in rows], empty))


def _read(keys: Mapping[str, str], row: Row) -> dict[str, Cell]:
    """The cells to be read: calls of which no cost is known are not none."""
    cells = _cells(keys, row)
    if row.our_amount is None and row.unknown_calls:
        cells["our_amount"] = UNKNOWN
    return cells


def _key_word(value: Cell) -> str:
    return "(not told)" if value is None else str(value)


def _echo_usage(found: Comparison) -> None:
    if not found.usage:
        return
    keys = {name: label for name, label in _keys(found).items() if name != "line_item"}
    rows = [
        {
            **dict(zip(keys, each.key, strict=True)),
            "provider": each.provider,
            "component": each.component,
            **{column.name: getattr(each, column.name) for column in _QUANTITIES},
        }
        for each in found.usage
    ]
    named = (Column(name, label, _key_word) for name, label in keys.items())
    columns = (_KEY[0], *named, Column("component", "Quantity"), *_QUANTITIES)
    click.echo()
    echo_table(Table("usage", "Quantities, without a verdict", columns, rows))


def _verdict(found: Comparison) -> str:
    if not found.totals:
        return "Nothing could be compared."
    return f"The ledger and the bill {'differ' if found.drifts else 'agree'}. {found.thresholds}"


def _document(found: Comparison) -> Mapping[str, JSONValue]:
    keys = _keys(found)
    limits = found.thresholds
    quantity_keys = [name for name in keys if name != "line_item"]
    return {
        "from": found.period.days[0].isoformat(),
        "to": found.period.days[-1].isoformat(),
        "by": list(keys),
        "threshold_percent": exact(limits.percent),
        "threshold_amount": exact(limits.amount),
        "tolerance": exact(limits.tolerance),
        "drifts": found.drifts,
        "totals": [_exact(_cells({}, row)) for row in found.totals],
        "rows": [_exact(_cells(keys, row)) for row in found.rows],
        "usage": [
            {
                **_exact(dict(zip(quantity_keys, each.key, strict=True))),
                "provider": each.provider,
                "component": each.component,
                **_exact({column.name: getattr(each, column.name) for column in _QUANTITIES}),
            }
            for each in found.usage
        ],
        "apart": [
            _exact({column.name: getattr(each, column.name) for column in _APART}) for each in found.apart
        ],
        "unmatched": [_exact(_cells(_FINEST, row)) for row in found.unmatched],
        "unmatched_count": found.unmatched_count,
        "remarks": found.remarks,
    }


def _exact(cells: Mapping[str, Cell]) -> dict[str, JSONValue]:
    return {name: exact(value) for name, value in cells.items()}
