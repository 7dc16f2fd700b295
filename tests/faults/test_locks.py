"""Somebody holds what the ledger needs: no call waits for it, nobody for himself, and nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from flask_llm_cost.ledger import rollup_drift
from tests.ingest.hosts import Host
from tests.ingest.hosts import eventually

#: For how many seconds the database is locked; 30 in the long form (``make test-servers``).
SECONDS = float(os.environ.get("LLM_COST_TEST_SECONDS_LOCKED", "3"))

POOL_OF_ONE = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.5}


@pytest.fixture(params=["journal", "inline"])
def make_host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def make(url: str, **config: object) -> Host:
        hosts.append(Host(url, tmp_path, LLM_COST_INGESTION=request.param, **config))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def sqlite_host(make_host: Callable[..., Host], tmp_path: Path) -> Host:
    return make_host(f"sqlite:///{tmp_path / 'app.db'}")


def everything_is_stored(host: Host) -> bool:
    assert eventually(lambda: host.tracker.flush(10), seconds=60)
    assert host.stored() == host.counts["recorded"] > 0
    assert host.counts["dropped"] == host.counts["lost"] == 0
    with Session(host.engine) as session:
        return rollup_drift(session) == []


@contextmanager
def locked(path: Path) -> Iterator[None]:
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    yield
    blocker.execute("ROLLBACK")
    blocker.close()


def test_the_request_holds_the_only_connection_of_the_pool(
    make_host: Callable[..., Host], database_url: str
) -> None:
    host = make_host(database_url, SQLALCHEMY_ENGINE_OPTIONS=POOL_OF_ONE)

    @host.app.get("/")
    def page() -> str:
        host.db.session.add(host.Note(body="kept"))
        host.db.session.flush()  # the connection is checked out
        for _ in range(3):
            host.call()
        host.db.session.commit()
        return "answered"

    for _ in range(5):
        assert host.app.test_client().get("/").text == "answered"
    assert everything_is_stored(host)
    assert (host.stored(), host.notes()) == (15, 5)


def test_sqlite_is_locked_for_long_while_requests_are_answered(sqlite_host: Host, tmp_path: Path) -> None:
    """Each request ends as soon as ever, give or take the tenth of a second that inline waits for a lock."""
    host, slowest = sqlite_host, 0.0

    @host.app.get("/")
    def page() -> str:
        host.call()
        return "answered"

    client = host.app.test_client()
    client.get("/")
    assert everything_is_stored(host)
    with locked(tmp_path / "app.db"):
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            began = time.monotonic()
            assert client.get("/").text == "answered"
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.02)
        assert host.stored() == 1
    assert everything_is_stored(host)
    assert slowest < SECONDS, "a request waited for the lock"


def test_the_request_itself_holds_sqlites_lock(sqlite_host: Host) -> None:
    host = sqlite_host
    seen: list[int] = []

    @host.app.get("/")
    def page() -> str:
        host.db.session.execute(text("BEGIN IMMEDIATE"))
        host.db.session.add(host.Note(body="kept"))
        host.db.session.flush()
        host.call()
        seen.append(host.tracker.calls.count())  # a reader asks for what waits, and does not wait for ever
        host.call()
        host.db.session.commit()
        return "answered"

    began = time.monotonic()
    for _ in range(2):
        assert host.app.test_client().get("/").text == "answered"
    assert time.monotonic() - began < 20, "the request waited for itself"
    assert everything_is_stored(host)
    assert (host.stored(), host.notes()) == (4, 2)
    assert seen[0] == 0


def test_the_host_rolls_back_after_the_call(make_host: Callable[..., Host], database_url: str) -> None:
    """Money was spent. The host's exception is its own, and its next transaction works."""
    host = make_host(database_url)

    @host.app.get("/<what>")
    def page(what: str) -> str:
        host.db.session.add(host.Note(body=what))
        host.db.session.flush()
        host.call()
        if what == "fails":
            raise KeyError("the view's own")
        host.db.session.commit()
        return "answered"

    host.app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(KeyError, match="the view's own"):
        host.app.test_client().get("/fails")
    assert host.app.test_client().get("/works").text == "answered"
    assert everything_is_stored(host)
    assert (host.stored(), host.notes()) == (2, 1)
