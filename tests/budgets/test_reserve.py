"""Reservations: made before a call, settled with its row, given back where none comes of it."""

from __future__ import annotations

import gc
import time
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

import openai
import pytest
from sqlalchemy import text

from flask_llm_cost import BudgetExceededError
from flask_llm_cost.budgets.matching import Claim
from flask_llm_cost.budgets.matching import Demand
from flask_llm_cost.budgets.reconciling import reconcile
from flask_llm_cost.budgets.windows import window_of
from flask_llm_cost.ledger import BudgetWindow
from tests.budgets.conftest import BudgetApp
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.conftest import reserve
from tests.loopback import LoopbackProvider
from tests.made_events import event

MESSAGES: Any = [{"role": "user", "content": "Is the harbour open?"}]


def ask(client: Any, **options: Any) -> Any:
    return client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES, **options)


def test_a_call_that_fits_is_sent_and_its_cost_takes_the_place_of_its_reservation(
    make_app: MakeBudgetApp, openai_client: Any
) -> None:
    app = make_app(reserve())

    ask(openai_client)

    (call,) = app.calls
    window = app.window
    assert window.spent == call.total_cost > 0
    assert window.reserved == 0
    assert not app.reservations
    assert (window.estimated, window.settled, window.calls) == (Decimal("0.01"), call.total_cost, 1)


def test_a_call_under_way_is_set_aside(make_app: MakeBudgetApp, openai_client: Any) -> None:
    app = make_app(reserve())
    stream = ask(openai_client, stream=True)

    (lease,) = app.reservations
    assert lease.amount == app.window.reserved == Decimal("0.01")

    list(stream)
    assert app.window.reserved == 0


def test_a_call_that_does_not_fit_is_not_sent(
    make_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    app = make_app(reserve("0.015"))
    first = ask(openai_client, stream=True)

    with pytest.raises(BudgetExceededError) as refused:
        ask(openai_client)

    error = refused.value
    assert (error.budget, error.scope, error.limit) == ("hard", "", Decimal("0.015"))
    assert (error.spent, error.reserved, error.estimate) == (0, Decimal("0.01"), Decimal("0.01"))
    assert error.window_end is None
    assert len(provider.requests) == 1
    first.close()
    assert sorted(call.status for call in app.calls) == ["aborted", "blocked"]
    assert app.window.blocked_calls == 1
    assert app.window.calls == 1


def test_several_budgets_are_reserved_together_or_not_at_all(
    make_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    app = make_app(reserve("1", name="a wide one"), reserve("0.005", name="tight"), reserve("1", name="z"))

    with pytest.raises(BudgetExceededError, match="'tight'"):
        ask(openai_client)

    assert not app.reservations
    assert {window.reserved for window in app.rows(BudgetWindow)} <= {0}
    assert not provider.requests


def test_calls_from_before_the_budget_count_too(make_app: MakeBudgetApp, openai_client: Any) -> None:
    before = make_app(config={"LLM_COST_SERVICE": "old"})
    with before.flask.app_context():
        ask(openai_client)
        ask(openai_client)
    spent = sum(call.total_cost for call in before.calls)
    before.close()
    app = make_app(reserve())

    with app.flask.app_context():
        ask(openai_client)

    assert app.window.spent == sum(call.total_cost for call in app.calls) > spent
    assert app.window.calls == 3


def test_a_request_that_the_sdk_itself_refuses_leaves_nothing_set_aside(
    make_sqlite_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    app = make_sqlite_app(reserve())

    with pytest.raises(TypeError):
        ask(openai_client, extra_query={"a": object()}, extra_body={"no": object()})
    gc.collect()
    app.keeper.leases.catch_up()

    assert not provider.requests
    assert not app.reservations
    assert app.window.reserved == 0
    assert not app.calls


def test_a_refused_call_gives_its_reservation_back(
    make_sqlite_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    app = make_sqlite_app(reserve())
    provider.fail(400)

    with pytest.raises(openai.BadRequestError):
        ask(openai_client)

    assert (app.window.spent, app.window.reserved, app.window.unpriced, app.window.calls) == (0, 0, 0, 1)


def test_an_answered_call_without_usage_stays_at_its_estimate(
    make_sqlite_app: MakeBudgetApp, openai_client: Any
) -> None:
    app = make_sqlite_app(reserve())

    list(ask(openai_client, stream=True))  # openai tells no usage of a stream unless it is asked to

    window = app.window
    assert (window.spent, window.reserved, window.unpriced) == (0, 0, Decimal("0.01"))


def test_what_a_call_cost_over_its_estimate_is_recorded(
    make_sqlite_app: MakeBudgetApp, openai_client: Any
) -> None:
    app = make_sqlite_app(reserve(estimate=lambda request: "0.000000000001"))

    ask(openai_client)

    (call,) = app.calls
    assert app.window.excess == call.total_cost - Decimal("0.000000000001")


def test_the_bound_of_the_request_is_set_aside(make_sqlite_app: MakeBudgetApp, openai_client: Any) -> None:
    app = make_sqlite_app(reserve(estimate=None))

    ask(openai_client, max_completion_tokens=100)

    (call,) = app.calls
    # 100 tokens of output at $2 per million, and a few of input.
    assert Decimal("0.0002") < app.window.estimated < Decimal("0.0003")
    assert call.total_cost == app.window.settled


def test_a_call_without_any_bound_is_refused_in_words(
    make_sqlite_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    make_sqlite_app(reserve(estimate=None))

    with pytest.raises(BudgetExceededError, match=r"no upper bound \(openai/gpt-quay has no price\)"):
        openai_client.chat.completions.create(model="gpt-quay", messages=MESSAGES)

    assert not provider.requests


def test_the_amount_for_calls_without_a_bound_is_used_for_those_alone(
    make_sqlite_app: MakeBudgetApp, openai_client: Any
) -> None:
    app = make_sqlite_app(reserve(estimate="0.5"))

    stream = openai_client.chat.completions.create(model="gpt-quay", messages=MESSAGES, stream=True)

    assert app.window.reserved == Decimal("0.5")
    stream.close()
    ask(openai_client, max_completion_tokens=100)
    assert app.window.estimated < Decimal("0.1")


def test_a_killed_workers_reservation_is_free_after_its_time(
    make_app: MakeBudgetApp, openai_client: Any
) -> None:
    app = make_app(reserve("0.015", lease=1))
    demands = [Demand(claim, Decimal("0.01")) for claim in claims(app)]
    app.keeper.store().reserve(demands, "a-worker-that-was-killed")
    with pytest.raises(BudgetExceededError):
        ask(openai_client)

    time.sleep(1.1)
    ask(openai_client)

    (call,) = (call for call in app.calls if call.status == "ok")
    assert (app.window.spent, app.window.reserved) == (call.total_cost, 0)


def test_a_call_that_settles_after_its_reservation_expired_is_plain_spend(
    make_app: MakeBudgetApp, openai_client: Any
) -> None:
    app = make_app(reserve("1", lease=1))
    stream = ask(openai_client, stream=True, stream_options={"include_usage": True})
    time.sleep(1.1)
    ledger = app.keeper.ledger()
    (mended,) = reconcile(ledger, app.keeper.budgets)
    assert (mended.expired, mended.reserved, mended.is_changed) == (1, 0, False)

    list(stream)

    (call,) = app.calls
    assert (app.window.spent, app.window.reserved, app.window.estimated) == (call.total_cost, 0, 0)


def test_a_long_stream_renews_its_reservation(make_app: MakeBudgetApp, openai_client: Any) -> None:
    app = make_app(reserve("1", lease=3))
    stream = ask(openai_client, stream=True)
    (before,) = app.reservations
    for held in app.keeper.leases._held.values():
        held.renewed_at -= 2  # as if two of its three seconds were over

    assert app.keeper.leases._look()

    (after,) = app.reservations
    assert after.expires_at > before.expires_at
    stream.close()


def test_a_deleted_call_is_spent_no_more(make_app: MakeBudgetApp, openai_client: Any) -> None:
    app = make_app(reserve())
    ask(openai_client)
    ask(openai_client)
    first, second = app.calls

    app.runtime.ledger.delete_calls([first.event_id], keep_rollups=False)  # type: ignore[union-attr]

    assert (app.window.spent, app.window.calls) == (second.total_cost, 1)


def test_a_replayed_call_is_spent_once(make_app: MakeBudgetApp) -> None:
    app = make_app(reserve())
    ledger = app.runtime.ledger
    assert ledger is not None
    told = event(cost="0.25")

    ledger.write([told])
    ledger.write([told, event(cost="0.5")])

    assert (app.window.spent, app.window.calls) == (Decimal("0.75"), 2)


def test_an_app_in_memory_reserves_beside_its_open_transaction(
    make_sqlite_app: MakeBudgetApp, openai_client: Any, provider: LoopbackProvider
) -> None:
    app = make_sqlite_app(reserve("0.015"), url="sqlite://")
    with app.flask.app_context():
        app.db.session.execute(text("CREATE TABLE note (id INTEGER)"))
        app.db.session.execute(text("INSERT INTO note VALUES (1)"))
        stream = ask(openai_client, stream=True, stream_options={"include_usage": True})
        with pytest.raises(BudgetExceededError):
            ask(openai_client)
        list(stream)
        app.db.session.rollback()

    ask(openai_client)
    with app.flask.app_context():
        (status,) = app.tracker.budget_status()
        assert app.db.session.execute(text("SELECT count(*) FROM note")).scalar() == 0
    assert (status.calls, status.blocked_calls, status.reserved) == (2, 1, 0)
    assert len(provider.requests) == 2


def claims(app: BudgetApp) -> list[Claim]:
    moment = datetime.now(UTC)
    return [Claim(each, "", window_of(each.period, moment, each.zone)) for each in app.keeper.budgets]
