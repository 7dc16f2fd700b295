"""Fixtures shared by the whole suite: fresh databases of every kind, and leak detectors."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings
from sqlalchemy import create_engine
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.engine import make_url

from tests.mysql_dialect import SQL_MODE
from tests.mysql_dialect import MySQLWatch
from tests.old_click import keep_streams_apart

keep_streams_apart()

#: What is slow on a busy machine is not wrong.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

#: Where the server databases are; without them their tests are skipped, or fail where they are required.
SERVER_URLS = {
    "postgresql": os.environ.get("LLM_COST_TEST_POSTGRESQL_URL"),
    "mariadb": os.environ.get("LLM_COST_TEST_MARIADB_URL"),
}
REQUIRED = os.environ.get("LLM_COST_TEST_REQUIRE_DATABASES") == "1"
DATABASES = ("sqlite", *SERVER_URLS)


def pytest_report_header() -> str:
    there = ["sqlite", *(kind for kind, address in SERVER_URLS.items() if address)]
    absent = [f"LLM_COST_TEST_{kind.upper()}_URL" for kind, address in SERVER_URLS.items() if not address]
    others = f"; for the others set {' and '.join(absent)}" if absent else ""
    return f"databases: {', '.join(there)}{others}"


def _run(url: URL, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def server_databases() -> Iterator[dict[str, URL]]:
    """One database per server for this test process, dropped at the end."""
    name = f"llm_cost_test_{os.getpid()}"
    made: dict[str, URL] = {}
    for kind, address in SERVER_URLS.items():
        if address:
            url = make_url(address)
            _run(url, f"CREATE DATABASE {name}")
            made[kind] = _as_mysql(url.set(database=name)) if kind == "mariadb" else url.set(database=name)
    yield made
    for kind in made:
        force = " WITH (FORCE)" if kind == "postgresql" else ""
        _run(make_url(str(SERVER_URLS[kind])), f"DROP DATABASE {name}{force}")


def _as_mysql(url: URL) -> URL:
    """A URL whose sessions are as strict as MySQL's are by themselves."""
    return url.update_query_dict({"init_command": f"SET SESSION sql_mode = '{SQL_MODE}'"})


@pytest.fixture(autouse=True, scope="session")
def mysql_watch() -> Iterator[MySQLWatch]:
    """Watches every statement that a test runs on MariaDB."""
    watch = MySQLWatch()
    watch.begin()
    yield watch
    watch.end()


@pytest.fixture(autouse=True)
def _what_runs_on_mariadb_would_run_on_mysql(mysql_watch: MySQLWatch) -> Iterator[None]:
    yield
    refused = mysql_watch.refused
    for sql in refused:  # only the test that ran it first fails
        mysql_watch.seen[sql] = []
    assert not refused, f"MySQL 8 would refuse: {refused}"


def _empty(url: URL) -> None:
    """Drop every table, so that the next test starts with an empty database."""
    from sqlalchemy import MetaData

    engine = create_engine(url)
    try:
        metadata = MetaData()
        metadata.reflect(engine)
        metadata.drop_all(engine)
    finally:
        engine.dispose()


@pytest.fixture(params=DATABASES)
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, server_databases: dict[str, URL]
) -> Iterator[str]:
    """The URL of an empty database; the test runs once on each kind."""
    kind: str = request.param
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.sqlite'}"
        return
    if kind not in server_databases:
        message = f"set LLM_COST_TEST_{kind.upper()}_URL to run this test on {kind}"
        if REQUIRED:
            pytest.fail(message)
        pytest.skip(message)
    url = server_databases[kind]
    yield url.render_as_string(hide_password=False)
    _empty(url)


@pytest.fixture(autouse=True)
def _no_leaked_context() -> Iterator[None]:
    """Fail a test that leaves a Flask context pushed or one of our context variables set."""
    from flask.globals import _cv_app

    yield
    assert _cv_app.get(None) is None, "an application context was left pushed"
    ours = {
        variable.name: value
        for variable, value in contextvars.copy_context().items()
        if variable.name.startswith("llm_cost")
    }
    assert not any(ours.values()), f"context variables were left set: {ours}"
