"""From an observation to an event: priced, attributed, nothing invented, nothing raised unasked."""

from __future__ import annotations

import gc
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from flask_llm_cost import LLMCostTracker
from flask_llm_cost import UnknownPricingError
from flask_llm_cost import Usage
from flask_llm_cost import call_recorded
from flask_llm_cost import with_tags
from flask_llm_cost.events import CallStart
from flask_llm_cost.events import Event
from flask_llm_cost.events import Iteration
from flask_llm_cost.events import Observation
from flask_llm_cost.recorder import Recorder
from flask_llm_cost.runtime import runtime_of

PRICES = {
    "acme/one": {"input": "2", "output": "8", "modes": {"batch": {"input": "1", "output": "4"}}},
    "acme/two": {"input": "10", "output": "20"},
}


class Shop:
    def __init__(self, **config: Any) -> None:
        self.events: list[Event] = []
        self.app = Flask("shop")
        self.app.config.update(LLM_COST_PRICING_OVERRIDES=PRICES, **config)
        LLMCostTracker(self.app, storage=self.events.append)
        runtime = runtime_of(self.app)
        assert runtime is not None
        self.runtime = runtime
        self.recorder: Recorder = runtime.recorder

    def observe(self, observation: Observation, **start: Any) -> Event:
        call = self.recorder.begin(
            CallStart(**{"provider": "acme", "operation": "chat", "requested_model": "one", **start})
        )
        event = self.recorder.finish(call, observation)
        self.recorder.record(event)
        return event


@pytest.fixture
def shop() -> Shop:
    return Shop()


def answered(**values: Any) -> Observation:
    usage = Usage(input_tokens=1_000_000, output_tokens=500_000, total_tokens=1_500_000)
    return Observation(**{"model": "one", "usage": usage, "usage_source": "response", **values})


def test_an_answer_becomes_a_priced_event(shop: Shop) -> None:
    with shop.app.test_request_context("/"), with_tags(user=7, feature="chat", request_type="support"):
        event = shop.observe(answered(provider_response_id="r-1", latency_ms=812))
    assert event.total_cost == Decimal("6")
    assert [(item.component, item.cost) for item in event.line_items] == [
        ("input", Decimal(2)),
        ("output", Decimal(4)),
    ]
    assert (event.user_id, event.request_type, dict(event.tags)) == ("7", "support", {"feature": "chat"})
    assert (event.service, event.total_tokens, event.cost_source) == ("shop", 1_500_000, "computed")
    assert shop.events == [event]


def test_the_served_mode_beats_the_requested_one(shop: Shop) -> None:
    requested = shop.observe(answered(), requested_mode="batch")
    served = shop.observe(answered(mode_told=True, pricing_mode=None), requested_mode="batch")
    assert (requested.pricing_mode, requested.total_cost) == ("batch", Decimal(3))
    assert (served.pricing_mode, served.total_cost) == (None, Decimal(6))


def test_a_call_that_was_bound_to_a_region_says_so_beside_its_served_mode(shop: Shop) -> None:
    plain = shop.observe(answered(), regional=True)
    batch = shop.observe(answered(mode_told=True, pricing_mode="batch"), regional=True)

    assert (plain.pricing_mode, batch.pricing_mode) == ("data_residency", "batch_data_residency")
    assert plain.total_cost == shop.observe(answered()).total_cost


def test_an_answer_without_a_model_is_the_requested_models(shop: Shop) -> None:
    assert shop.observe(answered(model=None)).model == "one"
    assert shop.observe(answered(model=None), requested_model=None).model == "unknown"


def test_an_iteration_at_another_model_is_billed_and_counted_on_top(shop: Shop) -> None:
    extra = Iteration(model="two", usage=Usage(input_tokens=100_000, output_tokens=0))
    event = shop.observe(answered(iterations=(extra,)))
    assert event.total_cost == Decimal("7")
    assert event.input_tokens == 1_100_000


def test_no_usage_is_unknown_and_never_zero(shop: Shop) -> None:
    event = shop.observe(Observation(status="aborted"), stream=True)
    assert (event.total_cost, event.cost_status, event.usage_source) == (None, "unknown", "unknown")
    assert (event.input_tokens, event.output_tokens, event.line_items) == (None, None, ())


def test_a_refusal_by_the_provider_costs_nothing_but_a_lost_connection_may(shop: Shop) -> None:
    refused = shop.observe(
        Observation(status="error", http_status=429, error_type="RateLimitError", attempts=3)
    )
    lost = shop.observe(Observation(status="error", error_type="APIConnectionError"))
    assert (refused.cost_status, refused.total_cost, refused.attempts) == ("free", None, 3)
    assert (lost.cost_status, lost.total_cost) == ("unknown", None)


def test_problems_of_an_answer_are_logged_once_and_counted(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        shop.observe(answered(usage=None, problems=("usage.prompt_tokens is negative",)))
    assert caplog.text.count("usage.prompt_tokens is negative") == 1
    assert shop.runtime.counters["answer_problems"] == 3


def test_over_long_names_are_cut_to_their_columns(shop: Shop) -> None:
    event = shop.observe(answered(model="m" * 500, provider_response_id="r" * 500, error_type="e" * 500))
    assert {len(event.model), len(event.provider_response_id or ""), len(event.error_type or "")} == {191}


class TestUnknownPricing:
    def test_warns_once_per_model(self, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(2):
            shop.observe(answered(model="nobody-knows"))
        assert caplog.text.count("acme/nobody-knows has no complete price") == 1
        assert "LLM_COST_PRICING_OVERRIDES" in caplog.text

    def test_stops_warning_where_users_name_the_models(
        self, shop: Shop, caplog: pytest.LogCaptureFixture
    ) -> None:
        for number in range(250):
            shop.observe(answered(model=f"nobody-knows-{number}"))
        assert caplog.text.count("has no complete price") == 200

    def test_can_be_silent(self, caplog: pytest.LogCaptureFixture) -> None:
        Shop(LLM_COST_UNKNOWN_PRICING="ignore").observe(answered(model="nobody-knows"))
        assert caplog.records == []

    def test_raises_after_the_call_was_stored(self) -> None:
        shop = Shop(LLM_COST_UNKNOWN_PRICING="raise")
        with pytest.raises(UnknownPricingError, match="acme/nobody-knows"):
            shop.observe(answered(model="nobody-knows"))
        assert len(shop.events) == 1

    def test_does_not_raise_about_a_call_without_usage(self) -> None:
        Shop(LLM_COST_UNKNOWN_PRICING="raise").observe(Observation(status="aborted"))


class TestFinalizers:
    def abandon(self, shop: Shop) -> Event:
        event = shop.recorder.finish(
            shop.recorder.begin(CallStart(provider="acme", operation="chat", requested_model="one")),
            answered(),
        )
        shop.recorder.record(event, from_finalizer=True)
        return event

    def test_their_events_wait_for_the_next_call(self, shop: Shop) -> None:
        abandoned = self.abandon(shop)
        assert shop.events == []
        assert shop.runtime.pending == 1
        event = shop.observe(answered())
        assert shop.events == [abandoned, event]

    def test_or_for_a_flush(self, shop: Shop) -> None:
        abandoned = self.abandon(shop)
        assert shop.runtime.flush()
        assert shop.events == [abandoned]

    def test_receivers_hear_of_them(self, shop: Shop) -> None:
        heard: list[Event] = []

        def receiver(app: Flask, event: Event) -> None:
            heard.append(event)

        with call_recorded.connected_to(receiver):
            abandoned = self.abandon(shop)
            shop.runtime.flush()
        assert heard == [abandoned]

    def test_a_finalizer_may_run_inside_any_of_our_locks(self, shop: Shop) -> None:
        class Bomb:
            def __init__(self, explode: Callable[[], object]) -> None:
                self.explode = explode
                self.me = self  # only the collector frees it

            def __del__(self) -> None:
                self.explode()

        Bomb(lambda: self.abandon(shop))
        with shop.runtime.counters._lock:
            gc.collect()
        assert shop.runtime.pending == 1
