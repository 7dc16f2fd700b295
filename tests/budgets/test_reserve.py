"""Reservations: made before a call, settled with its row, given back where none comes of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from flask_llm_cost import BudgetExceededError
from tests.budgets.conftest import MakeBudgetApp
from tests.budgets.conftest import reserve
from tests.loopback import LoopbackProvider

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
