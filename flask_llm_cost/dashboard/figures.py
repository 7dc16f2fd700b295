"""Single numbers of a page, larger than those of a table, each with what it is and where it leads."""

from __future__ import annotations

from dataclasses import dataclass

from . import charts
from .formats import Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number.

    :param note: a line under the label.
    :param meter: a bar under the note; its words are in ``note``.
    """

    label: str
    value: Shown
    href: str = ""
    note: str = ""
    meter: charts.Meter | None = None
