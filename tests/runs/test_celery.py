"""Celery workers over a real broker: every call is one row, with what was said where its task was sent."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import signals
from flask import Flask

from flask_llm_cost import with_tags
from tests.loopback import LoopbackProvider
from tests.runs import shop
from tests.runs.conftest import LedgerReader
from tests.runs.conftest import Start
from tests.wire_formats import chat_completion

REDIS = os.environ.get("LLM_COST_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


def redis_answers() -> bool:
    address = urlsplit(REDIS)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname or "127.0.0.1", address.port or 6379)) == 0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Celery's configuration: queues of this test in Redis, or in files where there is none."""
    common = {"task_ignore_result": True, "broker_connection_retry_on_startup": True}
    if not redis_answers():
        folders = {
            "data_folder_in": str(tmp_path / "queue"),
            "data_folder_out": str(tmp_path / "queue"),
            "control_folder": str(tmp_path / "control"),
        }
        (tmp_path / "queue").mkdir()
        yield {**common, "broker_url": "filesystem://", "broker_transport_options": folders}
        return
    import redis

    prefix = f"llm_cost_test_{os.getpid()}_"
    yield {**common, "broker_url": REDIS, "broker_transport_options": {"global_keyprefix": prefix}}
    with redis.Redis.from_url(REDIS) as client:
        for key in client.scan_iter(f"{prefix}*"):
            client.delete(key)


def test_redis_is_there() -> None:
    if not redis_answers():
        pytest.skip(f"no Redis at {REDIS}: Celery's broker is a directory in the tests below")


@pytest.fixture
def config(ledger: LedgerReader, broker: dict[str, Any]) -> dict[str, Any]:
    return {"SQLALCHEMY_DATABASE_URI": ledger.url, "LLM_COST_CELERY_TAGS": True, "CELERY": broker}


@pytest.fixture
def sender(config: dict[str, Any], make_shop: Callable[..., Flask]) -> Flask:
    """The app in this process, whose requests send tasks."""
    return make_shop(config)


def send(app: Flask, name: str, number: int) -> None:
    assert app.test_client().get(f"/send/{name}?number={number}").text == "sent"


WORKER = ("-m", "celery", "-A", "tests.runs.shop:celery_app", "worker", "--loglevel=INFO")
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


def of_number(rows: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    return [row for row in rows if row["tags"].get("number") == str(number)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_thread_pool_records_what_was_said_where_a_task_was_sent(
    config: dict[str, Any], sender: Flask, start: Start, ledger: LedgerReader
) -> None:
    jobs = ["ask", "outside", "open", "twice", "nested", "chain", "broken"]
    for number, name in enumerate(jobs):
        send(sender, name, number)
    worker = start(*WORKER, *QUIET, "--pool=threads", "--concurrency=2", config=config)
    worker.wait_until(lambda: len(ledger.rows()) >= 10)  # all but that of the stream left open
    assert worker.stop(signal.SIGTERM) == 0, worker.said

    rows = ledger.rows()
    assert ledger.sums_are_those_of_the_calls()
    broken = [row for row in rows if "number" not in row["tags"]]
    assert [(row["tags"], row["user_id"], row["endpoint"]) for row in broken] == [
        ({"step": "ask"}, None, None)
    ]
    assert worker.said.count("The tags that came with a Celery task could not be read") == 1
    steps = {}
    for number, name in enumerate(jobs[:-1]):
        mine = of_number(rows, number)
        steps[name] = [row["tags"].get("step") for row in mine]
        for row in mine:
            assert row["user_id"] == str(number)
            assert (row["request_type"], row["endpoint"]) == ("job", "send")
            assert (row["trackable_type"], row["trackable_id"]) == ("Order", str(number))
            assert row["tags"]["tenant"] == "acme"
            assert row["tags"]["feature"] == ("digest" if name == "nested" else "mail")
    assert steps == {
        "ask": ["ask"],
        "outside": ["outside"],
        "open": ["open"],
        "twice": ["try 0", "try 1"],
        "nested": [None, "inner"],
        "chain": ["first", "second", "third"],
    }
    assert ["first" in row["tags"] for row in of_number(rows, jobs.index("twice"))] == [True, False]
    assert len(rows) == 11


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_prefork_workers_write_every_call_before_they_are_gone(
    config: dict[str, Any], sender: Flask, start: Start, ledger: LedgerReader, provider: LoopbackProvider
) -> None:
    for number, name in enumerate(["open", "outside"]):
        send(sender, name, number)
    pool = ("--pool=prefork", "--concurrency=4", "--max-tasks-per-child=1")
    worker = start(*WORKER, *QUIET, *pool, config=config)
    worker.wait_until(lambda: len(provider.requests) == 2)
    provider.answer(chat_completion("gpt-4o-mini"), delay=1.0, times=2)
    for number, name in enumerate(["ask", "outside"], start=2):
        send(sender, name, number)
    worker.wait_until(lambda: len(provider.requests) == 4)
    assert worker.stop(signal.SIGTERM) == 0, worker.said  # the two under way are finished first

    rows = ledger.rows()
    assert sorted((row["tags"]["number"], row["status"]) for row in rows) == [
        ("0", "aborted"),
        ("1", "ok"),
        ("2", "ok"),
        ("3", "ok"),
    ], worker.said
    assert all(row["user_id"] == row["tags"]["number"] for row in rows)
    assert ledger.sums_are_those_of_the_calls()
    assert "not written before shutdown" not in worker.said


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_children_that_are_killed_right_after_a_call_lose_none(
    config: dict[str, Any], sender: Flask, start: Start, ledger: LedgerReader, provider: LoopbackProvider
) -> None:
    for number in range(4):
        send(sender, "killed", number)
    worker = start(*WORKER, *QUIET, "--pool=prefork", "--concurrency=2", config=config)
    worker.wait_until(lambda: worker.said.count("exited with 'signal 9") >= 4)
    assert worker.stop(signal.SIGTERM) == 0, worker.said
    with sender.app_context():
        assert shop.tracker.flush(10)  # takes up what the dead have left
    assert len(provider.requests) == 4
    assert sorted(row["tags"]["number"] for row in ledger.rows()) == list("0123"), worker.said
    assert ledger.sums_are_those_of_the_calls()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_eager_task_belongs_to_its_sender_and_leaves_nothing_behind(
    ledger: LedgerReader, make_shop: Callable[..., Flask]
) -> None:
    app = make_shop(
        {
            "SQLALCHEMY_DATABASE_URI": ledger.url,
            "LLM_COST_CELERY_TAGS": True,
            "CELERY": {"task_always_eager": True},
        }
    )
    with app.test_request_context("/plain?number=1"):
        app.preprocess_request()
        with with_tags(feature="mail"):
            shop.ask.delay()
            shop.ask_twice.delay()
            shop.chat()
    with app.app_context():
        assert shop.tracker.flush(10)
    mail = {"tenant": "acme", "number": "1", "feature": "mail"}
    assert [(row["tags"], row["endpoint"]) for row in ledger.rows()] == [
        ({**mail, "step": "ask"}, "plain"),
        ({**mail, "step": "try 0", "first": "true"}, "plain"),
        ({**mail, "step": "try 1"}, "plain"),
        (mail, "plain"),
    ]


SAID = {"feature": "mail", "iban": "DE00", "user": 7}
CARRIED = {"user": "7", "tags": {"feature": "mail", "iban": "[redacted]"}}


@pytest.mark.parametrize(
    ("config", "said", "header"),
    [
        ({"LLM_COST_CELERY_TAGS": True}, SAID, CARRIED),
        ({"LLM_COST_CELERY_TAGS": True}, {}, None),
        ({}, SAID, None),
        ({"LLM_COST_CELERY_TAGS": True, "LLM_COST_ENABLED": False}, SAID, None),
    ],
    ids=["asked for", "nothing said, as by beat", "not asked for", "switched off"],
)
def test_what_is_sent_along(
    config: dict[str, Any], said: dict[str, Any], header: Any, make_shop: Callable[..., Flask]
) -> None:
    app = make_shop(
        {
            "SQLALCHEMY_DATABASE_URI": "sqlite://",
            "LLM_COST_REDACTED_TAG_KEYS": ["iban"],
            "CELERY": {"broker_url": "memory://"},
            **config,
        }
    )
    sent: list[dict[str, Any]] = []

    def published(headers: dict[str, Any], **_: object) -> None:
        sent.append(headers)

    signals.after_task_publish.connect(published)
    try:
        with app.app_context(), with_tags(said):
            shop.ask.delay()
    finally:
        signals.after_task_publish.disconnect(published)
    text = sent[0].get("llm_cost")
    assert (text and json.loads(text)) == header
