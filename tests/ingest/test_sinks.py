"""Without a ledger each call is one line of the app's log."""

from __future__ import annotations

import pytest
from flask import Flask

from flask_llm_cost import LLMCostTracker
from flask_llm_cost.runtime import runtime_of
from tests import made_events


@pytest.fixture
def tracker() -> LLMCostTracker:
    app = Flask("shop")
    app.config.update(LLM_COST_STORAGE="log", LLM_COST_PRICING_OVERRIDES={"ours/basic": {"input": "2"}})
    return LLMCostTracker(app)


def test_a_call_is_one_line_with_its_cost_and_tags(
    tracker: LLMCostTracker, caplog: pytest.LogCaptureFixture
) -> None:
    with tracker.with_tags(user="7", tenant="Köln"):
        tracker.track(provider="ours", model="basic", input_tokens=500_000)
    (line,) = caplog.messages
    assert line.startswith("llm call ours/basic operation=chat status=ok input_tokens=500000")
    assert "cost=$1 cost_status=complete" in line
    assert line.endswith('user=7 endpoint=- tags={"tenant": "Köln"}')


def test_what_people_can_name_cannot_begin_a_line_of_its_own(
    tracker: LLMCostTracker, caplog: pytest.LogCaptureFixture
) -> None:
    with tracker.with_tags(user="7\nforged by a user", tenant="a\u2028forged by a tag"):
        tracker.track(provider="ours", model="basic\r\nforged by a model", input_tokens=1)
    assert len(caplog.messages) == 2, "the call, and that it has no price"
    assert all(len(line.splitlines()) == 1 for line in caplog.messages)


def test_the_line_of_an_abandoned_call_is_there_when_its_context_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Flask("shop")
    app.config["LLM_COST_STORAGE"] = "log"
    LLMCostTracker(app)
    with app.app_context():
        runtime_of(app).recorder.record(made_events.event(), from_finalizer=True)  # type: ignore[union-attr]
        assert caplog.messages == []
    (line,) = caplog.messages
    assert line.startswith("llm call openai/")
