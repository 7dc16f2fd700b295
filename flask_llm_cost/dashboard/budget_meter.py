"""A budget's meter in words and parts: spent, set aside and expected, beside its limit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ..budgets import BudgetStatus
from . import charts
from .formats import money
from .formats import percent

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the meter: ``spent``, ``reserved`` or ``projected``."""

    kind: str
    title: str
    span: charts.Span


@dataclass(frozen=True, slots=True)
class Gauge:
    """A meter that says what its parts are.

    :param words: the same for those who do not see it.
    :param limit: where the limit is, in percent of the width.
    """

    words: str
    parts: tuple[Part, ...]
    limit: float


def gauge(status: BudgetStatus, projected: Decimal | None) -> Gauge:
    """The meter of one window. Its end is the limit, or what is beyond it."""
    more = max(_ZERO, (projected or _ZERO) - status.used - status.reserved)
    told = [
        ("spent", status.used, f"{money(status.used)} spent"),
        ("reserved", status.reserved, f"{money(status.reserved)} set aside"),
        ("projected", more, f"{money(projected)} at the end of the window"),
    ]
    told = [each for each in told if each[1] > 0]
    amounts = [(rank, amount) for rank, (_, amount, _) in enumerate(told, start=1)]
    drawn = charts.meter(amounts, status.limit, [status.limit])
    parts = tuple(Part(kind, title, span) for (kind, _, title), span in zip(told, drawn.spans, strict=True))
    return Gauge(_words(status, projected), parts, drawn.marks[0] if drawn.marks else 0.0)


def _words(status: BudgetStatus, projected: Decimal | None) -> str:
    said = [f"{money(status.used)} of {money(status.limit)} spent ({percent(status.used, status.limit)})"]
    if status.reserved:
        said.append(f"{money(status.reserved)} set aside for calls under way")
    if projected is not None:
        said.append(f"{money(projected)} expected at the end of the window")
    return ", ".join(said)
