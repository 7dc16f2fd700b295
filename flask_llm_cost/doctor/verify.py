"""The proof that a call arrives: a made-up one goes the whole way, is looked at, and is taken out again."""

from __future__ import annotations

import uuid
from collections.abc import Generator
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from .. import capture
from ..context import with_tags
from ..errors import LLMCostError
from ..events import Event
from ..ledger import CallTag
from ..ledger import Ledger
from ..ledger import LineItem
from ..ledger import LlmCall
from ..pricing import Price
from ..runtime import Runtime
from ..signals import call_recorded
from ..wording import plain_digits
from .advice import database_advice
from .advice import mend
from .advice import problems

#: The tag that marks made-up calls: ``feature=llm_cost_verify``.
TAG_VALUE = "llm_cost_verify"
#: Tried first, because most apps use them; any other priced model of the provider will do.
_USUAL_MODELS = ("gpt-5-mini", "gpt-5", "gemini-2.5-flash", "claude-sonnet-5", "claude-haiku-4-5")
_FLUSH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the proof.

    :param subject: the SDK, ``track()``, or what was looked at before any call.
    """

    subject: str
    name: str
    status: Literal["ok", "skip", "error"]
    evidence: str
    fix: str = ""


def verify_capture(runtime: Runtime) -> Iterator[Step]:
    """Send one made-up call per tapped SDK, per tapped HTTP package that the app has imported, and per HTTP
    package that can be given a transport of ours, through capture, price and ledger, and remove it again.

    Nothing leaves the machine. Receivers of ``call_recorded`` hear of the calls. Where nothing is installed
    that could call, the way of ``track()`` is proved. Where calls go to the log or to a callable, nothing is
    sent there.
    """
    if not runtime.config.enabled:
        evidence = "LLM_COST_ENABLED is False: nothing is recorded."
        yield Step("configuration", "enabled", "error", evidence, "Set LLM_COST_ENABLED = True.")
        return
    sdks = []
    for sdk in capture.status(runtime.config.instrument):
        if sdk.state == "active" or (sdk.state == "waiting" and not sdk.is_http):
            sdk = yield from _examined(sdk)
        if sdk.state == "active":
            sdks.append(sdk)
        else:
            yield _not_tapped(sdk)
    ledger = _usable_ledger(runtime)
    if isinstance(ledger, Step):
        yield ledger
        return
    for sdk in sdks:
        yield from _proved(runtime, ledger, sdk)
    ways = list(capture.transport_calls(runtime)) or [("track()", _tracked_by_hand(runtime))]
    for subject, call in ways:
        yield from _Proof(runtime, ledger, subject, "openai", call).steps()


def _examined(sdk: capture.SdkStatus) -> Generator[Step, None, capture.SdkStatus]:
    """What is found of an SDK once it is imported, as the app will import it."""
    yield Step(sdk.sdk, "found", "ok", f"{sdk.distribution} {sdk.version or '(its version is unknown)'}")
    try:
        loaded = capture.load(sdk.sdk)
    except Exception as error:
        # Whatever an SDK may raise when it is imported: its class is the evidence.
        return replace(sdk, state="incompatible", reason=f"Importing it failed ({type(error).__name__}).")
    if loaded.state == "waiting":
        return replace(loaded, state="incompatible", reason="It is installed and cannot be imported.")
    if loaded.state == "active":
        yield Step(sdk.sdk, "contract", "ok", "It looks as capture expects.")
        yield Step(sdk.sdk, "tapped", "ok", loaded.reason)
    return loaded


def _proved(runtime: Runtime, ledger: Ledger, sdk: capture.SdkStatus) -> Iterator[Step]:
    if sdk.made_up_call is None:
        evidence = "The package that brings this integration brings no made-up call."
        return iter([Step(sdk.sdk, "captured", "skip", evidence)])
    provider = "openai" if sdk.is_http else sdk.sdk
    return _Proof(runtime, ledger, sdk.sdk, provider, sdk.made_up_call).steps()


def _usable_ledger(runtime: Runtime) -> Ledger | Step:
    """The ledger, or why no call can be sent there."""
    try:
        ledger = runtime.ledger
    except LLMCostError as error:
        return Step("configuration", "database", "error", str(error), "flask llm-cost doctor")
    if ledger is None:
        evidence = f"Calls go elsewhere: {runtime.ingest.reason}. No made-up call was sent there."
        return Step("configuration", "storage", "skip", evidence)
    report = ledger.check_schema()
    if not report.ok:
        return Step("configuration", "database", "error", problems(report), mend(report))
    return ledger


def _not_tapped(sdk: capture.SdkStatus) -> Step:
    if sdk.state == "incompatible":
        fix = f"pip install --upgrade {sdk.distribution} flask-llm-cost, or record its calls with track()."
        return Step(sdk.sdk, "contract", "error", f"{sdk.distribution} {sdk.version}: {sdk.reason}", fix)
    return Step(sdk.sdk, "tapped", "skip", sdk.reason)


def _tracked_by_hand(runtime: Runtime) -> capture.MadeUpCall:
    def call(model: str, response_id: str) -> None:
        capture.track(
            runtime=runtime,
            provider="openai",
            model=model,
            usage=capture.USAGE,
            provider_response_id=response_id,
        )

    return call


class _Proof:
    """One made-up call, from the client to the ledger and out again."""

    def __init__(
        self, runtime: Runtime, ledger: Ledger, subject: str, provider: str, call: capture.MadeUpCall
    ) -> None:
        self._runtime = runtime
        self._ledger = ledger
        self._subject = subject
        self._provider = provider
        self._call = call
        self._response_id = f"{capture.ID_PREFIX}{uuid.uuid4().hex[:16]}"
        self._events: list[Event] = []

    def steps(self) -> Iterator[Step]:
        """The steps, up to the first that fails; whatever was stored is removed in any case."""
        model = self._model()
        if model is None:
            yield self._failed(
                "priced",
                f"No model of {self._provider} has a price.",
                "pip install --upgrade flask-llm-cost, or add prices to LLM_COST_PRICING_OVERRIDES.",
            )
            return
        captured = self._captured(model)
        yield captured
        if captured.status == "error":
            return
        event = self._events[0]
        yield self._priced(event)
        try:
            yield self._stored(event)
        finally:
            removed = self._removed(event)
        yield removed

    def _model(self) -> str | None:
        """A model of the provider that has a price for what the made-up answer says."""
        for model in _USUAL_MODELS:
            if self._price(model).cost_status == "complete":
                return model
        names = (match.key.partition("/") for match in self._runtime.catalog.entries())
        own = (model for provider, _, model in names if provider == self._provider)
        return next((model for model in own if self._price(model).cost_status == "complete"), None)

    def _price(self, model: str, at: datetime | None = None) -> Price:
        return self._runtime.catalog.price(
            provider=self._provider, model=model, usage=capture.USAGE, at=at or datetime.now(UTC)
        )

    def _captured(self, model: str) -> Step:
        def receive(sender: object, event: Event) -> None:
            if event.provider_response_id == self._response_id:
                self._events.append(event)

        try:
            with call_recorded.connected_to(receive), with_tags(feature=TAG_VALUE):
                self._call(model, self._response_id)
        except Exception as error:
            # Whatever an SDK, or an error the host opted into, may raise: its class is the evidence.
            return self._failed("captured", f"The call itself failed ({type(error).__name__}).")
        if len(self._events) != 1:
            return self._failed(
                "captured", f"The call was recorded {len(self._events)} times instead of once."
            )
        event = self._events[0]
        return self._passed("captured", f"{event.provider}/{event.model} was seen once.")

    def _priced(self, event: Event) -> Step:
        expected = self._price(event.model, event.occurred_at).total_cost
        if event.total_cost is None or event.total_cost != expected:
            return self._failed("priced", f"The cost is {event.total_cost} instead of {expected} USD.")
        return self._passed("priced", f"{plain_digits(expected)} USD for 1,000 tokens in and 100 out.")

    def _stored(self, event: Event) -> Step:
        try:
            written = self._runtime.flush(_FLUSH_SECONDS)
            problem = _differences(self._ledger, event)
        except (LLMCostError, SQLAlchemyError) as error:
            return self._failed("stored", database_advice(self._ledger, error))
        if problem is None:
            return self._passed("stored", "The row, its line items and its tag are in the ledger.")
        if not written:
            return self._failed("stored", "It still waits to be written.")
        return self._failed("stored", problem)

    def _removed(self, event: Event) -> Step:
        try:
            self._ledger.delete_calls([event.event_id], keep_rollups=False)
            with self._ledger.session() as session:
                left = session.scalar(select(LlmCall.id).where(LlmCall.event_id == event.event_id))
        except (LLMCostError, SQLAlchemyError) as error:
            return self._failed("removed", database_advice(self._ledger, error))
        if left is not None:
            return self._failed("removed", f"Call {left} is still in the ledger.", "Delete it by hand.")
        return self._passed("removed", "The row is gone, and the rollups are as before.")

    def _passed(self, name: str, evidence: str) -> Step:
        return Step(self._subject, name, "ok", evidence)

    def _failed(self, name: str, evidence: str, fix: str = "flask llm-cost doctor") -> Step:
        return Step(self._subject, name, "error", evidence, fix)


def _differences(ledger: Ledger, event: Event) -> str | None:
    """What the ledger has that the event has not, in a sentence; ``None`` where both agree."""
    with ledger.session() as session:
        call = session.scalar(select(LlmCall).where(LlmCall.event_id == event.event_id))
        if call is None:
            return "There is no row of it in the ledger."
        if call.total_cost != event.total_cost:
            return f"The row's cost is {call.total_cost} instead of {event.total_cost} USD."
        costs = list(session.scalars(select(LineItem.cost).where(LineItem.call_id == call.id)))
        if sum(cost or 0 for cost in costs) != event.total_cost:
            return "The line items do not add up to the cost."
        tags = set(session.scalars(select(CallTag.value).where(CallTag.call_id == call.id)))
        if tags != set(event.tags.values()):
            return "The tags of the row are not those of the call."
    return None
