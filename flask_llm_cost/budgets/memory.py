"""Budgets of an app whose database is in memory: one process has it, and the windows are kept beside it.

On the one connection that it shares with the host nothing can be committed while the host's transaction is
open, and a reservation cannot wait for its end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from .alerts import Counted
from .alerts import status_of
from .declaration import Budget
from .limits import Limits
from .listing import open_window
from .matching import Claim
from .matching import Demand
from .matching import WindowKey
from .reached import reached_by_calls
from .reached import reached_by_windows
from .reached import single_calls
from .status import BudgetStatus
from .store import Full
from .tally import Sums
from .tally import merged
from .tally import released
from .tally import tally

_Lease = tuple[WindowKey, Decimal, float]


class MemoryStore:
    """As :class:`~.store.LedgerStore`, in this process alone."""

    def __init__(self, budgets: Sequence[Budget], limits: Limits) -> None:
        self._budgets = budgets
        self._limits = limits
        self._lock = threading.Lock()
        self._windows: dict[WindowKey, BudgetStatus] = {}
        self._leases: dict[str, list[_Lease]] = {}
        self._told: set[object] = set()

    def standing(self, claims: Sequence[Claim]) -> dict[WindowKey, BudgetStatus]:
        """Where the windows of these claims stand."""
        with self._lock:
            return {claim.key: self._window(claim) for claim in claims}

    def reserve(self, demands: Sequence[Demand], event_id: str) -> None:
        """Set aside all amounts, or none. :raises Full: one does not fit."""
        now = time.monotonic()
        with self._lock:
            self._expire(now)
            for demand in demands:
                status = self._window(demand.claim)
                if status.remaining < demand.amount:
                    raise Full(demand, status)
            for demand in demands:
                self._add(demand.key, {"reserved": demand.amount})
            self._leases[event_id] = [
                (demand.key, demand.amount, now + demand.claim.budget.lease) for demand in demands
            ]

    def release(self, event_ids: Iterable[str]) -> None:
        """Take back what is set aside for calls that came to nothing."""
        with self._lock:
            self._release(event_ids)

    def renew(self, event_ids: Sequence[str], seconds: int) -> None:
        """Put off the end of the reservations of calls under way."""
        until = time.monotonic() + seconds
        with self._lock:
            for event_id in event_ids:
                if event_id in self._leases:
                    self._leases[event_id] = [
                        (key, amount, until) for key, amount, _ in self._leases[event_id]
                    ]

    def inserted(
        self, connection: Connection, calls: Sequence[Mapping[str, Any]], lease_of: Mapping[str, str]
    ) -> dict[WindowKey, Claim]:
        """Count calls and settle their reservations; the windows that have changed."""
        with self._lock:
            reserved = {
                call["event_id"]: [
                    (key, amount)
                    for key, amount, _ in self._leases.pop(
                        lease_of.get(call["event_id"], call["event_id"]), ()
                    )
                ]
                for call in calls
            }
            counted = tally(calls, self._budgets, reserved)
            for claim in counted.claims.values():
                self._window(claim)
            for key, sums in merged(counted).items():
                self._add(key, sums)
            return counted.claims

    def tell(self, claims: Mapping[WindowKey, Claim], calls: Sequence[Mapping[str, Any]]) -> Counted:
        """Where these windows stand now, and the thresholds that nobody was told of yet."""
        with self._lock:
            standing = {key: self._windows[key] for key in claims}
            alone = single_calls(calls, self._budgets)
            limits = {claim.key: self._limits.declared(claim) for claim, _ in alone}
            reached = [*reached_by_windows(claims, standing), *reached_by_calls(alone, limits)]
            fresh = [alert for alert in reached if alert.key not in self._told]
            self._told.update(alert.key for alert in fresh)
            return Counted(fresh, standing)

    def deleted(self, connection: Connection, calls: Sequence[Mapping[str, Any]]) -> None:
        """Take calls out of the windows in which they are counted."""
        with self._lock:
            nothing: dict[str, list[tuple[WindowKey, Decimal]]] = {}
            for key, sums in tally(calls, self._budgets, nothing, sign=-1).spent.items():
                if key in self._windows:
                    self._add(key, sums)

    def listed(self, budgets: Sequence[Budget], now: datetime, most: int) -> list[BudgetStatus]:
        """The open windows of these budgets; of each at most so many, the dearest first."""
        with self._lock:
            found: list[BudgetStatus] = []
            for budget in budgets:
                start = open_window(budget, now).start
                mine = [
                    status
                    for key, status in self._windows.items()
                    if (key.budget, key.definition, key.start) == (budget.name, budget.definition, start)
                ]
                found += sorted(mine, key=lambda status: (-status.spent, status.scope))[:most]
            return found

    def _window(self, claim: Claim) -> BudgetStatus:
        found = self._windows.get(claim.key)
        if found is None:
            found = self._windows[claim.key] = status_of(claim, self._limits.declared(claim))
        return found

    def _add(self, key: WindowKey, sums: Sums) -> None:
        status = self._windows[key]
        changed: dict[str, Any] = {name: getattr(status, name) + value for name, value in sums.items()}
        self._windows[key] = replace(status, **changed)

    def _expire(self, now: float) -> None:
        over = [
            event_id for event_id, leases in self._leases.items() if min(until for *_, until in leases) <= now
        ]
        self._release(over)

    def _release(self, event_ids: Iterable[str]) -> None:
        amounts = [lease[:2] for event_id in event_ids for lease in self._leases.pop(event_id, ())]
        for key, sums in released(amounts).items():
            self._add(key, sums)
