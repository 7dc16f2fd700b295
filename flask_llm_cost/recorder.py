"""One call's way from beginning to stored event: :meth:`Recorder.begin`, ``finish``, ``record``.

Everything here but :meth:`Recorder.judge` runs on the request thread between the SDK's answer and the return
to the host: no I/O but the ingest's own, and no arithmetic that nobody there waits for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from typing import Any

from flask import Flask

from .charges import Charges
from .charges import event_id_of
from .config import Config
from .context import attribution
from .context import scope_of_moment
from .counters import Counters
from .counters import log
from .counters import log_failure
from .errors import LLMCostError
from .errors import UnknownPricingError
from .event_ids import new_event_id
from .events import CallStart
from .events import Event
from .events import Observation
from .events import OpenCall
from .finished import finished_event
from .finished import unpriced
from .ingest import Ingest
from .pricing import Catalog
from .pricing import Price
from .pricing import caller_price
from .providers import DATA_RESIDENCY
from .providers import Sighting
from .providers import join_modes
from .providers import without_billed
from .sanitize import one_line
from .scope import Scope
from .signals import call_recorded

if TYPE_CHECKING:
    from .budgets.keeper import BudgetKeeper

#: So many models are warned about in one process: users may name them, and the log must not grow with that.
_WARNED_MODELS = 200


class Recorder:
    """Turns observed calls into events, prices them and hands them to the ingest."""

    def __init__(
        self,
        app: Flask,
        config: Config,
        catalog: Catalog,
        ingest: Ingest,
        counters: Counters,
        default_tags: Scope | Callable[[], Mapping[str, object]] | None = None,
        user_loader: Callable[[], object] | None = None,
        budgets: BudgetKeeper | None = None,
    ) -> None:
        self._app = app
        self._config = config
        self._catalog = catalog
        self._ingest = ingest
        self._counters = counters
        self._default_tags = default_tags
        self._user_loader = user_loader
        self._budgets = budgets
        self._service = config.service or app.name
        self._abandoned: deque[Event] = deque()
        #: The ids of containers whose sessions were billed already, by this process.
        self._billed_containers: dict[str, object] = {}
        #: What is told more than once, or later than the request was answered.
        self.charges = Charges(counters)
        self._warned_models: set[tuple[str, str]] = set()

    def storing_in(self, ingest: Ingest) -> Recorder:
        """One like this, which hands events to ``ingest``, asks no budget and remembers nothing of this one's
        calls.
        """
        return Recorder(
            self._app,
            self._config,
            self._catalog,
            ingest,
            self._counters,
            default_tags=self._default_tags,
            user_loader=self._user_loader,
        )

    def scope_here(self) -> Scope:
        """What is said of calls here and now, without the app's default tags."""
        return scope_of_moment(self._user_loader)

    def begin(self, start: CallStart) -> OpenCall:
        """Freeze what a call belongs to and when it began."""
        config = self._config
        return OpenCall(
            new_event_id(),
            self._service,
            datetime.now(UTC),
            time.monotonic_ns(),
            start,
            attribution(
                self._default_tags,
                self._user_loader,
                max_tags=config.max_tags,
                redacted_keys=config.redacted_tag_keys,
            ),
        )

    def postpone(self, sighting: Sighting) -> bool:
        """Have what was seen of a call judged by whoever writes it to the ledger; ``False`` where somebody
        here waits for its price, and :meth:`see` has to do it. Never raises, and runs no code of the host's.
        """
        if self._abandoned or self._config.unknown_pricing == "raise" or call_recorded.receivers:
            return False
        if self._budgets is not None and self._budgets.asks_for_costs:
            return False
        if not (sighting.can_wait and self._ingest.postpone(sighting)):
            return False
        self._counters.add("recorded")
        if self._budgets is not None:
            self._budgets.kept(sighting.call.event_id)
        return True

    def see(self, sighting: Sighting, *, from_finalizer: bool = False) -> None:
        """Record what was seen of a call, if it is one.

        :raises LLMCostError: as :meth:`record`.
        """
        found = sighting.observation()
        if not sighting.is_call(found):
            return
        found = without_billed(found, self._billed_containers)
        if found.charge_id is not None:
            self.settle(sighting.call, found, from_finalizer=from_finalizer)
        else:
            self.record(self.finish(sighting.call, found), from_finalizer=from_finalizer)

    def judge(self, sighting: Sighting) -> Event:
        """The event of a sighting that was kept unjudged, by this process or another."""
        event = self.finish(sighting.call, sighting.observation())
        self._check_priced(event)
        return event

    def finish(
        self,
        call: OpenCall,
        observation: Observation,
        *,
        cost: Decimal | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Event:
        """Price what was observed and build the event. ``cost`` is the caller's own exact charge in USD."""
        for problem in observation.problems:
            self.note_problem(call.start.provider, problem)
        mode = observation.pricing_mode if observation.mode_told else call.start.requested_mode
        if call.start.regional:
            mode = join_modes(mode, DATA_RESIDENCY)
        model = observation.model or call.start.requested_model or "unknown"
        price = self._price(call, observation, model, mode)
        if cost is not None:
            price = caller_price(cost)
        return finished_event(call, observation, model=model, mode=mode, price=price, details=details)

    def record(self, event: Event, *, from_finalizer: bool = False) -> None:
        """Hand the event over and tell the receivers of ``call_recorded``.

        A finalizer may run in any thread, at any moment, inside any lock: its event only waits here until
        :meth:`catch_up`.

        :raises StorageError: it could not be kept and ``LLM_COST_STORAGE_ERROR`` is "raise".
        :raises UnknownPricingError: it has no complete price and ``LLM_COST_UNKNOWN_PRICING`` is "raise".
        :raises BudgetExceededError: a budget whose enforcement is "raise" is reached.
        """
        if self._keep(event, from_finalizer) and not from_finalizer and self._budgets is not None:
            self._budgets.check(event)
        if not from_finalizer:
            self._check_priced(event)

    def settle(self, call: OpenCall, observation: Observation, *, from_finalizer: bool = False) -> None:
        """Record a charge that other answers may tell of as well: once, when it is told in full.

        A call that was begun here and whose end is told by another request keeps its tags and its start.

        :raises LLMCostError: as :meth:`record`.
        """
        event_id = event_id_of(call.start.provider, observation.charge_id or call.event_id)
        if self.charges.is_recorded(event_id):
            return
        if not observation.is_settled:
            self.charges.begun(event_id, call)
            return
        begun = self.charges.ended(event_id)
        told = _as_told(call, observation) if begun is None else begun
        event = self.finish(told._replace(event_id=event_id), observation)
        if begun is not None and begun.lease is not None:
            begun.lease.is_of(event_id)
        if self._keep(event, from_finalizer):
            self.charges.recorded(event_id)
            if not from_finalizer and self._budgets is not None:
                self._budgets.check(event)
        if not from_finalizer:
            self._check_priced(event)

    def catch_up(self) -> None:
        """Record what finalizers have left. Never raises: the calls it is about are long over."""
        while self._abandoned:
            try:
                event = self._abandoned.popleft()
            except IndexError:  # another thread took the last one
                return
            try:
                self._accept(event)
            except LLMCostError as error:
                log_failure(self._counters, "storage_errors", "A call could not be recorded", error)

    @property
    def pending(self) -> int:
        """How many events of finalizers wait to be recorded."""
        return len(self._abandoned)

    def forked(self) -> None:
        """In a forked child: what waits is the parent's to record."""
        self._abandoned.clear()

    def _keep(self, event: Event, from_finalizer: bool) -> bool:
        if from_finalizer:
            self._abandoned.append(event)
            return True
        if self._abandoned:
            self.catch_up()
        return self._accept(event)

    def _accept(self, event: Event) -> bool:
        if not self._ingest.accept(event):
            return False
        self._counters.add("recorded")
        if self._budgets is not None:
            self._budgets.recorded(event)
        for receiver in call_recorded.receivers_for(self._app):
            try:
                receiver(self._app, event=event)
            except Exception as error:
                log_failure(self._counters, "signal_errors", "A receiver of call_recorded failed", error)
        return True

    def _price(self, call: OpenCall, observation: Observation, model: str, mode: str | None) -> Price:
        if observation.usage is None and not observation.iterations and observation.provider_cost is None:
            return unpriced(observation)
        return self._catalog.price(
            provider=call.start.provider,
            model=model,
            usage=observation.usage,
            pricing_mode=mode,
            at=call.occurred_at,
            iterations=observation.iterations,
            provider_cost=observation.provider_cost,
            provider_fields=observation.provider_fields,
        )

    def note_problem(self, provider: str, problem: str) -> None:
        """Count what was wrong with an answer, and log it the first time."""
        if self._counters.add(f"problem:{provider}:{problem}") == 1:
            log.warning("%s: %s", provider, problem)
        self._counters.add("answer_problems")

    def _check_priced(self, event: Event) -> None:
        if event.cost_status not in ("unknown", "partial") or self._config.unknown_pricing == "ignore":
            return
        if event.usage_source == "unknown":
            return  # no usage was told: that is not a question of prices
        message = one_line(
            f"{event.provider}/{event.model} has no complete price; the call is recorded with cost "
            f"{event.cost_status}. Add it to LLM_COST_PRICING_OVERRIDES or LLM_COST_PRICES_FILE, or see "
            f"flask llm-cost prices explain --provider {event.provider} --model {event.model}."
        )
        if self._config.unknown_pricing == "raise":
            raise UnknownPricingError(message)
        named = (event.provider, event.model)
        if named not in self._warned_models and len(self._warned_models) < _WARNED_MODELS:
            self._warned_models.add(named)
            log.warning("%s", message)


def _as_told(call: OpenCall, observation: Observation) -> OpenCall:
    """A call that was begun elsewhere, in the provider's words where it has some."""
    told, start = observation.occurred_at or call.occurred_at, call.start
    if observation.operation is not None:
        start = start._replace(operation=observation.operation)
    return call._replace(occurred_at=min(told, call.occurred_at), start=start)
