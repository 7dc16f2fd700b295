"""Tags, user and endpoint are those of the moment in which the call begins, and go no further."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask import g
from flask.globals import request_ctx
from flask_login import LoginManager
from flask_login import UserMixin
from flask_login import login_user
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import Session
from sqlalchemy.orm import mapped_column
from werkzeug.local import LocalProxy

from flask_llm_cost.context import attribution
from flask_llm_cost.context import copy_context
from flask_llm_cost.context import tagged
from flask_llm_cost.context import with_tags
from flask_llm_cost.identity import identity
from flask_llm_cost.identity import trackable_identity
from flask_llm_cost.scope import Scope


class Base(DeclarativeBase):
    pass


class Ticket(Base):
    __tablename__ = "ticket"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class User(UserMixin):
    def __init__(self, key: str) -> None:
        self.id = key


def tags() -> dict[str, str]:
    return dict(attribution().tags)


def test_blocks_nest_and_the_inner_one_wins() -> None:
    with with_tags(feature="chat", tenant="acme"):
        with with_tags(feature="summary"):
            assert tags() == {"tenant": "acme", "feature": "summary"}
        assert tags() == {"feature": "chat", "tenant": "acme"}
    assert tags() == {}


def test_none_takes_an_outer_tag_away() -> None:
    with with_tags(tenant="acme"), with_tags(tenant=None):
        assert tags() == {}


def test_a_block_that_raises_leaves_no_tags_behind() -> None:
    with pytest.raises(ZeroDivisionError), with_tags(feature="chat"):
        _ = 1 / 0
    assert tags() == {}


def test_one_block_object_can_be_entered_again_while_it_is_open() -> None:
    block = with_tags(feature="chat")
    with block, block:
        assert tags() == {"feature": "chat"}
    assert tags() == {}


def test_user_trackable_and_request_type_are_columns_not_tags() -> None:
    with with_tags(user=7, request_type="grading", trackable=("Essay", 3), feature="school"):
        found = attribution()
    assert (found.user_id, found.request_type) == ("7", "grading")
    assert (found.trackable_type, found.trackable_id) == ("Essay", "3")
    assert dict(found.tags) == {"feature": "school"}


def test_keys_with_other_characters_are_made_askable() -> None:
    with with_tags({"cost center/EU": "x", " ": "dropped", "a" * 80: "long"}):
        assert tags() == {"cost_center_EU": "x", "a" * 63: "long"}


def test_a_value_of_another_type_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with with_tags(feature=["a"], tenant="acme"):
        assert tags() == {"tenant": "acme"}
    assert "tag feature was left out: a list is no tag value" in caplog.text


def test_a_proxy_that_points_nowhere_does_not_fail_the_block(caplog: pytest.LogCaptureFixture) -> None:
    tenant = LocalProxy(lambda: g.tenant)  # outside of every app context
    with with_tags(user=tenant, trackable=tenant, tenant=tenant, feature="chat"):
        assert tags() == {"feature": "chat"}
        assert attribution().trackable_id is None
    assert "trackable was left out" in caplog.text


def test_secrets_never_enter_a_scope() -> None:
    with with_tags(api_key="anything", note="sk-proj-abcdefghijklmnop1234"):
        assert tags() == {"api_key": "[redacted]", "note": "[redacted]"}


def test_keys_redacted_by_configuration_are_redacted_too() -> None:
    with with_tags(iban="DE00", feature="x"):
        found = attribution(redacted_keys=("iban",))
    assert dict(found.tags) == {"iban": "[redacted]", "feature": "x"}


def test_ten_thousand_tags_are_capped_to_the_newest(caplog: pytest.LogCaptureFixture) -> None:
    with with_tags({f"key{number}": number for number in range(10_000)}):
        found = attribution(max_tags=50)
    assert list(found.tags) == [f"key{number}" for number in range(9950, 10_000)]
    assert "10000 tags" in caplog.text


def test_a_mebibyte_value_is_cut() -> None:
    with with_tags(blob="x" * 2**20):
        assert len(tags()["blob"]) == 255


def test_default_tags_lie_under_the_requests_tags_under_the_blocks() -> None:
    app = Flask("shop")
    with app.test_request_context("/"):
        g.llm_cost_tags = {"tenant": "from-request", "feature": "from-request", "user": 5}
        with with_tags(feature="from-block"):
            found = attribution(Scope.of({"tenant": "default", "region": "eu"}))
    assert dict(found.tags) == {"region": "eu", "tenant": "from-request", "feature": "from-block"}
    assert found.user_id == "5"


def test_a_callable_is_asked_for_the_default_tags_of_each_call() -> None:
    answers = iter([{"release": "1"}, {"release": "2"}])
    assert dict(attribution(lambda: next(answers)).tags) == {"release": "1"}
    assert dict(attribution(lambda: next(answers)).tags) == {"release": "2"}


def test_a_failing_callback_of_the_host_does_not_fail_the_call(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> dict[str, object]:
        raise KeyError("prompt text")

    found = attribution(broken, broken)
    assert (dict(found.tags), found.user_id) == ({}, None)
    assert "broken raised KeyError" in caplog.text
    assert "prompt text" not in caplog.text


def test_tags_that_are_no_mapping_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with Flask("shop").app_context():
        g.llm_cost_tags = ["tenant"]
        found = attribution(lambda: "release")  # type: ignore[arg-type, return-value]
    assert dict(found.tags) == {}
    assert "g.llm_cost_tags must be a mapping of tags, got list" in caplog.text
    assert "default_tags must be a mapping of tags, got str" in caplog.text


def test_tags_of_a_request_do_not_reach_the_next_one() -> None:
    app = Flask("shop")
    seen: list[dict[str, str]] = []

    @app.get("/<name>")
    def page(name: str) -> str:
        seen.append(tags())
        g.llm_cost_tags = {"page": name}
        with with_tags(inner=name):
            seen.append(tags())
        return "ok"

    client = app.test_client()
    client.get("/a")
    client.get("/b")
    assert seen == [{}, {"page": "a", "inner": "a"}, {}, {"page": "b", "inner": "b"}]


def test_the_endpoint_is_flasks_own() -> None:
    app = Flask("shop")
    app.add_url_rule("/tickets/<int:number>", "ticket", lambda number: "")
    with app.test_request_context("/tickets/5"):
        assert attribution().endpoint == "ticket"
    with app.app_context():
        assert attribution().endpoint is None


class TestUsers:
    def make(self, loads: list[str]) -> Flask:
        app = Flask("shop")
        app.secret_key = "test"
        login = LoginManager(app)

        @login.user_loader
        def load(key: str) -> User:
            loads.append(key)
            return User(key)

        @app.get("/login/<key>")
        def enter(key: str) -> str:
            login_user(User(key))
            return attribution().user_id or "nobody"

        @app.get("/who")
        def who() -> str:
            return attribution().user_id or "nobody"

        return app

    def test_the_logged_in_user_is_known_without_being_loaded(self) -> None:
        loads: list[str] = []
        client = self.make(loads).test_client()
        assert client.get("/login/17").text == "17"
        response = client.get("/who")
        assert response.text == "17"
        assert loads == []

    def test_looking_for_the_user_does_not_count_as_use_of_the_session(self) -> None:
        with self.make([]).test_request_context("/who"):
            found = request_ctx._session
            assert found is not None
            dict.__setitem__(found, "_user_id", "17")
            assert attribution().user_id == "17"
            assert found.accessed is False

    def test_an_anonymous_visitor_is_nobody(self) -> None:
        assert self.make([]).test_client().get("/who").text == "nobody"

    def test_the_block_beats_the_loader_and_the_loader_beats_flask_login(self) -> None:
        app = self.make([])
        with app.test_request_context("/who"):
            g._login_user = User("login")
            assert attribution().user_id == "login"
            assert attribution(user_loader=lambda: "loader").user_id == "loader"
            with with_tags(user="block"):
                assert attribution(user_loader=lambda: "loader").user_id == "block"

    def test_an_expired_or_detached_model_answers_without_sql(self) -> None:
        engine = create_engine("sqlite://")
        Base.metadata.create_all(engine)
        session = Session(engine)
        ticket = Ticket(id=42, title="x")
        session.add(ticket)
        session.commit()
        session.expire(ticket)
        engine.dispose()  # the in-memory database is gone: any SQL would fail
        assert identity(ticket) == "42"
        assert trackable_identity(ticket) == ("Ticket", "42")
        session.expunge(ticket)
        assert identity(ticket) == "42"
        session.close()

    def test_an_object_that_was_never_stored_has_no_id(self) -> None:
        assert identity(Ticket(title="new")) is None
        assert identity(User("None")) is None

    @pytest.mark.parametrize(
        "value",
        ["Ticket:5", 5, ("Ticket",), Ticket(title="new"), ("Ticket", None)],
        ids=["text", "number", "only_a_type", "a_new_object", "no_id"],
    )
    def test_a_trackable_without_type_and_id_is_left_out(
        self, value: object, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert trackable_identity(value) is None
        assert "(type, id) pair" in caplog.text


class TestTagged:
    def test_a_function(self) -> None:
        @tagged(feature="chat")
        def work() -> dict[str, str]:
            return tags()

        assert work() == {"feature": "chat"}
        assert work.__name__ == "work"
        assert tags() == {}

    def test_a_coroutine_function(self) -> None:
        @tagged(feature="chat")
        async def work() -> dict[str, str]:
            await asyncio.sleep(0)
            return tags()

        assert asyncio.run(work()) == {"feature": "chat"}

    def test_a_generator_has_the_tags_only_while_it_runs(self) -> None:
        closed: list[dict[str, str]] = []

        @tagged(feature="stream")
        def work() -> Iterator[Any]:
            try:
                received = yield tags()
                yield received, tags()
            finally:
                closed.append(tags())

        steps = work()
        assert next(steps) == {"feature": "stream"}
        assert tags() == {}
        assert steps.send("hello") == ("hello", {"feature": "stream"})  # type: ignore[attr-defined]
        steps.close()  # type: ignore[attr-defined]
        assert len(closed) == 1

    def test_an_exception_thrown_into_a_generator_reaches_it(self) -> None:
        @tagged(feature="stream")
        def work() -> Iterator[str]:
            try:
                yield "first"
            except ValueError:
                yield tags()["feature"]

        steps = work()
        assert next(steps) == "first"
        assert steps.throw(ValueError()) == "stream"  # type: ignore[attr-defined]

    def test_an_async_generator(self) -> None:
        @tagged(feature="stream")
        async def work() -> AsyncIterator[dict[str, str]]:
            yield tags()
            await asyncio.sleep(0)
            yield tags()

        async def main() -> None:
            async for found in work():
                assert found == {"feature": "stream"}
                assert tags() == {}

        asyncio.run(main())


class TestThreadsAndTasks:
    def test_a_plain_thread_starts_without_tags(self) -> None:
        found: list[dict[str, str]] = []
        with with_tags(feature="chat"):
            thread = threading.Thread(target=lambda: found.append(tags()))
            thread.start()
            thread.join()
        assert found == [{}]

    def test_copy_context_carries_tags_and_app_into_many_threads_at_once(self) -> None:
        app = Flask("shop")

        def work(number: int) -> tuple[int, dict[str, str]]:
            barrier.wait(timeout=5)
            return number, tags()

        barrier = threading.Barrier(4)
        with app.app_context(), with_tags(feature="chat"), ThreadPoolExecutor(4) as pool:
            results = list(pool.map(copy_context(work), range(4)))
        assert results == [(number, {"feature": "chat"}) for number in range(4)]

    def test_tasks_have_their_own_tags(self) -> None:
        async def work(name: str) -> dict[str, str]:
            with with_tags(task=name):
                await asyncio.sleep(0.01)
                return tags()

        async def main() -> list[dict[str, str]]:
            return await asyncio.gather(work("a"), work("b"))

        assert asyncio.run(main()) == [{"task": "a"}, {"task": "b"}]

    def test_a_block_ended_in_another_context_does_not_raise(self) -> None:
        def stream() -> Iterator[str]:
            with with_tags(feature="stream"):
                yield "chunk"

        steps = stream()
        contextvars.copy_context().run(next, steps)
        steps.close()  # type: ignore[attr-defined]
        assert tags() == {}


def test_nothing_is_logged_for_ordinary_tags(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), with_tags(feature="chat", user=1):
        tags()
    assert caplog.records == []
