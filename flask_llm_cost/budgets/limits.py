"""Which limit is in force for a value: set by command, told by the app's callable, or declared."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection
from sqlalchemy import delete
from sqlalchemy import insert

from ..counters import Counters
from ..counters import log_failure
from ..ledger.models import NAME_LENGTH
from ..ledger.rows import storable_text
from . import statements
from .matching import Claim
from .matching import WindowKey
from .statements import LIMITS


def set_limit(connection: Connection, budget: str, scope: str, limit: Decimal | None, by: str) -> None:
    """Let a limit stand in place of the declared one; ``None`` lets the declared one stand again."""
    column = LIMITS.columns
    connection.execute(delete(LIMITS).where(column.budget == budget, column.scope == scope))
    if limit is not None:
        connection.execute(
            insert(LIMITS).values(
                budget=budget,
                scope=scope,
                limit_amount=limit,
                changed_at=datetime.now(UTC),
                changed_by=storable_text(by, NAME_LENGTH),
            )
        )


class Limits:
    """The limits of an app's budgets."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def declared(self, claim: Claim) -> Decimal:
        """What the app says. A callable of its that fails leaves the limit of all values."""
        try:
            return claim.budget.limit_of(claim.scope)
        except Exception as error:
            what = f"Budget {claim.budget.name!r}: exceptions= failed, the common limit stands"
            log_failure(self._counters, "budget_errors", what, error)
            return claim.budget.limit

    def of(self, connection: Connection, claims: Iterable[Claim]) -> dict[WindowKey, Decimal]:
        """The limits in force."""
        wanted = list(claims)
        told = statements.limits_set(connection, {(claim.budget.name, claim.scope) for claim in wanted})
        found: dict[WindowKey, Decimal] = {}
        for claim in wanted:
            limit = told.get((claim.budget.name, claim.scope))
            found[claim.key] = self.declared(claim) if limit is None else limit
        return found
