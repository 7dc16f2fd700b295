"""Threads, tasks, views and generators: whose call it is, and that it is there once when all is over."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from asgiref.wsgi import WsgiToAsgi
from flask import Flask
from flask import Response
from flask import g
from flask import stream_with_context

from flask_llm_cost import copy_context
from flask_llm_cost import with_tags
from tests.runs import shop
from tests.runs.conftest import LedgerReader

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def app(make_shop: Callable[..., Flask], ledger: LedgerReader) -> Flask:
    return make_shop({"SQLALCHEMY_DATABASE_URI": ledger.url})


@pytest.fixture
def rows(app: Flask, ledger: LedgerReader) -> Callable[[], list[dict[str, Any]]]:
    """What is in the ledger when everything that waits was written."""

    def found() -> list[dict[str, Any]]:
        with app.app_context():
            assert shop.tracker.flush(timeout=10)
        assert ledger.sums_are_those_of_the_calls()
        return ledger.rows()

    return found


Rows = Callable[[], list[dict[str, Any]]]


def plain_thread() -> None:
    thread = threading.Thread(target=shop.chat)
    thread.start()
    thread.join()


def thread_with_context() -> None:
    thread = threading.Thread(target=copy_context(shop.chat))
    thread.start()
    thread.join()


def plain_pool() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(shop.chat).result()


def pool_with_context() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(copy_context(shop.chat)).result()


async def ask() -> None:
    async with shop.async_client() as client:
        await client.chat.completions.create(model="gpt-4o-mini", messages=shop.ASK)


def gathered() -> None:
    async def main() -> None:
        await asyncio.gather(ask())

    asyncio.run(main())


def task() -> None:
    async def main() -> None:
        await asyncio.create_task(ask())

    asyncio.run(main())


def to_thread() -> None:
    async def main() -> None:
        await asyncio.to_thread(shop.chat)

    asyncio.run(main())


def executor_of_the_loop() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, shop.chat)

    asyncio.run(main())


@pytest.mark.parametrize("work", [thread_with_context, pool_with_context, gathered, task, to_thread])
def test_what_is_said_goes_along(work: Callable[[], None], app: Flask, rows: Rows) -> None:
    with app.test_request_context("/plain?number=1"):
        app.preprocess_request()
        with with_tags(feature="chat", user=5):
            work()
    (row,) = rows()
    assert row["tags"] == {"tenant": "acme", "number": "1", "feature": "chat"}
    assert (row["user_id"], row["endpoint"], row["status"]) == ("5", "plain", "ok")


@pytest.mark.parametrize("work", [plain_thread, plain_pool, executor_of_the_loop])
def test_a_thread_without_context_makes_a_row_without_tags(
    work: Callable[[], None], app: Flask, rows: Rows
) -> None:
    with app.test_request_context("/plain?number=1"), with_tags(feature="chat", user=5):
        work()
    (row,) = rows()
    assert (row["tags"], row["user_id"], row["endpoint"], row["status"]) == ({}, None, None, "ok")


def test_a_call_that_outlives_its_request_is_still_that_requests(app: Flask, rows: Rows) -> None:
    may_begin = threading.Event()
    threads: list[threading.Thread] = []

    @app.get("/later")
    def later() -> str:
        def work() -> None:
            may_begin.wait(10)
            shop.chat()

        with with_tags(feature="later"):
            threads.append(threading.Thread(target=copy_context(work)))
        threads[0].start()
        return "started"

    assert app.test_client().get("/later?number=1").text == "started"
    may_begin.set()
    threads[0].join()
    (row,) = rows()
    assert row["tags"] == {"tenant": "acme", "number": "1", "feature": "later"}
    assert row["endpoint"] == "later"


@pytest.mark.parametrize(
    ("keeps_context", "tags", "endpoint"),
    [(True, {"tenant": "acme", "number": "1", "step": "body"}, "body"), (False, {"step": "body"}, None)],
    ids=["stream_with_context", "a plain generator"],
)
def test_a_call_in_the_body_of_a_response(
    keeps_context: bool, tags: dict[str, str], endpoint: str | None, app: Flask, rows: Rows
) -> None:
    @app.get("/body")
    def body() -> Response:
        def steps() -> Iterator[str]:
            with with_tags(step="body"):
                chunks = shop.chat(stream=True, stream_options={"include_usage": True})
            yield from shop.pieces(chunks)

        return Response(stream_with_context(steps()) if keeps_context else steps())

    assert app.test_client().get("/body?number=1").text
    (row,) = rows()
    assert (row["tags"], row["endpoint"], row["status"]) == (tags, endpoint, "ok")


def test_an_async_view_has_its_tags_and_leaves_none_behind(app: Flask, rows: Rows) -> None:
    client = app.test_client()
    for number in (1, 2):
        assert client.get(f"/async?number={number}").status_code == 200
    shop.chat()
    assert [(row["user_id"], row["endpoint"], row["tags"].get("number")) for row in rows()] == [
        ("1", "asynchronous", "1"),
        ("2", "asynchronous", "2"),
        (None, None, None),
    ]


def test_blocks_reach_into_an_app_context_pushed_by_hand_and_g_does_not(app: Flask, rows: Rows) -> None:
    with app.app_context(), with_tags(feature="outer"):
        g.llm_cost_tags = {"tenant": "outer"}
        shop.chat()
        with app.app_context():
            g.llm_cost_tags = {"region": "inner"}
            shop.chat()
        shop.chat()
    assert [row["tags"] for row in rows()] == [
        {"tenant": "outer", "feature": "outer"},
        {"region": "inner", "feature": "outer"},
        {"tenant": "outer", "feature": "outer"},
    ]


def test_a_stream_that_is_read_in_another_thread_belongs_to_who_began_it(app: Flask, rows: Rows) -> None:
    with app.test_request_context("/plain"), with_tags(feature="begun here"):
        chunks = shop.chat(stream=True, stream_options={"include_usage": True})
    with ThreadPoolExecutor(1) as pool:
        pool.submit(list, chunks).result()
    (row,) = rows()
    assert (row["tags"], row["endpoint"], row["status"]) == ({"feature": "begun here"}, "plain", "ok")


def test_a_call_in_a_teardown_function_is_recorded(app: Flask, rows: Rows) -> None:
    @app.teardown_appcontext
    def say_goodbye(error: BaseException | None) -> None:
        if g.pop("goodbye", False):
            with with_tags(step="teardown"):
                shop.chat()

    with app.app_context():
        g.goodbye = True
    assert [row["tags"] for row in rows()] == [{"step": "teardown"}]


def test_behind_an_asgi_server_every_request_has_its_own_row(app: Flask, rows: Rows) -> None:
    """As ``uvicorn`` serves it: a thread of asgiref's runs the request, while the event loop goes on."""

    async def main() -> list[int]:
        transport = httpx.ASGITransport(app=WsgiToAsgi(app.wsgi_app))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            paths = ["/plain?number=1", "/stream?number=2", "/late-stream?number=3", "/plain?number=4"]
            return [answer.status_code for answer in await asyncio.gather(*map(client.get, paths))]

    assert asyncio.run(main()) == [200] * 4
    found = sorted((row["tags"]["number"], row["user_id"], row["endpoint"]) for row in rows())
    assert found == [
        ("1", "1", "plain"),
        ("2", "2", "stream"),
        ("3", "3", "late_stream"),
        ("4", "4", "plain"),
    ]
