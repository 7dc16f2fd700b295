"""While the database is away the host's calls go on as ever, and nothing is lost."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from flask_llm_cost.ledger import rollup_drift
from tests.faults.proxy import Proxy
from tests.faults.proxy import proxied
from tests.ingest.hosts import Host
from tests.ingest.hosts import eventually

PORTS = {"postgresql": 5432, "mariadb": 3306}


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[[str], Host]]:
    hosts: list[Host] = []

    def make(url: str) -> Host:
        hosts.append(Host(url, tmp_path, LLM_COST_INGESTION="journal"))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        pytest.skip("SQLite has no server")
    with proxied(str(url.host), url.port or PORTS[url.get_backend_name()]) as proxy:
        yield proxy


def test_a_server_that_is_cut_off_and_comes_back(
    make_host: Callable[[str], Host], database_url: str, proxy: Proxy
) -> None:
    url = make_url(database_url).set(host="127.0.0.1", port=proxy.port)
    host = make_host(url.render_as_string(hide_password=False))
    slowest = 0.0
    for number in range(90):
        if number == 30:
            proxy.cut()
        if number == 60:
            assert eventually(lambda: host.counts["storage_errors"] > 0)
            proxy.mend()
        began = time.monotonic()
        host.call()
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.005)
    assert host.counts["recorded"] == 90
    assert eventually(lambda: host.tracker.flush(5), seconds=30)
    host.engine.dispose()  # the host's own connections were cut as well
    assert host.stored() == 90
    with Session(host.engine) as session:
        assert rollup_drift(session) == []
    assert slowest < 1, "a call waited for the database"


def test_a_connection_that_the_server_ends(make_host: Callable[[str], Host], database_url: str) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("ends a backend of PostgreSQL")
    host = make_host(database_url)
    host.call()
    assert host.tracker.flush(10)
    with host.engine.connect() as connection:
        ended = connection.scalar(
            text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert ended
    host.call()
    assert eventually(lambda: host.tracker.flush(5))
    assert host.stored() == 2


def test_a_host_whose_pool_is_exhausted(make_host: Callable[[str], Host], database_url: str) -> None:
    host = make_host(database_url)
    held = [host.engine.connect() for _ in range(15)]  # Flask-SQLAlchemy's five and their overflow
    try:
        host.call()
        assert host.tracker.flush(10)
    finally:
        for connection in held:
            connection.close()
    assert host.stored() == 1


@pytest.mark.slow
def test_a_sqlite_file_that_is_locked_for_longer_than_a_write_waits(
    make_host: Callable[[str], Host], tmp_path: Path
) -> None:
    path = tmp_path / "app.db"
    host = make_host(f"sqlite:///{path}")
    host.call()
    assert host.tracker.flush(10)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    slowest, began = 0.0, time.monotonic()
    while host.counts["storage_errors"] == 0 and time.monotonic() - began < 30:
        before = time.monotonic()
        host.call()
        slowest = max(slowest, time.monotonic() - before)
        time.sleep(0.02)
    assert host.counts["storage_errors"] == 1
    blocker.execute("ROLLBACK")
    blocker.close()
    assert eventually(lambda: host.tracker.flush(10), seconds=30)
    assert host.stored() == host.counts["recorded"] > 1
    assert slowest < 1, "a call waited for the lock"
