"""Whether a call may be sent: the one place where all ways of enforcing a limit before it are decided."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from ..counters import Counters
from ..counters import log_failure
from ..errors import ConfigurationError
from ..ledger import EventRefused
from ..ledger import LedgerUnavailable
from ..pricing import Catalog
from .alerts import status_of
from .declaration import amount
from .estimate import Estimate
from .estimate import EstimateRequest
from .estimate import estimate_cost
from .leases import Lease
from .leases import Leases
from .limits import Limits
from .matching import Claim
from .matching import Demand
from .matching import WindowKey
from .pending import Pending
from .refusals import exceeded
from .refusals import not_seen
from .refusals import unavailable
from .refusals import without_bound
from .status import BudgetStatus
from .store import Full

_ZERO = Decimal(0)


class Store(Protocol):
    """What :class:`~.store.LedgerStore` and :class:`~.memory.MemoryStore` have in common for the gate."""

    def standing(self, claims: Sequence[Claim]) -> dict[WindowKey, BudgetStatus]: ...

    def reserve(self, demands: Sequence[Demand], event_id: str) -> None: ...


@dataclass(slots=True)
class Gate:
    """:param pending: what this process has recorded and not written yet, and has seen of the windows.
    :param others_see: waits a while until other processes see what this one has recorded; whether they do.
    """

    store: Callable[[], Store]
    leases: Leases
    limits: Limits
    catalog: Catalog
    counters: Counters
    pending: Pending
    others_see: Callable[[], bool]
    #: Whether the database did not tell when it was last asked: then nothing is waited for before.
    _is_silent: bool = False

    def pass_through(self, claims: Sequence[Claim], request: EstimateRequest, event_id: str) -> Lease | None:
        """Let a call pass, and set aside what it may cost.

        :returns: what the call holds while it is under way, where something was set aside.
        :raises BudgetExceededError: a limit forbids it. :raises BudgetUnavailableError: as the budget says.
        """
        estimates = _Estimates(request, self.catalog, self.counters)
        self._check_alone([claim for claim in claims if claim.budget.period == "call"], estimates)
        windowed = [claim for claim in claims if claim.budget.period != "call"]
        self._check_spent(
            [each for each in windowed if each.budget.enforcement in ("block", "raise")], estimates
        )
        hard = [each for each in windowed if each.budget.enforcement == "reserve"]
        return self._reserve(hard, estimates, event_id) if hard else None

    def check_reached(self, claims: Sequence[Claim]) -> None:
        """:raises BudgetExceededError: one of these limits is reached.

        :raises BudgetUnavailableError: as a budget says.
        """
        for _, status in self._standing(claims):
            if status.is_reached:
                raise exceeded(status, None, "before")

    def _check_alone(self, claims: Sequence[Claim], estimates: _Estimates) -> None:
        """Limits of single calls, which need no database."""
        for claim in claims:
            if claim.budget.enforcement not in ("block", "reserve"):
                continue
            status = status_of(claim, self.limits.declared(claim))
            estimate = estimates.of(claim)
            if estimate.cost is None:
                if claim.budget.enforcement == "reserve":
                    raise without_bound(status, estimate.reason)
            elif estimate.cost > status.limit:
                raise exceeded(status, estimate.cost, "before")

    def _check_spent(self, claims: Sequence[Claim], estimates: _Estimates) -> None:
        for claim, status in self._standing(claims):
            if claim.budget.enforcement != "block":
                continue
            if status.is_reached:
                raise exceeded(status, None, "before")
            cost = estimates.of(claim).cost
            if cost is not None and cost > status.remaining:
                raise exceeded(status, cost, "before")

    def _standing(self, claims: Sequence[Claim]) -> list[tuple[Claim, BudgetStatus]]:
        """Where these windows stand with what waits in this process; nothing where the database does not tell
        and calls are to pass.

        What this process has recorded is written first: else each would send as many calls as it likes that
        no other one sees.
        """
        if not claims:
            return []
        try:
            are_seen = self._is_silent or self.others_see()
            found = self.store().standing(claims)
            self._is_silent = False
        except (LedgerUnavailable, EventRefused, ConfigurationError) as error:
            self._is_silent = True
            self._unavailable(claims, error)
            return []
        if not are_seen:
            self._not_seen(claims)
        self.pending.saw(found)
        return [(claim, self._with_pending(found[claim.key], claim.key)) for claim in claims]

    def _with_pending(self, status: BudgetStatus, key: WindowKey) -> BudgetStatus:
        return replace(status, spent=status.spent + self.pending.of(key))

    def _reserve(self, claims: Sequence[Claim], estimates: _Estimates, event_id: str) -> Lease | None:
        demands = [self._demand(claim, estimates) for claim in claims]
        try:
            self.store().reserve(demands, event_id)
        except Full as full:
            status = full.status
            assert status is not None, "a store that is full says where it stands"  # noqa: S101
            raise exceeded(status, full.demand.amount, "before") from None
        except (LedgerUnavailable, EventRefused, ConfigurationError) as error:
            self.leases.unsure(event_id)  # a commit whose answer was lost may have set it aside
            self._unavailable(claims, error)
            return None
        return self.leases.hold(event_id, min(claim.budget.lease for claim in claims))

    def _demand(self, claim: Claim, estimates: _Estimates) -> Demand:
        estimate = estimates.of(claim)
        if estimate.cost is None:
            raise without_bound(self._standing_of(claim), estimate.reason)
        return Demand(claim, estimate.cost)

    def _standing_of(self, claim: Claim) -> BudgetStatus:
        try:
            return self.store().standing([claim])[claim.key]
        except (LedgerUnavailable, EventRefused, ConfigurationError):
            return status_of(claim, self.limits.declared(claim))

    def _unavailable(self, claims: Sequence[Claim], error: Exception) -> None:
        """:raises BudgetUnavailableError: a budget is to block then."""
        self.counters.add("budgets_unavailable")
        reason = getattr(error, "reason", type(error).__name__)
        for claim in claims:
            if claim.budget.on_unavailable == "block":
                raise unavailable(claim.budget, reason) from None
        what = "Calls pass although their budgets cannot be checked"
        log_failure(self.counters, "budgets_passed_unchecked", what, error.__cause__ or error)

    def _not_seen(self, claims: Sequence[Claim]) -> None:
        """:raises BudgetUnavailableError: a budget is to block then."""
        for claim in claims:
            if claim.budget.on_unavailable == "block":
                self.counters.add("budgets_unavailable")
                raise not_seen(claim.budget)
        what = "Calls pass although those that this process made before are not written yet"
        log_failure(self.counters, "budgets_passed_unseen", what, TimeoutError())


class _Estimates:
    """Of one request, each made once and when it is asked for."""

    def __init__(self, request: EstimateRequest, catalog: Catalog, counters: Counters) -> None:
        self._request = request
        self._catalog = catalog
        self._counters = counters
        self._made: dict[Decimal | None, Estimate] = {}

    def of(self, claim: Claim) -> Estimate:
        """By the budget's own rule, else the bound; without one, the budget's amount for such calls."""
        rule = claim.budget.estimate
        if callable(rule):
            return self._told(claim, rule)
        if rule not in self._made:
            self._made[rule] = estimate_cost(replace(self._request, cap=rule), self._catalog)
        return self._made[rule]

    def _told(self, claim: Claim, rule: Callable[[EstimateRequest], object]) -> Estimate:
        name = claim.budget.name
        try:
            told = rule(self._request)
            cost = None if told is None else amount(name, "estimate", told)
        except Exception as error:
            log_failure(self._counters, "budget_errors", f"Budget {name!r}: estimate= failed", error)
            return Estimate(cost=None, bounded=False, reason=f"estimate= failed with {type(error).__name__}")
        reason = "told by the app" if cost is not None else "estimate= told none"
        return Estimate(cost=cost, bounded=cost is not None, reason=reason)
