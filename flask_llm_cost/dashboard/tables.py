"""What a table shows, as values that one macro prints: aligned numbers, links, shares, a total row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal

from .formats import Shown

#: What a cell is worth outside of the page; ``None`` is not known, or not there.
Value = Decimal | int | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A small link inside a cell, such as a tag."""

    text: str
    href: str
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell.

    :param pad: digits to leave free behind the number, so that the column aligns to its decimal point.
    :param share: the width in percent of a bar behind the text.
    :param rank: the series whose colour stands before the text.
    :param code: an identifier, set in the code font.
    :param tone: the status whose colour the text has.
    :param sign: stands before the text, as "at least" does.
    :param moment: the ISO form of a time.
    :param value: what an export says instead of the text.
    :param absent: whether the text stands for "there is none", such as "without a user".
    :param prose: a sentence, which may take several lines.
    :param lines: the points of a sparkline that stands in the place of the text, which describes it.
    """

    text: str
    href: str = ""
    title: str = ""
    decimals: int = 0
    pad: int = 0
    share: float | None = None
    rank: int | None = None
    known: bool = True
    code: bool = False
    muted: bool = False
    tone: str = ""
    sign: str = ""
    links: tuple[Link, ...] = ()
    moment: str = ""
    value: Value = None
    absent: bool = False
    prose: bool = False
    lines: tuple[str, ...] = ()

    @property
    def exported(self) -> Value:
        """The cell in an export."""
        if self.absent or not self.known:
            return None
        if self.value is not None:
            return self.value
        return self.moment or "; ".join([link.text for link in self.links]) or self.text or None

    @classmethod
    def of(
        cls,
        shown: Shown,
        href: str = "",
        *,
        title: str = "",
        share: float | None = None,
        at_least: bool = False,
    ) -> Cell:
        """A number; ``at_least`` marks a sum in which some addends are unknown."""
        return cls(
            text=shown.text,
            sign="\u2265\u202f" if at_least and shown.known else "",
            href=href,
            title=title or shown.exact,
            decimals=shown.decimals,
            known=shown.known,
            share=share,
            value=shown.value,
            absent=shown.value is None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's header. ``sorted_by`` is ``ascending``, ``descending`` or empty; ``href`` sorts by it.

    :param value: the value of a dimension that the column is about, in a table of two.
    :param drawn: holds pictures of what other columns say: left out of exports.
    """

    label: str
    unit: str = ""
    numeric: bool = False
    href: str = ""
    sorted_by: str = ""
    roomy: bool = False
    drawn: bool = False
    value: str = ""

    @property
    def key(self) -> str:
        """The column's name in exports: ``spend_usd``, or the very value that it is about."""
        if self.value:
            return self.value
        return re.sub(r"\W+", "_", f"{self.label} {self.unit}".lower()).strip("_")


Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table whose first column heads its rows.

    :param name: unique within the page.
    :param total: the last row, equal to the sum of the others.
    :param dense: many columns: long names get less room.
    :param downloads: the same table to take away, by format.
    :param instead: why there are no rows on a page, and how to get them.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    total: Row | None = None
    hidden_caption: bool = False
    dense: bool = False
    downloads: tuple[Link, ...] = ()
    instead: str = ""


def aligned(table: Table) -> Table:
    """The same table with every number padded to its column's longest fraction."""
    rows = [*table.rows, *([table.total] if table.total else [])]
    longest = [
        max((row[index].decimals for row in rows if row[index].known), default=0)
        for index in range(len(table.columns))
    ]
    padded = [_padded(row, longest) for row in rows]
    total = padded.pop() if table.total else None
    return replace(table, rows=tuple(padded), total=total)


def _padded(row: Row, longest: list[int]) -> Row:
    return tuple(
        # A number without a fraction also lacks the point, which is about half a digit wide.
        replace(cell, pad=width - cell.decimals)
        if cell.known and cell.text and width and not cell.absent
        else cell
        for cell, width in zip(row, longest, strict=True)
    )
