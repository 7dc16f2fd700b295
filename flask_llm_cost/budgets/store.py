"""Budgets in the ledger's database.

What a window has cost is kept in its row, in the very transaction that inserts the calls, and only of those
that are new: so it is exact to the last digit whatever is retried or replayed, covers every filter and every
value of ``per``, and is one row to read. Rollups could tell it of whole UTC hours, providers and models only,
and would have to be added up for each call.

A reservation is settled in that transaction too: from the moment it is made until its call's cost is in
``spent``, the window is never without either. That takes no transaction of its own, and a process that is
killed in between leaves a call in its journal or a reservation that expires, never a sum that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any
from typing import TypeVar

from sqlalchemy import Connection

from ..ledger import Ledger
from . import statements
from .alerts import Counted
from .alerts import status_of
from .counting import begin
from .counting import count_recorded
from .counting import held_rows
from .declaration import Budget
from .limits import Limits
from .listing import open_windows
from .matching import Claim
from .matching import Demand
from .matching import WindowKey
from .reached import reached_by_calls
from .reached import reached_by_windows
from .reached import single_calls
from .reached import store_alerts
from .status import BudgetStatus
from .tally import Sums
from .tally import merged
from .tally import released
from .tally import tally

T = TypeVar("T")

#: How often a reservation is tried again after room was made for it.
_ATTEMPTS = 4
#: So many alerts are remembered as told: the oldest make room.
REMEMBERED = 10_000


class Full(Exception):
    """A reservation does not fit. :param status: where the window stands."""

    def __init__(self, demand: Demand, status: BudgetStatus | None = None) -> None:
        super().__init__(demand.claim.budget.name)
        self.demand = demand
        self.status = status


class LedgerStore:
    """The windows of an app's budgets.

    :param ledger: makes or finds the ledger of our own connections.
    :param budgets: all that are declared.
    :param lock_wait: seconds to wait for somebody else's lock, as things are; ``None`` as the ledger does.
    """

    def __init__(
        self,
        ledger: Callable[[], Ledger],
        budgets: Sequence[Budget],
        limits: Limits,
        lock_wait: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._lock_wait = lock_wait
        self._budgets = budgets
        self._limits = limits
        #: What this process knows to be told.
        self._told: dict[object, None] = {}
        self._reserving = any(budget.enforcement == "reserve" for budget in budgets)

    def standing(self, claims: Sequence[Claim]) -> dict[WindowKey, BudgetStatus]:
        """Where the windows of these claims stand.

        :raises LedgerUnavailable: the database does not tell.
        """
        found = self._ledger().reading(partial(self._standing, claims=claims))
        if missing := [claim for claim in claims if claim.key not in found]:
            found |= self._write(partial(self._counted, claims=missing))
        return found

    def reserve(self, demands: Sequence[Demand], event_id: str) -> None:
        """Set aside all amounts, or none.

        :raises Full: one does not fit. :raises LedgerUnavailable: the database cannot be used.
        """
        ordered = sorted(demands, key=lambda demand: demand.key)
        for attempt in range(_ATTEMPTS):
            try:
                self._write(partial(self._reserve, demands=ordered, event_id=event_id))
                return
            except Full as full:
                status = self._make_room([demand.claim for demand in ordered], full.demand.key)
                if attempt == _ATTEMPTS - 1 or status.remaining < full.demand.amount:
                    raise Full(full.demand, status) from None

    def release(self, event_ids: Iterable[str]) -> None:
        """Take back what is set aside for calls that came to nothing.

        :raises LedgerUnavailable: it is not; it expires.
        """
        self._write(partial(self._release, event_ids=list(event_ids)))

    def renew(self, event_ids: Sequence[str], seconds: int) -> None:
        """Put off the end of the reservations of calls under way. :raises LedgerUnavailable: it is not."""
        self._write(lambda connection: statements.renew(connection, event_ids, seconds * 1000))

    # What the ledger tells, in its own transactions.

    def inserted(
        self, connection: Connection, calls: Sequence[Mapping[str, Any]], lease_of: Mapping[str, str]
    ) -> dict[WindowKey, Claim]:
        """Count calls and settle their reservations; the windows that have changed.

        The windows' rows come last: all processes share them, and they are held until the commit.

        :param lease_of: by event, under which other id its reservation was made, where it was.
        """
        reserved: dict[str, list[tuple[WindowKey, Decimal]]] = {}
        if self._reserving:
            events = {lease_of.get(call["event_id"], call["event_id"]): call["event_id"] for call in calls}
            claimed = statements.claim_reservations(connection, events)
            keys = statements.keys_of(connection, (each.budget_id for each in claimed))
            for each in claimed:
                if each.budget_id in keys:
                    reserved.setdefault(events[each.event_id], []).append((keys[each.budget_id], each.amount))
        counted = tally(calls, self._budgets, reserved)
        changes = merged(counted)
        for key in sorted(changes):
            if not statements.add_at(connection, key, changes[key]) and key in counted.claims:
                begin(connection, counted.claims[key], changes[key])
        return counted.claims

    def tell(self, claims: Mapping[WindowKey, Claim], calls: Sequence[Mapping[str, Any]]) -> Counted:
        """Where these windows stand now, and the thresholds that nobody has told of yet. Once the calls are
        committed.

        :raises LedgerUnavailable: the database does not tell; whoever counts calls next will.
        """
        standing = self.standing(list(claims.values()))
        alone = single_calls(calls, self._budgets)
        limits = (
            self._ledger().reading(partial(self._limits.of, claims=[claim for claim, _ in alone]))
            if alone
            else {}
        )
        reached = [*reached_by_windows(claims, standing), *reached_by_calls(alone, limits)]
        fresh = [alert for alert in reached if alert.key not in self._told]
        if fresh:
            mine = self._write(partial(store_alerts, alerts=fresh))
            self._told.update((alert.key, None) for alert in fresh)
            fresh = mine
        while len(self._told) > REMEMBERED:
            self._told.pop(next(iter(self._told)))
        return Counted(fresh, standing)

    def deleted(self, connection: Connection, calls: Sequence[Mapping[str, Any]]) -> None:
        """Take calls out of the windows in which they are counted."""
        counted = tally(calls, self._budgets, dict[str, list[tuple[int, Decimal]]](), sign=-1)
        rows = statements.windows_at(connection, counted.claims, lock=True)
        self._change(
            connection,
            {
                rows[key].id: sums
                for key, sums in counted.spent.items()
                if key in rows and rows[key].is_counted
            },
        )

    def listed(self, budgets: Sequence[Budget], now: datetime, most: int) -> list[BudgetStatus]:
        """The open windows of these budgets; of each at most so many, the dearest first.

        :raises LedgerUnavailable: the database does not tell.
        """
        return self._ledger().reading(
            partial(open_windows, budgets=budgets, limits=self._limits, now=now, most=most)
        )

    def _standing(self, connection: Connection, claims: Sequence[Claim]) -> dict[WindowKey, BudgetStatus]:
        rows = statements.windows_with_limits(connection, [claim.key for claim in claims])
        found: dict[WindowKey, BudgetStatus] = {}
        for claim in claims:
            row = rows.get(claim.key)
            if row is not None and row.is_counted:
                limit = self._limits.declared(claim) if row.limit_amount is None else row.limit_amount
                found[claim.key] = _status(claim, limit, row)
        return found

    def _write(self, work: Callable[[Connection], T]) -> T:
        return self._ledger().transaction(work, self._lock_wait())

    def _make_room(self, claims: Sequence[Claim], key: WindowKey) -> BudgetStatus:
        """Where a window stands that had no room, after what has expired is taken back.

        Its row is the one that all wait for: who is refused holds it only where that makes room.
        """
        found, has_expired = self._ledger().reading(
            partial(self._standing_and_expired, claims=claims, key=key)
        )
        if len(found) < len(claims) or has_expired:
            found = self._write(partial(self._counted, claims=claims))
        return found[key]

    def _standing_and_expired(
        self, connection: Connection, claims: Sequence[Claim], key: WindowKey
    ) -> tuple[dict[WindowKey, BudgetStatus], bool]:
        found = self._standing(connection, claims)
        has_room_to_make = key in found and found[key].reserved
        return found, bool(has_room_to_make) and statements.has_expired(connection, key)

    def _reserve(self, connection: Connection, demands: Sequence[Demand], event_id: str) -> None:
        for demand in demands:
            if not statements.add_reservation(connection, demand.claim, demand.amount, event_id):
                raise Full(demand)
        for demand in demands:
            declared = self._limits.declared(demand.claim)
            if not statements.take(connection, demand.claim, demand.amount, declared):
                raise Full(demand)

    def _counted(self, connection: Connection, claims: Sequence[Claim]) -> dict[WindowKey, BudgetStatus]:
        """Make rows that are missing, and take back what has expired; where the windows stand then."""
        rows = held_rows(connection, {claim.key: claim for claim in claims})
        count_recorded(connection, [claim for claim in claims if not rows[claim.key].is_counted])
        for row in rows.values():
            expired = statements.claim_expired(connection, row.id)
            self._change(connection, released((each.budget_id, each.amount) for each in expired))
        return self._standing(connection, claims)

    def _release(self, connection: Connection, event_ids: Sequence[str]) -> None:
        found = statements.claim_reservations(connection, event_ids)
        self._change(connection, released((each.budget_id, each.amount) for each in found))

    def _change(self, connection: Connection, changes: Mapping[int, Sums]) -> None:
        for window_id in sorted(changes):
            statements.add(connection, window_id, changes[window_id])


def _status(claim: Claim, limit: Decimal, row: Any) -> BudgetStatus:
    return status_of(claim, limit, **{name: getattr(row, name) for name in statements.SUMS})
