"""Which limit is in force for a value: set by command, told by the app's callable, or declared."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from sqlalchemy import Connection

from ..counters import Counters
from ..counters import log_failure
from . import statements
from .matching import Claim
from .matching import WindowKey


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
