"""Hold the windows of budgets against the calls and reservations that they are made of, and mend them.

They are kept exactly by every process that knows of a budget. What they cannot know: calls that were written
by a process without it (an older version of the app, while a new one is rolled out), prices that were
changed afterwards, and calls that were deleted by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from functools import partial

from sqlalchemy import Connection
from sqlalchemy import func
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy import update

from ..ledger import Ledger
from ..ledger.meta import pruned_before
from . import statements
from .declaration import Budget
from .matching import Claim
from .statements import RESERVATIONS
from .statements import WINDOWS
from .windows import Window

_ZERO = Decimal(0)
#: Seconds to wait for somebody else's lock.
LOCK_WAIT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """One window before and after.

    :param reserved_before: without the reservations whose time was over.
    :param expired: how many those were; they are taken back.
    :param kept: why ``spent`` was left as it was, where calls are missing that it was made of.
    """

    budget: str
    scope: str
    window_start: datetime
    spent_before: Decimal
    spent: Decimal
    reserved_before: Decimal
    reserved: Decimal
    unpriced_before: Decimal
    unpriced: Decimal
    expired: int
    kept: str | None = None

    @property
    def drift(self) -> Decimal:
        """By how much what counts as spent was wrong."""
        return self.spent + self.unpriced - self.spent_before - self.unpriced_before

    @property
    def is_changed(self) -> bool:
        """Whether anything was wrong. That a reservation expired is not."""
        return bool(self.drift) or self.reserved != self.reserved_before


def reconcile(ledger: Ledger, budgets: Sequence[Budget], *, dry_run: bool = False) -> list[Reconciled]:
    """Mend every window that is open, or in which something is set aside.

    :raises LedgerUnavailable: the database cannot be used now; what was mended so far is.
    """
    found = []
    for budget in budgets:
        if budget.period != "call":
            for claim in ledger.reading(partial(_open, budget=budget, now=datetime.now(UTC))):
                found.append(ledger.transaction(partial(_mend, claim=claim, dry_run=dry_run), LOCK_WAIT))
    return found


def _open(connection: Connection, budget: Budget, now: datetime) -> list[Claim]:
    row = WINDOWS.columns
    rows = connection.execute(
        select(WINDOWS)
        .where(
            row.budget == budget.name,
            row.definition == budget.definition,
            or_(row.window_end.is_(None), row.window_end > now, row.reserved != _ZERO),
        )
        .order_by(row.scope, row.window_start)
    )
    return [Claim(budget, each.scope, Window(each.window_start, each.window_end)) for each in rows]


def _mend(connection: Connection, claim: Claim, dry_run: bool) -> Reconciled:
    before = statements.windows_at(connection, [claim.key], lock=True)[claim.key]
    # Whoever inserts calls, or settles, waits for the row: what it adds afterwards is not in these sums yet.
    expired = [] if dry_run else statements.claim_expired(connection, before.id)
    taken_back = sum((each.amount for each in expired), _ZERO)
    cost, calls, blocked = connection.execute(
        statements.sum_of_calls(claim.budget, claim.scope, claim.window)
    ).one()
    kept = _calls_are_missing(connection, claim.window)
    reserved = _reserved(connection, before.id)
    unpriced = before.unpriced
    if (
        unpriced
        and not connection.execute(
            statements.calls_without_cost(claim.budget, claim.scope, claim.window)
        ).scalar()
    ):
        unpriced = _ZERO
    spent = before.spent if kept else cost or _ZERO
    if not dry_run:
        changes = {"spent": spent, "calls": calls, "blocked_calls": blocked} if not kept else {}
        connection.execute(
            update(WINDOWS)
            .where(WINDOWS.columns.id == before.id)
            .values(
                **changes,
                reserved=reserved,
                unpriced=unpriced,
                is_counted=True,
                reconciled_at=datetime.now(UTC),
            )
        )
    return Reconciled(
        budget=claim.budget.name,
        scope=claim.scope,
        window_start=claim.window.start,
        spent_before=before.spent,
        spent=spent,
        reserved_before=before.reserved - taken_back,
        reserved=reserved,
        unpriced_before=before.unpriced,
        unpriced=unpriced,
        expired=len(expired),
        kept=kept,
    )


def _reserved(connection: Connection, window_id: int) -> Decimal:
    lease = RESERVATIONS.columns
    total = connection.execute(select(func.sum(lease.amount)).where(lease.budget_id == window_id)).scalar()
    return total or _ZERO


def _calls_are_missing(connection: Connection, window: Window) -> str | None:
    horizon = pruned_before(connection)
    if horizon is None or window.start >= horizon:
        return None
    return f"calls before {horizon:%Y-%m-%d %H:%M} UTC were pruned"
