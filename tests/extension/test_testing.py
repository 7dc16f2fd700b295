"""``flask_llm_cost.testing``: a recorder for the host's own tests."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from threading import Thread

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_llm_cost import ConfigurationError
from flask_llm_cost import LLMCostTracker
from flask_llm_cost import track
from flask_llm_cost import with_tags
from flask_llm_cost.testing import recorded_calls

CALL = {"provider": "openai", "model": "gpt-5-mini", "input_tokens": 1_000_000, "output_tokens": 0}


@pytest.fixture
def app() -> Iterator[Flask]:
    """An app whose database has no tables: nothing could be stored there."""
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    LLMCostTracker(app, SQLAlchemy(app), budgets=())
    with app.app_context():
        yield app


def test_calls_are_priced_attributed_and_stored_nowhere(app: Flask) -> None:
    with recorded_calls(app) as calls, with_tags(user="ada", feature="questions"):
        track(**CALL)
    (call,) = calls
    assert (call.total_cost, call.user_id, dict(call.tags)) == (
        Decimal("0.25"),  # a million tokens at a quarter of a dollar
        "ada",
        {"feature": "questions"},
    )
    assert app.extensions["llm_cost"].pending == 0


def test_calls_of_other_threads_are_among_them(app: Flask) -> None:
    def work() -> None:
        with app.app_context():
            track(**CALL)

    with recorded_calls(app) as calls:
        thread = Thread(target=work)
        thread.start()
        thread.join()
    assert len(calls) == 1


def test_the_inner_block_takes_the_calls_and_the_outer_one_goes_on(app: Flask) -> None:
    with recorded_calls(app) as outer:
        with recorded_calls(app) as inner:
            track(**CALL)
        track(**CALL)
        track(**CALL)
    assert (len(inner), len(outer)) == (1, 2)


def test_an_exception_puts_the_apps_own_recorder_back(app: Flask) -> None:
    before = app.extensions["llm_cost"]
    with pytest.raises(ZeroDivisionError), recorded_calls(app):
        raise ZeroDivisionError
    assert app.extensions["llm_cost"] is before


def test_an_app_without_a_tracker_is_told_so() -> None:
    told = pytest.raises(ConfigurationError, match=r"'shop' has no tracker: call init_app\(\) first")
    with told, recorded_calls(Flask("shop")):
        pass


def test_an_app_that_is_switched_off_is_told_so() -> None:
    off = Flask("off")
    off.config.update(LLM_COST_ENABLED=False, LLM_COST_STORAGE="log")
    LLMCostTracker(off)
    told = pytest.raises(ConfigurationError, match="'off' has LLM_COST_ENABLED off")
    with told, recorded_calls(off):
        pass
