"""Without a ledger each call is one line of the app's log, or goes to a callable of the host's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_llm_cost import ConfigurationError
from flask_llm_cost import LLMCostTracker
from flask_llm_cost import StorageError
from flask_llm_cost import call_recorded
from flask_llm_cost.events import Event
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


def told(app: Flask, *command: str) -> str:
    """What a command says, whatever its exit status."""
    return app.test_cli_runner().invoke(args=["llm-cost", *command]).output


def call(tracker: LLMCostTracker) -> Event | None:
    return tracker.track(provider="openai", model="gpt-4o-mini", input_tokens=1000)


def with_storage(storage: Callable[[Event], object] | None, **config: Any) -> tuple[Flask, LLMCostTracker]:
    """An app without a database; ``None`` stands for its log."""
    app = Flask("shop")
    app.config.update(config, **({"LLM_COST_STORAGE": "log"} if storage is None else {}))
    return app, LLMCostTracker(app, storage=storage)


def test_a_callable_gets_each_event_and_signals_are_sent_after_it() -> None:
    kept: list[Event] = []
    seen: list[tuple[Event, int]] = []
    app, tracker = with_storage(kept.append)

    def receiver(sender: object, event: Event) -> None:
        seen.append((event, len(kept)))

    with call_recorded.connected_to(receiver, app):
        call(tracker)
    assert seen == [(kept[0], 1)]
    assert app.extensions["llm_cost"].counters["recorded"] == 1
    assert tracker.flush(0)


def test_a_call_that_the_callable_does_not_keep_is_not_announced() -> None:
    seen: list[Event] = []
    app, tracker = with_storage(lambda event: False)

    def receiver(sender: object, event: Event) -> None:
        seen.append(event)

    with call_recorded.connected_to(receiver, app):
        call(tracker)
    counts = app.extensions["llm_cost"].counters
    assert (seen, counts["recorded"], counts["declined"], counts["storage_errors"]) == ([], 0, 1, 0)


class Broken(logging.Filter):
    """A log that cannot be written to, and a callable that fails."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.getMessage().startswith("llm call"):
            raise RuntimeError("disk full")
        return True

    def __call__(self, event: Event) -> None:
        raise RuntimeError("disk full")


@pytest.fixture(params=["log", "callable"])
def broken(request: pytest.FixtureRequest) -> Callable[[str], tuple[Flask, LLMCostTracker]]:
    """Makes apps whose calls cannot be stored, with this ``LLM_COST_STORAGE_ERROR``."""

    def make(storage_error: str) -> tuple[Flask, LLMCostTracker]:
        storage = Broken() if request.param == "callable" else None
        app, tracker = with_storage(storage, LLM_COST_STORAGE_ERROR=storage_error)
        if storage is None:
            app.logger.addFilter(Broken())
        return app, tracker

    return make


@pytest.fixture(autouse=True)
def _mended_logger() -> Any:
    yield
    logger = logging.getLogger("shop")
    for one in list(logger.filters):
        logger.removeFilter(one)


@pytest.mark.parametrize(("storage_error", "lines"), [("warn", 1), ("ignore", 0)])
def test_a_call_that_cannot_be_stored_is_counted_and_the_host_goes_on(
    broken: Callable[[str], tuple[Flask, LLMCostTracker]],
    storage_error: str,
    lines: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, tracker = broken(storage_error)
    assert call(tracker) is not None
    counts = app.extensions["llm_cost"].counters
    assert (counts["storage_errors"], counts["recorded"]) == (1, 0)
    assert caplog.text.count("A call is lost") == lines
    assert "disk full" not in caplog.text
    assert "0 pending, 1 storage errors" in told(app, "doctor")


def test_a_host_that_asks_for_it_gets_the_error_with_its_cause(
    broken: Callable[[str], tuple[Flask, LLMCostTracker]],
) -> None:
    _, tracker = broken("raise")
    with pytest.raises(StorageError, match="the call is not recorded") as caught:
        call(tracker)
    assert str(caught.value.__cause__) == "disk full"


class Asynchronous:
    async def __call__(self, event: Event) -> None:
        """Nobody would await it."""


async def asynchronous(event: Event) -> None:
    """Nobody would await it."""


@pytest.mark.parametrize("storage", [asynchronous, Asynchronous(), "log"], ids=["function", "object", "text"])
def test_what_is_no_plain_function_is_refused_when_the_app_is_set_up(storage: Any) -> None:
    with pytest.raises(ConfigurationError, match="storage= must be a plain function"):
        with_storage(storage)


@pytest.mark.parametrize(
    ("storage", "reason"), [(None, "LLM_COST_STORAGE is 'log'"), (lambda event: None, "storage= was given")]
)
def test_every_face_says_that_there_is_no_ledger(
    storage: Callable[[Event], object] | None, reason: str
) -> None:
    app, tracker = with_storage(storage)
    call(tracker)
    found = told(app, "doctor")
    assert f"None is used: {reason}." in found
    assert f"({reason})" in found
    assert f"This app keeps no ledger: {reason}." in told(app, "report")
    app.debug = True
    page = app.test_client().get("/llm-costs/")
    assert (page.status_code, "Calls are not kept in a database here" in page.text) == (404, True)
    with app.app_context(), pytest.raises(StorageError, match="There is no ledger to ask"):
        tracker.calls.count()
