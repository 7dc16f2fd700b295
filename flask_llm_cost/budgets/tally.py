"""What calls that were just recorded add to the windows of budgets. Values only; both stores use it."""

from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal
from typing import Any
from typing import Generic
from typing import TypeVar

from .declaration import Budget
from .matching import Claim
from .matching import Facts
from .matching import WindowKey
from .matching import claims_of

W = TypeVar("W", bound=Hashable)
Sums = dict[str, Decimal | int]
_ZERO = Decimal(0)


@dataclass(slots=True)
class Tally(Generic[W]):
    """:param spent: by window, what its calls have cost, and how many they are.
    :param settled: by the window of their reservations, what is taken back, and what became of it.
    """

    claims: dict[WindowKey, Claim] = field(default_factory=dict)
    spent: dict[WindowKey, Sums] = field(default_factory=dict)
    settled: dict[W, Sums] = field(default_factory=dict)


def tally(
    calls: Iterable[Mapping[str, Any]],
    budgets: Iterable[Budget],
    reserved: Mapping[str, Iterable[tuple[W, Decimal]]],
    sign: int = 1,
) -> Tally[W]:
    """:param reserved: by event, the windows in which an amount was set aside for it, and the amount."""
    windowed = [budget for budget in budgets if budget.period != "call"]
    found: Tally[W] = Tally()
    for call in calls:
        for claim in claims_of(windowed, Facts.of_row(call)):
            found.claims[claim.key] = claim
            _add(found.spent.setdefault(claim.key, {}), _spent(call), sign)
        for window, amount in reserved.get(call["event_id"], ()):
            _add(found.settled.setdefault(window, {}), _settled(call, amount), 1)
    return found


def merged(counted: Tally[W]) -> dict[W | WindowKey, Sums]:
    """All that changes, by window."""
    found: dict[W | WindowKey, Sums] = {}
    for changes in (counted.spent, counted.settled):
        for window, sums in changes.items():
            _add(found.setdefault(window, {}), sums, 1)
    return found


def released(amounts: Iterable[tuple[W, Decimal]]) -> dict[W, Sums]:
    """What is taken back of reservations whose calls came to nothing."""
    found: dict[W, Sums] = {}
    for window, amount in amounts:
        _add(found.setdefault(window, {}), {"reserved": -amount}, 1)
    return found


def _spent(call: Mapping[str, Any]) -> Sums:
    if call["status"] == "blocked":
        return {"blocked_calls": 1}
    return {"spent": call["total_cost"] or _ZERO, "calls": 1}


def _settled(call: Mapping[str, Any], amount: Decimal) -> Sums:
    if is_unpriced(call):
        return {"reserved": -amount, "unpriced": amount}
    cost = call["total_cost"] or _ZERO
    return {"reserved": -amount, "estimated": amount, "settled": cost, "excess": max(_ZERO, cost - amount)}


def is_unpriced(call: Mapping[str, Any]) -> bool:
    """Whether it was answered, and so billed, and nobody knows for how much: then the estimate stands.

    A call without any answer is taken to be free: else a provider that is down would use a budget up.
    """
    return call["cost_status"] == "unknown" and 200 <= (call["http_status"] or 0) < 300


def _add(sums: Sums, more: Sums, sign: int) -> None:
    for name, value in more.items():
        sums[name] = sums.get(name, 0) + sign * value
