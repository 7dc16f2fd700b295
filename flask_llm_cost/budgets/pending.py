"""What this process has recorded and not written yet, and what it last saw of the windows: no I/O here."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from ..events import Event
from .alerts import status_of
from .declaration import Budget
from .matching import Claim
from .matching import Facts
from .matching import WindowKey
from .matching import claims_of
from .status import BudgetStatus

_ZERO = Decimal(0)
#: So many windows are remembered, and as many calls: the oldest make room.
REMEMBERED = 10_000


class Pending:
    """:param budgets: those that ask what is pending; without any nothing is remembered."""

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self._budgets = [budget for budget in budgets if budget.period != "call"]
        self.clear()

    def clear(self) -> None:
        """Forget all, as a forked child has to."""
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, list[tuple[WindowKey, Decimal]]] = OrderedDict()
        self._sums: dict[WindowKey, Decimal] = {}
        self._seen: OrderedDict[WindowKey, BudgetStatus] = OrderedDict()

    def add(self, event: Event) -> bool:
        """The event is accepted; whether others are stopped by no more than what they see of it."""
        if not self._budgets or not event.total_cost:
            return False
        claims = list(claims_of(self._budgets, Facts.of_event(event)))
        amounts = [(claim.key, event.total_cost) for claim in claims]
        if not amounts:
            return False
        with self._lock:
            self._waiting[event.event_id] = amounts
            for key, amount in amounts:
                self._sums[key] = self._sums.get(key, _ZERO) + amount
            if len(self._waiting) > REMEMBERED:
                self._forget(next(iter(self._waiting)))
        return any(claim.budget.enforcement != "reserve" for claim in claims)

    def written(self, event_ids: Iterable[str]) -> None:
        """These events are in the ledger: what is read of a window from now on has them."""
        if self._budgets:
            with self._lock:
                for event_id in event_ids:
                    self._forget(event_id)

    def of(self, key: WindowKey) -> Decimal:
        """What waits of a window."""
        return self._sums.get(key, _ZERO)

    def saw(self, found: Mapping[WindowKey, BudgetStatus]) -> None:
        """The database has told where windows stand."""
        with self._lock:
            for key, status in found.items():
                known = self._seen.get(key)
                # Of two answers that overtake each other the one that knows more stands.
                self._seen[key] = known if known is not None and known.used > status.used else status
                self._seen.move_to_end(key)
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)

    def has_seen(self, key: WindowKey) -> bool:
        """Whether the database has told of the window."""
        return key in self._seen

    def status(self, claim: Claim, limit: Decimal, least: Decimal) -> BudgetStatus:
        """Where a window stands as far as this process knows, with what waits.

        :param least: what is known to be spent if nothing else is.
        """
        with self._lock:
            seen = self._seen.get(claim.key) or status_of(claim, limit)
            return replace(seen, spent=max(seen.spent + self.of(claim.key), least))

    def _forget(self, event_id: str) -> None:
        for key, amount in self._waiting.pop(event_id, []):
            left = self._sums[key] - amount
            if left:
                self._sums[key] = left
            else:
                self._sums.pop(key)
