"""The tables of the page on reconciliation: the ledger beside the bill, and the imports it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from ..reconciliation import Comparison
from ..reconciliation import ImportState
from ..reconciliation import Quantity
from ..reconciliation import Row as Compared
from .formats import Shown
from .formats import day
from .formats import exact_money
from .formats import money
from .formats import number
from .formats import signed
from .ledger_side import LedgerSide
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import aligned

#: What each state is called, and the tone of the word.
STATES = {
    "agrees": ("agrees", ""),
    "drift": ("drift", "error"),
    "only_provider": ("not in the ledger", "error"),
    "only_ours": ("not on the bill", "error"),
    "unknown": ("cost unknown", ""),
    "not_compared": ("not compared", ""),
    "differs": ("differs", ""),
}
_NOT_TOLD = "(not told)"
#: One side has nothing there, which is no amount of zero.
_NONE = Cell(text="none", muted=True, absent=True)
_UNKNOWN = Cell(text="unknown", muted=True, absent=True)


def compared_table(
    name: str, caption: str, rows: Sequence[Compared], side: LedgerSide, most: int | None = None
) -> Table | None:
    """Amounts of both sides; ``None`` where there is no row.

    :param side: finds the calls of a row, and says what rows are split by.
    :param most: how many rows are shown.
    """
    if not rows:
        return None
    by_item = any(each.name == "line_item" for each in side.split)
    columns = (
        Column(label="Provider"),
        Column(label="Currency"),
        *(Column(label=each.label) for each in side.split),
        Column(label="Bill", numeric=True),
        Column(label="Ledger", numeric=True),
        Column(label="Difference", numeric=True),
        Column(label="Per cent", unit="of the bill", numeric=True),
        Column(label="Rounding", unit="up to", numeric=True),
        Column(label="Line items" if by_item else "Calls", numeric=True),
        Column(label="Unknown", unit="cost", numeric=True),
        Column(label="State"),
    )
    cells = tuple(_compared(row, side) for row in rows[:most])
    return aligned(Table(name=name, caption=caption, columns=columns, rows=cells, dense=True))


def _compared(row: Compared, side: LedgerSide) -> Row:
    words, tone = STATES[row.state]
    calls, unknown = side.calls(row), side.calls(row, unknown=True) if row.unknown_calls else ""
    is_unknown = row.our_amount is None and row.unknown_calls
    ours = _UNKNOWN if is_unknown else _amount(row.our_amount, row.currency)
    return (
        Cell(text=row.provider),
        Cell(text=row.currency),
        *(_key(value) for value in row.key),
        _amount(row.provider_amount, row.currency),
        replace(ours, href=calls),
        _amount(row.difference, row.currency, signed=True),
        _percent(row.percent),
        _amount(row.tolerance, row.currency),
        Cell.of(number(row.calls), calls),
        Cell.of(number(row.unknown_calls), unknown),
        Cell(text=words, value=row.state, tone=tone, muted=row.state == "not_compared"),
    )


def _count(value: Decimal | None) -> Cell:
    return _NONE if value is None else Cell.of(number(value))


def _more_or_less(value: Decimal | None) -> Cell:
    if not value:
        return _count(value)
    return Cell(text=signed(value, number(abs(value))), value=value)


def _percent(value: Decimal | None) -> Cell:
    if value is None:
        return _NONE
    size = f"{abs(value):,.2f}\u202f%"
    return Cell(text=signed(value, Shown(size)), value=value, decimals=2)


def _key(value: str | date | None) -> Cell:
    if value is None:
        return Cell(text=_NOT_TOLD, muted=True, absent=True)
    if isinstance(value, date):
        return Cell(text=day(value), value=value.isoformat())
    return Cell(text=value, title=value)


def _amount(amount: Decimal | None, currency: str, *, signed: bool = False) -> Cell:
    """An amount in its currency; nothing where one side has none."""
    if amount is None:
        return _NONE
    sign = "+" if signed and amount > 0 else ""
    if currency == "USD":
        shown = money(amount)
        return Cell(text=f"{sign}{shown.text}", title=shown.exact, value=amount, decimals=shown.decimals)
    return Cell(text=f"{sign}{exact_money(amount)} {currency}", value=amount)


def usage_table(labels: Sequence[str], rows: Sequence[Quantity], most: int | None = None) -> Table | None:
    """Quantities of both sides."""
    if not rows:
        return None
    columns = (
        Column(label="Provider"),
        *(Column(label=label) for label in labels),
        Column(label="Quantity"),
        Column(label="Bill", numeric=True),
        Column(label="Ledger", numeric=True),
        Column(label="Difference", numeric=True),
        Column(label="State"),
    )
    cells = tuple(
        (
            Cell(text=row.provider),
            *(_key(value) for value in row.key),
            Cell(text=row.component, code=True),
            *(_count(value) for value in (row.provider_quantity, row.our_quantity)),
            _more_or_less(row.difference),
            Cell(text=STATES[row.state][0], value=row.state, muted=row.state == "not_compared"),
        )
        for row in rows[:most]
    )
    return aligned(Table(name="usage", caption="Quantities, without a verdict", columns=columns, rows=cells))


def apart_table(found: Comparison) -> Table | None:
    """Lines that are no cost."""
    if not found.apart:
        return None
    columns = (
        Column(label="Provider"),
        Column(label="Type"),
        Column(label="Line item"),
        Column(label="Amount", numeric=True),
        Column(label="Currency"),
    )
    cells = tuple(
        (
            Cell(text=each.provider),
            Cell(text=each.row_type),
            _key(each.line_item),
            _amount(each.amount, each.currency or ""),
            Cell(text=each.currency) if each.currency else _key(None),
        )
        for each in found.apart
    )
    return aligned(
        Table(name="apart", caption="On the bill, and no cost: in no sum", columns=columns, rows=cells)
    )


def imports_table(found: Sequence[ImportState]) -> Table | None:
    """What was imported, the last one first."""
    if not found:
        return None
    columns = (
        Column(label="Provider"),
        Column(label="Source"),
        Column(label="Days", unit="UTC"),
        Column(label="Lines", numeric=True),
        Column(label="State"),
        Column(label="When", unit="UTC"),
    )
    cells = tuple(
        (
            Cell(text=each.provider),
            Cell(text=each.source, code=True),
            Cell(text=str(each.period), title=str(each.period)),
            Cell.of(number(each.lines)),
            Cell(text=each.status, tone="" if each.status == "complete" else "error"),
            Cell(text=f"{each.changed_at:%Y-%m-%d %H:%M}", moment=each.changed_at.isoformat()),
        )
        for each in found
    )
    return aligned(Table(name="imports", caption="Imports", columns=columns, rows=cells))
