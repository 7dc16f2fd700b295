"""A budget's meter: spent, reserved and projected beside its limit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ..budgets import BudgetStatus
from .formats import money
from .formats import percent

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the meter, in percent of its width."""

    kind: str
    start: str
    width: str
    title: str


@dataclass(frozen=True, slots=True)
class Meter:
    """:param words: the same for those who do not see it.
    :param limit: where the limit is, in percent of the width.
    """

    words: str
    spans: tuple[Span, ...]
    limit: str


def meter(status: BudgetStatus, projected: Decimal | None) -> Meter:
    """The meter of one window. Its end is the limit, or what is beyond it."""
    taken = status.used + status.reserved
    full = max(status.limit, taken, projected or _ZERO)
    parts = [
        ("spent", _ZERO, status.used, f"{money(status.used)} spent"),
        ("reserved", status.used, taken, f"{money(status.reserved)} set aside"),
        ("projected", taken, max(taken, projected or _ZERO), f"{money(projected)} at the end of the window"),
    ]
    spans = tuple(
        Span(kind, _share(start, full), _share(end - start, full), title)
        for kind, start, end, title in parts
        if end > start
    )
    said = [f"{money(status.used)} of {money(status.limit)} spent ({percent(status.used, status.limit)})"]
    if status.reserved:
        said.append(f"{money(status.reserved)} set aside for calls under way")
    if projected is not None:
        said.append(f"{money(projected)} expected at the end of the window")
    return Meter(", ".join(said), spans, _share(status.limit, full))


def _share(part: Decimal, full: Decimal) -> str:
    return f"{100 * part / full:.2f}" if full else "0.00"
