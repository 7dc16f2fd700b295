"""The budgets of one app: what its calls, its ledger and its faces ask of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from typing import Any

from flask import Flask
from sqlalchemy import Connection

from ..context import event_loop_runs
from ..counters import Counters
from ..counters import log_failure
from ..errors import ConfigurationError
from ..events import Event
from ..events import OpenCall
from ..ledger import EventRefused
from ..ledger import Ledger
from ..ledger import LedgerSource
from ..ledger import LedgerUnavailable
from ..ledger import shared_connection
from ..pricing import Catalog
from ..providers import DATA_RESIDENCY
from ..providers import RequestFacts
from ..providers import join_modes
from ..signals import budget_exceeded
from ..signals import budget_threshold_reached
from .alerting.receivers import AlertReceivers
from .alerts import Alert
from .alerts import status_of
from .declaration import Budget
from .estimate import EstimateRequest
from .gate import Gate
from .leases import Lease
from .leases import Leases
from .limits import Limits
from .listing import open_window
from .matching import Claim
from .matching import Facts
from .matching import WindowKey
from .matching import claim_of
from .matching import claims_of
from .matching import could_count
from .memory import MemoryStore
from .pending import Pending
from .refusals import exceeded
from .status import BudgetStatus
from .store import LedgerStore

if TYPE_CHECKING:
    from ..ingest.choice import DatabaseIngest

#: Seconds that a call waits for a database server's lock, and for its process's earlier calls to be written:
#: many workers queue for one budget.
LOCK_WAIT = 5.0
#: The same where the whole database has one lock, which the app's own request may hold.
SQLITE_LOCK_WAIT = 0.2
#: Where the app holds nothing: others write, each for a moment.
SQLITE_QUEUE_WAIT = 3.0
#: Connections of our own at a time, one of them kept.
CONNECTIONS = 4


class BudgetKeeper:
    """:param budgets: in the order of their declaration; at least one."""

    def __init__(
        self,
        app: Flask,
        budgets: Sequence[Budget],
        source: LedgerSource | None,
        catalog: Catalog,
        counters: Counters,
    ) -> None:
        self.budgets = tuple(budgets)
        self.limits = Limits(counters)
        self._app = app
        self._source = source
        self._counters = counters
        self._asked_before = [budget for budget in self.budgets if budget.enforcement != "notify"]
        #: Whether what a call has cost is asked for as soon as it is over.
        self.asks_for_costs = any(budget.enforcement in ("raise", "block") for budget in self.budgets)
        self._pending = Pending(self._asked_before)
        self.leases = Leases(self._release, self._renew, counters, in_background=not app.testing)
        self._gate = Gate(
            self.store, self.leases, self.limits, catalog, counters, self._pending, self._others_see
        )
        self._memory = MemoryStore(self.budgets, self.limits)
        self._heard = threading.local()
        #: What writes the calls that other processes are stopped by.
        self.ingest: DatabaseIngest | None = None
        #: Has people told of thresholds, where the app wants that.
        self.alerts: AlertReceivers | None = None
        self._forget()

    # Before a call.

    def claims_before(self, call: OpenCall) -> list[Claim]:
        """The budgets that have a say before this call is sent; mostly none."""
        return list(claims_of(self._asked_before, Facts.of_call(call))) if self._asked_before else []

    def request_of(
        self, call: OpenCall, facts: RequestFacts, body: Mapping[str, Any] | None, has_files: bool
    ) -> EstimateRequest:
        """The call as estimates are made of it."""
        mode = call.start.requested_mode
        return EstimateRequest(
            provider=call.start.provider,
            model=call.start.requested_model or "",
            operation=call.start.operation,
            body=body,
            pricing_mode=join_modes(mode, DATA_RESIDENCY) if call.start.regional else mode,
            charges=facts.charges,
            has_files=has_files,
            at=call.occurred_at,
        )

    def admit(self, claims: Sequence[Claim], request: EstimateRequest, event_id: str) -> Lease | None:
        """Let a call pass, or not. May wait for the database, so never in an event loop's thread.

        :returns: what the call holds while it is under way, where something was set aside.
        :raises BudgetExceededError: a limit forbids it. :raises BudgetUnavailableError: as a budget says.
        """
        self.leases.catch_up()
        return self._gate.pass_through(claims, request, event_id)

    # After a call.

    def kept(self, event_id: str) -> None:
        """What was seen of the call is kept; who writes it finds out what it has cost."""
        self.leases.recorded(event_id)

    def recorded(self, event: Event) -> None:
        """The event is accepted for storing. Runs on the hot path and asks no database."""
        self.leases.recorded(event.event_id)
        if self._pending.add(event) and self.ingest is not None:
            self.ingest.hurry()
        if self._source is None:  # nobody writes it who would tell
            row = {name: getattr(event, name) for name in event.__dataclass_fields__}
            for alert in self._memory.tell({}, [row]).alerts:
                self._announce(alert)

    def check(self, event: Event, enforcement: Sequence[str] = ("raise",)) -> None:
        """:raises BudgetExceededError: a budget of this kind that counts the call is reached."""
        budgets = [budget for budget in self.budgets if budget.enforcement in enforcement]
        if not budgets or event.status == "blocked":
            return
        claims = list(claims_of(budgets, Facts.of_event(event)))
        cost = event.total_cost or Decimal(0)
        unseen = [
            claim
            for claim in claims
            if claim.budget.period != "call" and not self._pending.has_seen(claim.key)
        ]
        if unseen and not event_loop_runs():
            self._pending.saw(self._standing_if_told(unseen))
        for claim in claims:
            if claim.budget.period == "call":
                status = status_of(claim, self.limits.declared(claim), spent=cost)
            else:
                status = self._pending.status(claim, self.limits.declared(claim), cost)
            if status.is_reached:
                raise exceeded(status, cost, "after")

    # What the ledger tells, in the transactions of calls: see :class:`~flask_llm_cost.ledger.CallListener`.

    def inserted(self, connection: Connection, calls: Sequence[Mapping[str, Any]]) -> None:
        claims = self.store().inserted(connection, calls, self.leases.names)
        self._heard.last = (claims, calls)

    def deleted(self, connection: Connection, calls: Sequence[Mapping[str, Any]]) -> None:
        self.store().deleted(connection, calls)

    def committed(self) -> None:
        claims, calls = self._heard.__dict__.pop("last", ({}, ()))
        self._pending.written(call["event_id"] for call in calls)
        self.leases.settled([call["event_id"] for call in calls])
        self.leases.catch_up()
        if not calls:
            return
        try:
            told = self.store().tell(claims, calls)
        except (LedgerUnavailable, EventRefused) as error:
            what = "Thresholds of budgets are told of later"
            log_failure(self._counters, "budget_errors", what, error.__cause__ or error)
            return
        self._pending.saw(told.standing)
        for alert in told.alerts:
            self._announce(alert)
        if self.alerts is not None:
            self.alerts.begin()

    def _announce(self, alert: Alert) -> None:
        signal = budget_exceeded if alert.is_exceeded else budget_threshold_reached
        for receiver in signal.receivers_for(self._app):
            try:
                receiver(self._app, alert=alert)
            except Exception as error:
                log_failure(self._counters, "signal_errors", f"A receiver of {signal.name} failed", error)

    # For those who ask.

    def standing(self, claims: Sequence[Claim]) -> list[BudgetStatus]:
        """Where these windows stand, in the order of the claims.

        :raises LedgerUnavailable: the database does not tell.
        """
        self.leases.catch_up()
        windowed = [claim for claim in claims if claim.budget.period != "call"]
        found = self.store().standing(windowed) if windowed else {}
        return [
            found[claim.key] if claim.key in found else status_of(claim, self.limits.declared(claim))
            for claim in claims
        ]

    def statuses(self, now: datetime, most: int = 20) -> list[BudgetStatus]:
        """Where all budgets stand, in the order of their declaration.

        :param most: of a budget with a limit for each value, so many values, the dearest first.
        :raises LedgerUnavailable: the database does not tell.
        """
        common = [budget for budget in self.budgets if budget.per is None]
        claims = [Claim(budget, "", open_window(budget, now)) for budget in common]
        told = {status.budget: [status] for status in self.standing(claims)}
        of_values = [budget for budget in self.budgets if budget.per is not None]
        for status in self.store().listed(of_values, now, most) if of_values else ():
            told.setdefault(status.budget, []).append(status)
        return [status for budget in self.budgets for status in told.get(budget.name, ())]

    def status_here(self, call: OpenCall) -> list[BudgetStatus]:
        """Where the budgets stand that a call like this one is, or could be, under.

        :raises LedgerUnavailable: the database does not tell.
        """
        facts = Facts.of_call(call)
        concerned = [budget for budget in self.budgets if could_count(budget, facts)]
        return self.standing([claim_of(budget, facts) for budget in concerned])

    def enforce(self, call: OpenCall) -> None:
        """Ask whether a call like this one would be stopped as things are, whatever it may cost itself.

        :raises BudgetExceededError: a limit that stops calls is reached.
        :raises BudgetUnavailableError: as a budget says.
        """
        claims = claims_of(self._asked_before, Facts.of_call(call))
        self._gate.check_reached([claim for claim in claims if claim.budget.period != "call"])

    # Where windows are kept.

    def store(self) -> LedgerStore | MemoryStore:
        """Where this app's windows are kept.

        :raises ConfigurationError: the database is not initialised for the app.
        """
        if (made := self._made.get("store")) is None:
            source = self._source
            in_memory = source is None or shared_connection(source.get().engine)
            mine = (
                self._memory
                if in_memory
                else LedgerStore(self.ledger, self.budgets, self.limits, self._lock_wait)
            )
            made = self._made.setdefault("store", mine)
        return made

    def _lock_wait(self) -> float | None:
        """How long to wait for a lock: briefly for SQLite's where the app's own request may hold it."""
        source = self._source
        if source is None or source.get().engine.dialect.name != "sqlite":
            return None
        return SQLITE_LOCK_WAIT if source.host_is_busy() else SQLITE_QUEUE_WAIT

    def ledger(self) -> Ledger:
        """The ledger on connections of our own, which the writer does not hold up.

        :raises ConfigurationError: the database is not initialised for the app, or there is none.
        """
        if (made := self._ledgers.get("here")) is None:
            if self._source is None:
                raise ConfigurationError(
                    "Budgets of more than one call need the ledger: no database is used."
                )
            is_sqlite = self._source.get().engine.dialect.name == "sqlite"
            wait = SQLITE_LOCK_WAIT if is_sqlite else LOCK_WAIT
            mine = self._source.beside(connections=CONNECTIONS, lock_wait=wait)
            made = self._ledgers.setdefault("here", mine)
            if made is not mine:
                mine.engine.dispose()
        return made

    def forked(self) -> None:
        """In a forked child: reservations, counts and connections are the parent's."""
        for ledger in self._ledgers.values():
            ledger.forked()
        self._forget()
        self.leases.forked()
        self._pending.clear()
        if self.alerts is not None:
            self.alerts.forked()

    def close(self, timeout: float = 0.0) -> None:
        """Give back what calls have left, send alerts that wait for at most so many seconds, and stop."""
        self.leases.close()
        if self.alerts is not None:
            self.alerts.close(timeout)
        for ledger in self._ledgers.values():
            ledger.engine.dispose()

    def _forget(self) -> None:
        self._made: dict[str, LedgerStore | MemoryStore] = {}
        self._ledgers: dict[str, Ledger] = {}

    def _others_see(self) -> bool:
        """Wait for a while until other processes see what this one has recorded; whether they do."""
        if self.ingest is None or self.store() is self._memory or event_loop_runs():
            return True
        return self.ingest.seen_by_others(self._lock_wait() or LOCK_WAIT)

    def _release(self, event_ids: Sequence[str]) -> None:
        self.store().release(event_ids)

    def _renew(self, event_ids: Sequence[str], seconds: int) -> None:
        self.store().renew(event_ids, seconds)

    def _standing_if_told(self, claims: Sequence[Claim]) -> Mapping[WindowKey, BudgetStatus]:
        try:
            return self.store().standing(claims)
        except (LedgerUnavailable, EventRefused, ConfigurationError) as error:
            log_failure(
                self._counters,
                "budgets_passed_unchecked",
                "Calls pass although their budgets cannot be checked",
                error.__cause__ or error,
            )
            return {}
