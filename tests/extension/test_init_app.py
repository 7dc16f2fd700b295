"""Every way to set the tracker up, and what it says when that cannot work."""

from __future__ import annotations

import gc
import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import inspect
from sqlalchemy import select
from sqlalchemy import text

from flask_llm_cost import ConfigurationError
from flask_llm_cost import InvalidFilterError
from flask_llm_cost import LlmCall
from flask_llm_cost import LLMCostTracker
from flask_llm_cost import StorageError
from flask_llm_cost import Usage
from flask_llm_cost import track
from flask_llm_cost import with_tags
from flask_llm_cost.events import Event
from flask_llm_cost.runtime import registry
from flask_llm_cost.runtime import runtime_of
from flask_llm_cost.runtime import untracked


def make_app(url: str = "sqlite://", **config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(SQLALCHEMY_DATABASE_URI=url, TESTING=True, **config)
    return app


def record(tracker: LLMCostTracker, **call: Any) -> Event:
    return tracker.track(provider="openai", model="gpt-4o-mini", input_tokens=1000, output_tokens=10, **call)


class TestForms:
    def test_app_and_db_in_the_constructor(self) -> None:
        app = make_app()
        db = SQLAlchemy(app)
        tracker = LLMCostTracker(app, db)
        with app.app_context():
            db.create_all()
            record(tracker)
            assert tracker.calls.count() == 1

    def test_the_database_is_found_in_the_app(self) -> None:
        app = make_app()
        db = SQLAlchemy(app)
        tracker = LLMCostTracker(app)
        with app.app_context():
            db.create_all()
            record(tracker)
            assert tracker.calls.count() == 1

    def test_a_factory_may_initialise_the_tracker_before_its_database(self) -> None:
        db = SQLAlchemy()
        tracker = LLMCostTracker()
        app = make_app()
        tracker.init_app(app, db)
        db.init_app(app)
        with app.app_context():
            db.create_all()
            record(tracker)
            assert tracker.calls.count() == 1

    def test_two_apps_of_one_tracker_keep_their_calls_apart(self) -> None:
        db = SQLAlchemy()
        tracker = LLMCostTracker(db=db)
        apps = [make_app(), make_app()]
        for app in apps:
            db.init_app(app)
            tracker.init_app(app)
            with app.app_context():
                db.create_all()
        with apps[0].app_context():
            record(tracker)
            assert tracker.calls.count() == 1
        with apps[1].app_context():
            assert tracker.calls.count() == 0

    def test_two_apps_have_prices_of_their_own(self) -> None:
        db = SQLAlchemy()
        tracker = LLMCostTracker(db=db)
        apps = [make_app(LLM_COST_PRICING_OVERRIDES={"acme/one": {"input": rate}}) for rate in ("1", "2")]
        for app in apps:
            db.init_app(app)
            tracker.init_app(app)
        costs = []
        for app in apps:
            with app.app_context():
                price = tracker.price(provider="acme", model="one", usage=Usage(input_tokens=1_000_000))
                costs.append(price.total_cost)
        assert costs == [Decimal(1), Decimal(2)]

    def test_a_bind_key_puts_the_ledger_into_another_database(self, tmp_path: Path) -> None:
        app = make_app(
            f"sqlite:///{tmp_path / 'main.db'}",
            SQLALCHEMY_BINDS={"costs": f"sqlite:///{tmp_path / 'costs.db'}"},
            LLM_COST_BIND_KEY="costs",
        )
        db = SQLAlchemy(app)
        tracker = LLMCostTracker(app)
        with app.app_context():
            db.create_all()
            record(tracker)
            assert tracker.calls.count() == 1
            assert not inspect(db.engine).has_table("llm_cost_calls")
            with db.engines["costs"].connect() as connection:
                assert connection.scalar(text("SELECT count(*) FROM llm_cost_calls")) == 1

    def test_the_host_can_query_the_models_through_its_own_session(self) -> None:
        app = make_app()
        db = SQLAlchemy(app)
        tracker = LLMCostTracker(app)
        with app.app_context():
            db.create_all()
            record(tracker, tags={"feature": "chat"})
            tracker.flush()
            call = db.session.scalars(select(LlmCall)).one()
            assert call.total_cost == Decimal("0.000156")
            assert [item.component for item in call.line_items] == ["input", "output"]
            assert call.tags == {"feature": "chat"}

    def test_an_app_that_is_not_tracked_has_no_commands(self) -> None:
        assert "llm-cost" not in Flask("other").cli.commands

    def test_the_dashboard_can_be_left_out(self) -> None:
        app = make_app(LLM_COST_DASHBOARD=False)
        SQLAlchemy(app)
        tracker = LLMCostTracker(app)
        assert tracker.blueprint is None
        assert app.test_client().get("/llm-costs/").status_code == 404

    def test_the_dashboard_lives_under_the_configured_prefix(self) -> None:
        app = make_app(LLM_COST_URL_PREFIX="/admin/ai")
        SQLAlchemy(app)
        tracker = LLMCostTracker(app)
        with app.app_context():
            assert tracker.blueprint is not None
        assert app.test_client().get("/admin/ai/").status_code == 403


class TestMistakes:
    def test_a_missing_database_names_both_cures(self) -> None:
        with pytest.raises(
            ConfigurationError, match=r"LLMCostTracker\(app, db\).*db\.init_app\(app\).*'log'"
        ):
            LLMCostTracker(Flask("shop"))

    def test_a_second_tracker_on_one_app_is_refused(self) -> None:
        app = make_app()
        SQLAlchemy(app)
        LLMCostTracker(app)
        with pytest.raises(ConfigurationError, match="before"):
            LLMCostTracker(app)

    def test_a_typo_in_the_configuration_stops_the_start(self) -> None:
        app = make_app(LLM_COST_TIMZONE="UTC")
        SQLAlchemy(app)
        with pytest.raises(ConfigurationError, match="Did you mean LLM_COST_TIMEZONE"):
            LLMCostTracker(app)
        assert "llm_cost" not in app.extensions

    def test_an_unknown_bind_key_is_named(self) -> None:
        app = make_app(LLM_COST_BIND_KEY="costs")
        db = SQLAlchemy(app)
        with pytest.raises(ConfigurationError, match="costs"):
            LLMCostTracker(app, db)

    def test_a_missing_prices_file_stops_the_start(self) -> None:
        app = make_app(LLM_COST_PRICES_FILE="nowhere.yml")
        SQLAlchemy(app)
        with pytest.raises(ConfigurationError, match=r"nowhere\.yml"):
            LLMCostTracker(app)

    def test_a_relative_prices_file_counts_from_the_apps_root(self, tmp_path: Path) -> None:
        (tmp_path / "prices.yml").write_text('acme/one:\n  input: "3"\n')
        app = Flask("shop", root_path=str(tmp_path))
        app.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", LLM_COST_PRICES_FILE="prices.yml")
        SQLAlchemy(app)
        tracker = LLMCostTracker(app)
        price = tracker.price(provider="acme", model="one", usage=Usage(input_tokens=1_000_000))
        assert price.total_cost == Decimal(3)

    def test_a_tracker_without_an_app_says_what_to_call(self) -> None:
        with pytest.raises(ConfigurationError, match=r"tracker\.init_app\(app\)"):
            LLMCostTracker().flush()

    def test_a_tracker_of_several_apps_asks_for_a_context(self) -> None:
        db = SQLAlchemy()
        tracker = LLMCostTracker(db=db)
        apps = [make_app(), make_app()]
        for app in apps:
            db.init_app(app)
            tracker.init_app(app)
        with pytest.raises(ConfigurationError, match="app_context"):
            tracker.flush()

    def test_a_report_over_a_reversed_range_is_refused(self) -> None:
        app = make_app()
        db = SQLAlchemy(app)
        tracker = LLMCostTracker(app)
        with app.app_context():
            db.create_all()
            now = record(tracker).occurred_at
            with pytest.raises(InvalidFilterError):
                tracker.report(now, now)


class TestStorage:
    def test_a_try_needs_no_database(self, caplog: pytest.LogCaptureFixture) -> None:
        app = Flask("shop")
        app.config["LLM_COST_STORAGE"] = "log"
        tracker = LLMCostTracker(app)
        with app.app_context(), caplog.at_level(logging.INFO), with_tags(feature="chat"):
            record(tracker)
        assert "llm call openai/gpt-4o-mini" in caplog.text
        assert "cost=$0.000156" in caplog.text
        assert '"feature": "chat"' in caplog.text

    def test_without_a_ledger_there_is_nothing_to_ask(self) -> None:
        app = Flask("shop")
        app.config["LLM_COST_STORAGE"] = "log"
        tracker = LLMCostTracker(app)
        with pytest.raises(StorageError, match="LLM_COST_STORAGE is 'log'"):
            _ = tracker.calls

    def test_a_callable_gets_every_event(self) -> None:
        events: list[Event] = []
        app = Flask("shop")
        tracker = LLMCostTracker(app, storage=events.append)
        with app.app_context():
            event = record(tracker)
        assert events == [event]

    @pytest.mark.parametrize(("policy", "raises"), [("warn", False), ("ignore", False), ("raise", True)])
    def test_a_failing_callable_follows_the_policy(
        self, policy: str, raises: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        def store(event: Event) -> None:
            raise OSError("secret path")

        app = Flask("shop")
        app.config["LLM_COST_STORAGE_ERROR"] = policy
        tracker = LLMCostTracker(app, storage=store)
        with app.app_context():
            if raises:
                with pytest.raises(StorageError) as caught:
                    record(tracker)
                assert isinstance(caught.value.__cause__, OSError)
            else:
                record(tracker)
        assert ("OSError" in caplog.text) == (policy == "warn")
        assert "secret path" not in caplog.text

    def test_disabled_records_nothing(self) -> None:
        events: list[Event] = []
        app = Flask("shop")
        app.config["LLM_COST_ENABLED"] = False
        tracker = LLMCostTracker(app, storage=events.append)
        with app.app_context():
            record(tracker)
            track(provider="openai", model="gpt-4o-mini", input_tokens=1)
        assert events == []


class TestWhoseCall:
    @pytest.fixture(autouse=True)
    def _only_these_apps(self) -> None:
        gc.collect()
        for app in list(registry._apps):
            registry.discard(app)

    def test_without_a_context_the_only_app_gets_the_call(self) -> None:
        events: list[Event] = []
        app = Flask("shop")
        LLMCostTracker(app, storage=events.append)
        track(provider="openai", model="gpt-4o-mini", input_tokens=1)
        assert len(events) == 1

    def test_with_several_apps_the_default_one_gets_it(self) -> None:
        events: dict[str, list[Event]] = {"a": [], "b": []}
        apps = {name: Flask(name) for name in events}
        for name, app in apps.items():
            LLMCostTracker(storage=events[name].append).init_app(app, default=name == "b")
        track(provider="openai", model="gpt-4o-mini", input_tokens=1)
        assert {name: len(found) for name, found in events.items()} == {"a": 0, "b": 1}

    def test_with_several_apps_and_no_default_it_passes_and_is_counted(self) -> None:
        events: list[Event] = []
        apps = [Flask("a"), Flask("b")]
        for app in apps:
            LLMCostTracker(app, storage=events.append)
        before = untracked["no_app"]
        assert track(provider="openai", model="gpt-4o-mini", input_tokens=1) is None
        assert events == []
        assert untracked["no_app"] == before + 1

    def test_an_app_that_is_gone_does_not_stand_in_the_way(self) -> None:
        events: list[Event] = []
        app = Flask("a")
        LLMCostTracker(app, storage=events.append)
        LLMCostTracker(Flask("gone"), storage=events.append)
        track(provider="openai", model="gpt-4o-mini", input_tokens=1)
        assert len(events) == 1

    def test_a_context_of_an_untracked_app_passes(self) -> None:
        events: list[Event] = []
        app = Flask("a")
        LLMCostTracker(app, storage=events.append)
        with Flask("other").app_context():
            track(provider="openai", model="gpt-4o-mini", input_tokens=1)
        assert events == []

    def test_a_shut_down_app_is_no_longer_the_only_one(self) -> None:
        events: list[Event] = []
        app = Flask("a")
        tracker = LLMCostTracker(app, storage=events.append)
        tracker.shutdown()
        track(provider="openai", model="gpt-4o-mini", input_tokens=1)
        assert events == []


def test_the_runtime_is_the_apps_extension_state() -> None:
    app = make_app()
    SQLAlchemy(app)
    LLMCostTracker(app)
    runtime = runtime_of(app)
    assert runtime is app.extensions["llm_cost"]
