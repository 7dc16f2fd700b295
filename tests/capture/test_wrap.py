"""A method of a foreign client is recorded each time, and behaves as if it were not wrapped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import openai
import pytest

from flask_llm_cost import LLMCostTracker
from flask_llm_cost import UnknownPricingError
from flask_llm_cost import Usage
from flask_llm_cost import with_tags
from tests.capture.conftest import MakeApp
from tests.capture.conftest import TrackedApp
from tests.loopback import LoopbackProvider
from tests.wire_formats import chat_completion

PRICES = {
    "LLM_COST_PRICING_OVERRIDES": {"quay/gull-1": {"input": "2", "cache_read_input": "1", "output": "8"}}
}


@dataclass
class Answer:
    text: str
    prompt_tokens: int = 100
    completion_tokens: int = 10


class Chat:
    """The resource of a client, with a plain and an async method."""

    def complete(self, prompt: str, *, model: str = "gull-1") -> Answer:
        """Answer a prompt."""
        if prompt == "storm":
            raise ConnectionError("the quay is under water: sk-secret")
        return Answer(prompt.upper())

    async def acomplete(self, prompt: str) -> Answer:
        await asyncio.sleep(0)
        if prompt == "storm":
            raise ConnectionError("the quay is under water")
        return Answer(prompt.upper())


class Client:
    def __init__(self) -> None:
        self.chat = Chat()


def used(answer: Answer) -> dict[str, Any]:
    return {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}


@pytest.fixture
def app(make_app: MakeApp) -> TrackedApp:
    return make_app(config=PRICES)


def wrapped(app: TrackedApp, method: str = "chat.complete", **options: Any) -> Client:
    return app.tracker.wrap(
        Client(), method, **{"provider": "quay", "model": "gull-1", "usage": used, **options}
    )


def test_each_call_is_recorded_and_priced_and_its_answer_is_the_clients_own(app: TrackedApp) -> None:
    client = wrapped(app)
    with with_tags(user=7, feature="quay"):
        answer = client.chat.complete("low water")

    assert answer == Answer("LOW WATER")
    event = app.event
    assert (event.provider, event.model, event.operation, event.status) == ("quay", "gull-1", "chat", "ok")
    assert (event.input_tokens, event.output_tokens, event.usage_source) == (100, 10, "manual")
    assert event.total_cost == Decimal("0.00028")
    assert (event.user_id, event.tags) == ("7", {"feature": "quay"})
    assert event.latency_ms is not None
    assert client.chat.complete.__doc__ == "Answer a prompt."


def test_async_methods_are_recorded_when_they_have_answered(app: TrackedApp) -> None:
    client = wrapped(app, "chat.acomplete")

    async def both() -> list[Answer]:
        return await asyncio.gather(client.chat.acomplete("ebb"), client.chat.acomplete("flow"))

    assert asyncio.run(both()) == [Answer("EBB"), Answer("FLOW")]
    assert [event.total_cost for event in app.events] == [Decimal("0.00028")] * 2


@pytest.mark.parametrize("method", ["chat.complete", "chat.acomplete"])
def test_a_failure_is_a_row_and_reaches_the_caller_unchanged(app: TrackedApp, method: str) -> None:
    client = wrapped(app, method)

    def call() -> Any:
        if method == "chat.complete":
            return client.chat.complete("storm")
        return asyncio.run(client.chat.acomplete("storm"))

    with pytest.raises(ConnectionError, match="under water"):
        call()
    assert (app.event.status, app.event.error_type) == ("error", "ConnectionError")
    assert app.event.total_cost is None
    assert "sk-secret" not in repr(app.event)


def test_a_cancelled_call_is_aborted(app: TrackedApp) -> None:
    class Slow:
        async def ask(self) -> None:
            await asyncio.sleep(60)

    slow = app.tracker.wrap(Slow(), "ask", provider="quay", model="gull-1")

    async def leave() -> None:
        task = asyncio.create_task(slow.ask())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(leave())
    assert (app.event.status, app.event.error_type) == ("aborted", "CancelledError")


@pytest.mark.parametrize(
    ("told", "cost", "source"),
    [
        (Usage(input_tokens=100, output_tokens=10), "0.00028", "computed"),
        ({"cost": "0.0123"}, "0.0123", "caller"),
        ({"cost": Decimal("0.5"), "prompt_tokens": 7, "completion_tokens": 1}, "0.5", "caller"),
        (
            {"prompt_tokens": 100, "cache_read_input_tokens": 40, "completion_tokens": 10},
            "0.00024",
            "computed",
        ),
        (None, None, None),
    ],
    ids=["usage", "a known cost", "a cost and tokens", "cached tokens", "nothing"],
)
def test_the_answer_tells_what_was_used(app: TrackedApp, told: Any, cost: str | None, source: str) -> None:
    wrapped(app, usage=lambda answer: told).chat.complete("low water")
    assert app.event.total_cost == (None if cost is None else Decimal(cost))
    assert app.event.cost_source == source


@pytest.mark.parametrize(
    ("model", "asked", "recorded"),
    [
        ("gull-2", {}, "gull-2"),
        (None, {"model": "gull-3"}, "gull-3"),
        (None, {}, "unknown"),
        (lambda prompt, **rest: f"gull-{prompt}", {}, "gull-low water"),
    ],
    ids=["given", "the call's own", "nobody says", "of the arguments"],
)
def test_the_model_is_the_one_asked_for(
    app: TrackedApp, model: Any, asked: dict[str, str], recorded: str
) -> None:
    wrapped(app, model=model).chat.complete("low water", **asked)
    assert app.event.model == recorded


def test_the_model_that_answered_wins(app: TrackedApp) -> None:
    wrapped(app, usage=lambda answer: {**used(answer), "model": "gull-1-0301"}).chat.complete("low water")
    assert (app.event.model, app.event.requested_model) == ("gull-1-0301", "gull-1")


def test_tags_user_and_object_may_be_the_clients(app: TrackedApp) -> None:
    client = wrapped(
        app, tags={"feature": "tides", "user": 9, "request_type": "summary", "trackable": ("Pier", 4)}
    )
    client.chat.complete("low water")
    event = app.event
    assert (event.user_id, event.request_type, event.trackable_type) == ("9", "summary", "Pier")
    assert event.tags == {"feature": "tides"}


@pytest.mark.parametrize(
    "usage",
    [
        lambda answer: answer.missing,
        lambda answer: {"tokens": 3},
        lambda answer: {"prompt_tokens": -1},
        lambda answer: 17,
    ],
    ids=["raises", "an unknown name", "an impossible count", "no mapping"],
)
def test_a_usage_that_cannot_be_read_costs_the_call_nothing(
    app: TrackedApp, usage: Callable[[Answer], Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert wrapped(app, usage=usage).chat.complete("low water") == Answer("LOW WATER")
    assert (app.event.usage_source, app.event.total_cost) == ("unknown", None)
    assert "usage= of a wrapped method could not be read" in caplog.text
    assert app.runtime.counters["usage_errors"] == 1


def test_an_exception_that_the_app_asked_for_is_raised(make_app: MakeApp) -> None:
    app = make_app(config={"LLM_COST_UNKNOWN_PRICING": "raise"})
    with pytest.raises(UnknownPricingError):
        wrapped(app).chat.complete("low water")
    assert app.event.cost_status == "unknown"


def test_wrapping_twice_records_once(app: TrackedApp) -> None:
    client = wrapped(app)
    assert app.tracker.wrap(client, "chat.complete", provider="quay", usage=used) is client
    client.chat.complete("low water")
    assert len(app.events) == 1


def test_a_class_can_be_wrapped_for_all_its_objects(app: TrackedApp) -> None:
    class Local(Chat):
        pass

    app.tracker.wrap(Local, "complete", provider="quay", model="gull-1", usage=used)
    assert Local().complete("ebb") == Answer("EBB")
    assert Local().complete("flow") == Answer("FLOW")
    assert len(app.events) == 2
    Chat().complete("elsewhere")
    assert len(app.events) == 2


def test_what_it_sends_through_a_tapped_sdk_is_not_recorded_twice(
    app: TrackedApp, provider: LoopbackProvider, openai_client: openai.OpenAI
) -> None:
    class Agent:
        def ask(self) -> Any:
            return openai_client.chat.completions.create(
                model="gpt-5", messages=[{"role": "user", "content": "hi"}]
            )

    agent = app.tracker.wrap(
        Agent(), "ask", provider="quay", model="gull-1", usage=lambda answer: {"cost": "1"}
    )
    provider.answer(chat_completion("gpt-5"))
    agent.ask()
    assert [(event.provider, event.total_cost) for event in app.events] == [("quay", Decimal(1))]

    provider.answer(chat_completion("gpt-5"))
    openai_client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    assert [event.provider for event in app.events] == ["quay", "openai"], "beside it everything is recorded"


def test_switched_off_it_only_passes_the_call_on(make_app: MakeApp) -> None:
    app = make_app(config={"LLM_COST_ENABLED": False})
    assert wrapped(app).chat.complete("low water") == Answer("LOW WATER")
    assert app.events == []


class Sealed:
    __slots__ = ()

    def ask(self) -> None:
        """Cannot be replaced."""


class Fresh:
    @property
    def chat(self) -> Chat:
        return Chat()


@pytest.mark.parametrize(
    ("client", "method", "reason"),
    [
        (Client(), "chat.compleet", "Chat has no 'compleet'. Did you mean 'complete'?"),
        (Client(), "chats.complete", "Client has no 'chats'. Did you mean 'chat'?"),
        (Sealed(), "ask", "cannot be replaced"),
        (Fresh(), "chat.complete", "another object each time"),
    ],
    ids=["a wrong name", "a wrong path", "slots", "a property"],
)
def test_what_cannot_be_wrapped_is_refused_at_once(
    app: TrackedApp, client: Any, method: str, reason: str
) -> None:
    with pytest.raises(TypeError, match=reason.replace("?", r"\?")):
        app.tracker.wrap(client, method, provider="quay")


def test_a_wrong_operation_is_refused_at_once(app: TrackedApp) -> None:
    with pytest.raises(ValueError, match="operation must be one of"):
        app.tracker.wrap(Client(), "chat.complete", provider="quay", operation="talk")  # type: ignore[arg-type]


def test_a_tracker_of_several_apps_records_for_the_one_of_the_context(make_app: MakeApp) -> None:
    one, two = make_app("one", config=PRICES), make_app("two", config=PRICES)
    tracker: LLMCostTracker = one.tracker
    client = tracker.wrap(Client(), "chat.complete", provider="quay", model="gull-1", usage=used)
    with two.flask.app_context():
        client.chat.complete("low water")
    assert (len(one.events), len(two.events)) == (0, 1)
