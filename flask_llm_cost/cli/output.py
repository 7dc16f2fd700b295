"""How a command's answer is printed: aligned text for people, JSON and CSV for programs.

Text adapts to a terminal and is plain when it is piped: no colour, no boxes, nothing cut off. JSON and CSV
carry the exact values: money and quantities as decimal strings, times as ISO 8601.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import date
from datetime import datetime
from decimal import Decimal
from typing import Literal

import click
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from ..wording import spreadsheet_text

Format = Literal["table", "json", "csv"]
Cell = str | int | float | Decimal | bool | datetime | date | None
JSONValue = str | int | float | bool | None | Sequence["JSONValue"] | Mapping[str, "JSONValue"]

#: Styles of the words a check or a step can end with; only terminals see them.
STYLES = {"ok": "green", "warn": "yellow", "error": "bold red", "skip": "dim"}

# Wide enough for any row: without a terminal nothing may be folded or cut.
_UNLIMITED = 100_000
# A text column is folded down to this many characters before a line gets longer than the terminal.
_LEAST_TEXT = 12
_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a printed table.

    :param name: the key in JSON and the header in CSV.
    :param label: the header in text.
    :param show: how a value is worded in text; JSON and CSV have the value itself.
    """

    name: str
    label: str
    show: Callable[[Cell], str] | None = None
    number: bool = False

    def text(self, value: Cell) -> str:
        """``value`` as people read it, on one line and without control characters."""
        worded = self.show(value) if self.show else "" if value is None else str(value)
        return plain(worded)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title. ``empty`` is what text says instead of a table without rows."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Mapping[str, Cell]] = field(default_factory=tuple)
    empty: str = "none"
    status: str | None = None


def plain(text: str) -> str:
    """``text`` on one line; control characters, which can drive a terminal, become a replacement sign."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def exact(value: Cell) -> JSONValue:
    """``value`` for JSON: decimals as strings, so that no reader rounds them."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value


def echo_json(document: Mapping[str, JSONValue]) -> None:
    """Print one JSON document, in ASCII: no name can drive a terminal, and every encoding has it."""
    click.echo(json.dumps(document, indent=2))


def echo_csv(columns: Iterable[str], rows: Iterable[Mapping[str, Cell]]) -> None:
    """Print rows as CSV with one header; text that a spreadsheet would run as a formula is quoted."""
    names = list(columns)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_csv_cell(row.get(name)) for name in names] for row in rows)
    click.echo(buffer.getvalue(), nl=False)


def _csv_cell(value: Cell) -> JSONValue:
    return spreadsheet_text(plain(value)) if isinstance(value, str) else exact(value)


def echo_table(table: Table) -> None:
    """Print one table as text, fitted to the terminal or, when piped, as wide as its values."""
    if table.title:
        click.secho(table.title, bold=True)
    if not table.rows:
        click.echo(table.empty)
        return
    terminal = sys.stdout.isatty()
    drawn = _draw(table, terminal)
    buffer = io.StringIO()
    console = Console(file=buffer, force_terminal=terminal, width=_UNLIMITED, highlight=False, emoji=False)
    if terminal:
        # Text columns may fold; a number is never cut, even if the terminal is too narrow for it.
        console.width = max(shutil.get_terminal_size().columns, _least_width(table))
    console.print(drawn)
    click.echo("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()))


def _least_width(table: Table) -> int:
    widths = [
        max(len(column.label), *(len(column.text(row.get(column.name))) for row in table.rows))
        for column in table.columns
    ]
    return sum(
        (width if column.number else min(width, _LEAST_TEXT)) + _GAP
        for column, width in zip(table.columns, widths, strict=True)
    )


def _draw(table: Table, terminal: bool) -> RichTable:
    drawn = RichTable(
        box=box.SIMPLE_HEAD if terminal else None,
        pad_edge=False,
        show_edge=False,
        padding=(0, _GAP, 0, 0),
        header_style="bold",
    )
    for column in table.columns:
        drawn.add_column(
            column.label,
            justify="right" if column.number else "left",
            no_wrap=column.number or not terminal,
            overflow="fold",
        )
    for row in table.rows:
        drawn.add_row(*(_styled(table, column, row.get(column.name)) for column in table.columns))
    return drawn


def _styled(table: Table, column: Column, value: Cell) -> Text:
    text = column.text(value)
    return Text(text, style=STYLES.get(text, "") if column.name == table.status else "")
