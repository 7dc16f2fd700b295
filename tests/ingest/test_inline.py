"""Calls are written outside the host's transaction, whatever the host does, and are never lost silently."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection
from sqlalchemy import event
from sqlalchemy import text

from flask_llm_cost import StorageError
from flask_llm_cost import call_recorded
from flask_llm_cost.events import Event
from flask_llm_cost.runtime import runtime_of
from tests.ingest.hosts import Host
from tests.ingest.hosts import eventually


def test_a_call_is_written_when_its_request_ends(make_host: Callable[..., Host], database_url: str) -> None:
    host = make_host(database_url)

    @host.app.get("/")
    def page() -> str:
        host.call()
        return "ok"

    assert host.app.test_client().get("/").status_code == 200
    assert host.stored() == 1


def test_the_hosts_rollback_does_not_take_the_call_along(
    make_host: Callable[..., Host], database_url: str
) -> None:
    host = make_host(database_url)

    @host.app.get("/")
    def page() -> str:
        host.db.session.add(host.Note(body="half done"))
        host.db.session.flush()
        host.call()
        raise ValueError("the view fails")

    assert host.app.test_client().get("/").status_code == 500
    assert (host.stored(), host.notes()) == (1, 0)


def test_a_call_commits_nothing_of_the_hosts(make_host: Callable[..., Host], database_url: str) -> None:
    host = make_host(database_url, TESTING=True)
    with host.app.app_context():
        host.db.session.add(host.Note(body="unfinished"))
        host.db.session.flush()
        host.call()
        host.tracker.flush(timeout=1)
        host.db.session.rollback()
        assert host.notes() == 0
    assert host.stored() == 1


@pytest.mark.parametrize("testing", [True, False])
def test_on_an_in_memory_database_the_hosts_open_transaction_is_left_alone(
    make_host: Callable[..., Host], testing: bool
) -> None:
    host = make_host("sqlite://", TESTING=testing)
    with host.app.app_context():
        host.db.session.add(host.Note(body="unfinished"))
        host.db.session.flush()
        host.call()
        assert host.tracker.flush() is False
        assert host.tracker.calls.count() == 0  # reading does not end the transaction either
        host.db.session.commit()
        assert host.tracker.calls.count() == 1
    assert (host.stored(), host.notes()) == (1, 1)


def test_on_an_in_memory_database_the_hosts_rollback_still_rolls_back(make_host: Callable[..., Host]) -> None:
    host = make_host("sqlite://", TESTING=True)
    with host.app.app_context():
        host.db.session.add(host.Note(body="unfinished"))
        host.db.session.flush()
        host.call()
        host.tracker.flush()
        assert host.tracker.calls.total_cost() is not None
        host.db.session.rollback()
        assert host.db.session.scalar(text("SELECT count(*) FROM note")) == 0
    assert host.stored() == 1


def test_a_write_lock_held_by_another_process_delays_only_the_row(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    path = tmp_path / "app.db"
    host = make_host(f"sqlite:///{path}")

    @host.app.get("/")
    def page() -> str:
        host.call()
        return "ok"

    blocker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    assert host.app.test_client().get("/").status_code == 200
    waited = time.monotonic() - began
    assert host.stored() == 0
    blocker.execute("ROLLBACK")
    blocker.close()
    assert host.tracker.flush(timeout=5)
    assert host.stored() == 1
    assert waited < 2, "a request must not wait long for somebody else's lock"


def test_a_context_that_never_ends_is_written_in_the_background(
    make_host: Callable[..., Host], database_url: str
) -> None:
    host = make_host(database_url)
    with host.app.app_context():
        for _ in range(100):
            host.call()
        assert eventually(lambda: host.stored() == 100)


def test_while_testing_there_is_no_background_thread(make_host: Callable[..., Host], tmp_path: Path) -> None:
    host = make_host(f"sqlite:///{tmp_path / 'app.db'}", TESTING=True)
    before = threading.active_count()
    with host.app.app_context():
        for _ in range(150):
            host.call()
        assert threading.active_count() == before
        assert host.stored() == 0
    assert host.stored() == 150


def test_a_table_that_does_not_exist_yet_only_delays_the_rows(
    make_host: Callable[..., Host], database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(database_url)
    with host.app.app_context():
        host.db.drop_all()
    with host.app.app_context():
        host.call()
    assert "Calls wait in memory" in caplog.text
    assert "llm-cost doctor" in caplog.text
    with host.app.app_context():
        host.db.create_all()
        assert host.tracker.flush(timeout=5)
    assert host.stored() == 1


def test_a_write_that_a_signal_ends_is_tried_again(make_host: Callable[..., Host], tmp_path: Path) -> None:
    host = make_host(f"sqlite:///{tmp_path / 'a.db'}", TESTING=True)
    runtime = runtime_of(host.app)
    assert runtime is not None
    assert runtime.ledger is not None
    engine = runtime.ledger.engine

    def worker_timeout(connection: Connection) -> None:
        raise SystemExit(1)

    host.call()
    event.listen(engine, "commit", worker_timeout)
    with pytest.raises(SystemExit):
        host.tracker.flush()
    event.remove(engine, "commit", worker_timeout)
    assert host.tracker.flush()
    assert host.stored() == 1


def test_a_failed_write_raises_only_where_it_was_asked_for(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_host(f"sqlite:///{tmp_path / 'app.db'}", LLM_COST_STORAGE_ERROR="raise", TESTING=True)
    with host.app.app_context():
        host.db.drop_all()
        host.call()
        with pytest.raises(StorageError, match="1 calls wait in memory"):
            host.tracker.flush()
    with host.app.app_context():
        host.db.create_all()
        assert host.tracker.flush()
    assert host.stored() == 1


def test_a_full_buffer_drops_the_newest_call_and_says_so(
    make_host: Callable[..., Host], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(f"sqlite:///{tmp_path / 'app.db'}", LLM_COST_BUFFER_SIZE=3, TESTING=True)
    heard: list[Event] = []

    def receive(sender: object, event: Event) -> None:
        heard.append(event)

    with host.app.app_context(), call_recorded.connected_to(receive):
        for _ in range(5):
            host.call()
        runtime = runtime_of(host.app)
        assert runtime is not None
        assert (runtime.counters["dropped"], runtime.counters["recorded"]) == (2, 3)
    assert len(heard) == 3, "a call that is not kept is not announced"
    assert host.stored() == 3
    assert "LLM_COST_BUFFER_SIZE" in caplog.text


def test_a_call_inside_a_streamed_response_is_written_when_the_stream_ends(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    from flask import stream_with_context

    host = make_host(f"sqlite:///{tmp_path / 'app.db'}")

    @host.app.get("/")
    def page() -> Any:
        def chunks() -> Iterator[str]:
            yield "a"
            host.call()
            yield "b"

        return stream_with_context(chunks()), 200

    assert host.app.test_client().get("/").text == "ab"
    assert host.stored() == 1


def test_receivers_hear_of_each_event_and_their_failures_stay_with_them(
    make_host: Callable[..., Host], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(f"sqlite:///{tmp_path / 'app.db'}", TESTING=True)
    heard: list[tuple[Any, Event]] = []

    def broken(app: Flask, event: Event) -> None:
        raise RuntimeError("receiver")

    def receiver(app: Flask, event: Event) -> None:
        heard.append((app, event))

    with call_recorded.connected_to(broken), call_recorded.connected_to(receiver), host.app.app_context():
        host.call()
    assert [(app is host.app, event.model) for app, event in heard] == [(True, "gpt-4o-mini")]
    assert "A receiver of call_recorded failed (RuntimeError" in caplog.text


def test_a_database_that_is_away_does_not_reach_the_host(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_host(f"sqlite:///{tmp_path / 'app.db'}")

    @host.app.get("/")
    def page() -> str:
        host.call()
        return "ok"

    (tmp_path / "app.db").rename(tmp_path / "away.db")
    (tmp_path / "app.db").mkdir()
    assert host.app.test_client().get("/").status_code == 200
    (tmp_path / "app.db").rmdir()
    (tmp_path / "away.db").rename(tmp_path / "app.db")
    assert host.tracker.flush(timeout=10)
    assert host.stored() == 1


def test_nothing_is_logged_when_all_is_well(
    make_host: Callable[..., Host], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host(f"sqlite:///{tmp_path / 'app.db'}")
    with caplog.at_level(logging.WARNING), host.app.app_context():
        host.call()
    assert caplog.records == []
