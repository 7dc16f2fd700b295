"""What happens at a limit: told, raised afterwards, or refused before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import openai
import pytest
from flask import Flask

from flask_llm_cost import Budget
from flask_llm_cost import BudgetExceededError
from flask_llm_cost import LLMCostTracker
from flask_llm_cost import budget_exceeded
from flask_llm_cost import budget_threshold_reached
from flask_llm_cost.budgets.alerts import Alert
from flask_llm_cost.ledger import BudgetAlert
from tests.budgets.conftest import BudgetApp
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.test_reserve import ask
from tests.loopback import LoopbackProvider
from tests.made_events import NOON
from tests.made_events import event


@contextmanager
def told(app: BudgetApp) -> Iterator[list[tuple[str, Alert]]]:
    """The alerts that receivers of the app hear of."""
    heard: list[tuple[str, Alert]] = []

    def near(sender: object, alert: Alert) -> None:
        heard.append(("near", alert))

    def over(sender: object, alert: Alert) -> None:
        heard.append(("over", alert))

    with (
        budget_threshold_reached.connected_to(near, app.flask),
        budget_exceeded.connected_to(over, app.flask),
    ):
        yield heard


def write(app: BudgetApp, *costs: str, **values: Any) -> None:
    assert app.runtime.ledger is not None
    app.runtime.ledger.write([event(cost=cost, **values) for cost in costs])


def test_each_threshold_is_told_once_in_a_window(make_app: MakeBudgetApp) -> None:
    app = make_app(Budget("month", "1", "month"))
    with told(app) as heard:
        write(app, "0.4")
        assert not heard
        write(app, "0.1", "0.2")
        write(app, "0.1")
        write(app, "0.3")
        write(app, "5")

    assert [(name, alert.threshold, alert.spent) for name, alert in heard] == [
        ("near", Decimal("0.5"), Decimal("0.7")),
        ("near", Decimal("0.8"), Decimal("0.8")),
        ("over", Decimal(1), Decimal("1.1")),
    ]
    assert [row.threshold for row in app.rows(BudgetAlert)] == [Decimal("0.5"), Decimal("0.8"), Decimal(1)]


def test_another_window_is_told_of_anew(make_app: MakeBudgetApp) -> None:
    app = make_app(Budget("daily", "1", "day", thresholds=()))
    with told(app) as heard:
        write(app, "1")
        write(app, "1", occurred_at=NOON.replace(day=15))

    assert [alert.window_start.day for _, alert in heard] == [14, 15]


def test_two_processes_tell_a_threshold_once(make_app: MakeBudgetApp) -> None:
    budget = Budget("month", "1", "month", thresholds=())
    first, second = make_app(budget), make_app(budget)
    with told(first) as heard_first, told(second) as heard_second:
        write(first, "1")
        write(second, "1")

    assert len(heard_first) == 1
    assert not heard_second


def test_a_limit_of_single_calls_is_told_for_each_call_that_reaches_it(make_app: MakeBudgetApp) -> None:
    app = make_app(Budget("one", "1", "call"))
    with told(app) as heard:
        write(app, "0.9", "1", "3")

    assert sorted(alert.spent for _, alert in heard) == [Decimal(1), Decimal(3)]
    assert {alert.event_id for _, alert in heard} == {
        call.event_id for call in app.calls if (call.total_cost or 0) >= 1
    }


def test_a_receiver_that_fails_disturbs_nobody(make_sqlite_app: MakeBudgetApp) -> None:
    app = make_sqlite_app(Budget("month", "1", "month", thresholds=()))

    def fail(sender: object, alert: Alert) -> None:
        raise RuntimeError("no mail today")

    with budget_exceeded.connected_to(fail, app.flask), told(app) as heard:
        write(app, "1")

    assert len(heard) == 1
    assert app.runtime.counters.snapshot()["signal_errors"] == 1


def test_raise_stores_the_call_and_then_raises(
    make_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    app = make_app(Budget("tiny", "0.000001", "day", enforcement="raise"))

    with pytest.raises(BudgetExceededError, match="the limit is reached") as raised:
        ask(openai_client)

    (call,) = app.calls
    assert (call.status, raised.value.stage, raised.value.spent) == ("ok", "after", call.total_cost)
    assert len(provider.requests) == 1


def test_raise_knows_of_calls_that_wait_to_be_written(
    make_sqlite_app: MakeBudgetApp, openai_client: Any
) -> None:
    app = make_sqlite_app(Budget("tiny", "0.00025", "day", enforcement="raise"))
    with app.flask.app_context():
        ask(openai_client)
        ask(openai_client)
        with pytest.raises(BudgetExceededError) as raised:
            ask(openai_client)
        assert app.runtime.pending == 1

    assert raised.value.spent == sum(call.total_cost for call in app.calls)


def test_raise_reaches_a_coroutine(make_sqlite_app: MakeBudgetApp, provider: LoopbackProvider) -> None:
    app = make_sqlite_app(Budget("tiny", "0.000001", "day", enforcement="raise"))

    async def run() -> None:
        async with openai.AsyncOpenAI(api_key="loopback", base_url=f"{provider.url}/v1") as client:
            with pytest.raises(BudgetExceededError):
                await ask(client)

    asyncio.run(run())
    assert [call.status for call in app.calls] == ["ok"]


def test_block_refuses_when_the_ledger_says_that_the_limit_is_reached(
    make_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    app = make_app(Budget("soft", "0.00001", "day", enforcement="block", estimate=lambda request: 0))
    ask(openai_client)
    app.runtime.flush()

    with pytest.raises(BudgetExceededError, match="the limit is reached") as refused:
        ask(openai_client)

    assert (refused.value.stage, refused.value.estimate) == ("before", None)
    assert sorted(call.status for call in app.calls) == ["blocked", "ok"]
    assert len(provider.requests) == 1


def test_block_refuses_a_call_whose_estimate_crosses_the_limit(
    make_sqlite_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    make_sqlite_app(Budget("soft", "0.01", "day", enforcement="block"))

    with pytest.raises(BudgetExceededError, match="it would cross the limit"):
        ask(openai_client, max_completion_tokens=100_000)  # 20 cents
    ask(openai_client, max_completion_tokens=100)

    assert len(provider.requests) == 1


@pytest.mark.parametrize("enforcement", ["block", "reserve"])
def test_a_limit_of_single_calls_refuses_by_the_estimate_alone(
    make_sqlite_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider, enforcement: Any
) -> None:
    app = make_sqlite_app(Budget("one", "0.01", "call", enforcement=enforcement))

    with pytest.raises(BudgetExceededError, match="for one call"):
        ask(openai_client, max_completion_tokens=100_000)
    ask(openai_client, max_completion_tokens=100)

    assert len(provider.requests) == 1
    assert not app.reservations


def test_track_raises_after_the_call_is_recorded_where_it_is_asked_to(make_app: MakeBudgetApp) -> None:
    app = make_app(Budget("soft", "1", "day", enforcement="block"))
    call: Any = {"provider": "openai", "model": "gpt-5-mini", "cost": "2"}
    with app.flask.app_context():
        app.tracker.track(**call)
        with pytest.raises(BudgetExceededError):
            app.tracker.track(**call, enforce_budget=True)

    assert len(app.calls) == 2


def test_track_stream_raises_before_it_begins(make_sqlite_app: MakeBudgetApp) -> None:
    app = make_sqlite_app(Budget("soft", "1", "day", enforcement="block"))
    call: Any = {"provider": "openai", "model": "gpt-5-mini", "enforce_budget": True}
    with app.flask.app_context():
        with pytest.raises(BudgetExceededError) as raised, app.tracker.track_stream(**call, cost="2"):
            pass
        assert raised.value.stage == "after"
        with pytest.raises(BudgetExceededError) as raised:
            app.tracker.track_stream(**call)
        assert raised.value.stage == "before"


def test_code_can_ask_first(make_sqlite_app: MakeBudgetApp) -> None:
    app = make_sqlite_app(
        Budget("told", "1", "day"),
        Budget("soft", "1", "day", enforcement="block", per="tenant"),
        Budget("other", "1", "day", enforcement="block", where={"provider": "anthropic"}),
    )
    with app.flask.app_context():
        with app.tracker.with_tags(tenant="acme"):
            app.tracker.enforce_budget()
            app.tracker.track(provider="openai", model="gpt-5-mini", cost="2")
            with pytest.raises(BudgetExceededError, match="'acme'"):
                app.tracker.enforce_budget()
            assert [(each.budget, each.scope, each.spent) for each in app.tracker.budget_status()] == [
                ("told", "", 2),
                ("soft", "acme", 2),
                ("other", "", 0),
            ]
            assert len(app.tracker.budget_status(provider="openai")) == 2
        with app.tracker.with_tags(tenant="bolt"):
            app.tracker.enforce_budget()


def test_an_app_without_budgets_answers_all_the_same(make_sqlite_app: MakeBudgetApp) -> None:
    app = make_sqlite_app()
    with app.flask.app_context():
        app.tracker.enforce_budget()
        assert app.tracker.budget_status() == []
    assert app.runtime.budgets is None


def test_without_a_ledger_single_calls_have_a_limit_all_the_same() -> None:
    app = Flask("harbour")
    app.config.update(LLM_COST_STORAGE="log", LLM_COST_DASHBOARD=False)
    tracker = LLMCostTracker(app, budgets=[Budget("one", "1", "call", enforcement="raise")])
    heard: list[Alert] = []

    def over(sender: object, alert: Alert) -> None:
        heard.append(alert)

    try:
        with app.app_context(), budget_exceeded.connected_to(over, app):
            tracker.track(provider="openai", model="gpt-5-mini", cost="0.5")
            with pytest.raises(BudgetExceededError):
                tracker.track(provider="openai", model="gpt-5-mini", cost="2")
    finally:
        with app.app_context():
            tracker.shutdown(timeout=0)

    assert [alert.spent for alert in heard] == [2]
