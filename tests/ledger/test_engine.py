"""The ledger's own engine: connected like the host's, independent of its transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine
from sqlalchemy import create_engine
from sqlalchemy import event as events
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import text
from sqlalchemy.pool import NullPool
from sqlalchemy.pool import QueuePool
from sqlalchemy.pool import SingletonThreadPool
from sqlalchemy.pool import StaticPool

from flask_llm_cost.errors import ConfigurationError
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LedgerUnavailable
from flask_llm_cost.ledger import LlmCall
from flask_llm_cost.ledger import create_ledger_engine
from flask_llm_cost.ledger import shared_connection
from tests.made_events import event


@pytest.fixture
def host_engine(database_url: str) -> Iterator[Engine]:
    engine = create_engine(database_url)
    yield engine
    engine.dispose()


def _count(ledger: Ledger) -> int:
    with ledger.session() as session:
        return session.scalar(select(func.count()).select_from(LlmCall)) or 0


def test_rows_survive_the_hosts_rollback(app: Flask, db: SQLAlchemy, ledger: Ledger) -> None:
    with app.app_context():
        db.session.execute(select(LlmCall))
        ledger.write([event()])
        db.session.rollback()
        db.session.remove()
    assert _count(ledger) == 1


def test_the_pool_is_our_own_and_small(host_engine: Engine) -> None:
    engine = create_ledger_engine(host_engine)
    assert engine is not host_engine
    assert isinstance(engine.pool, QueuePool)
    assert engine.pool.size() == 1
    first, second = engine.connect(), engine.connect()
    assert host_engine.pool.status() == create_engine(host_engine.url).pool.status()
    first.close()
    second.close()
    engine.dispose()


def test_an_exhausted_pool_of_the_host_does_not_hold_up_the_ledger(database_url: str, app: Flask) -> None:
    host_engine = create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    engine = create_ledger_engine(host_engine)
    with host_engine.connect():
        assert Ledger(engine).write([event()]) == 1
    engine.dispose()
    host_engine.dispose()


def test_connections_are_made_by_the_hosts_listeners_and_arguments(tmp_path: Path) -> None:
    seen: list[str] = []
    host_engine = create_engine(f"sqlite:///{tmp_path}/a.sqlite", poolclass=NullPool)

    @events.listens_for(host_engine, "do_connect")
    def add_argument(dialect, record, args, parameters) -> None:  # type: ignore[no-untyped-def]
        seen.append("do_connect")
        parameters["cached_statements"] = 7

    @events.listens_for(host_engine, "connect")
    def set_pragma(connection, record) -> None:  # type: ignore[no-untyped-def]
        seen.append("connect")
        connection.execute("PRAGMA journal_mode = WAL")

    engine = create_ledger_engine(host_engine)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    assert seen == ["do_connect", "connect"]
    engine.dispose()


def test_statement_listeners_of_the_host_do_not_see_our_statements(app: Flask, db: SQLAlchemy) -> None:
    statements: list[str] = []
    with app.app_context():
        events.listen(
            db.engine, "before_cursor_execute", lambda *arguments: statements.append(str(arguments[2]))
        )
        engine = create_ledger_engine(db.engine)
        Ledger(engine).write([event()])
    assert statements == []
    engine.dispose()


@pytest.mark.parametrize("level", ["SERIALIZABLE", "AUTOCOMMIT"])
def test_isolation_is_ours_whatever_the_host_uses(database_url: str, app: Flask, level: str) -> None:
    host_engine = create_engine(database_url, isolation_level=level)
    with host_engine.connect():
        pass
    engine = create_ledger_engine(host_engine)
    with engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            assert connection.get_isolation_level() == "READ COMMITTED"
        connection.execute(text("DELETE FROM llm_cost_meta"))
        connection.execute(text("INSERT INTO llm_cost_meta VALUES ('half', 'done')"))
        connection.rollback()
        assert connection.execute(text("SELECT count(*) FROM llm_cost_meta")).scalar() == 0
    engine.dispose()
    host_engine.dispose()


def test_a_host_that_begins_sqlite_transactions_by_hand_leaves_ours_whole(
    tmp_path: Path, db: SQLAlchemy
) -> None:
    """SQLAlchemy's recipe for real SQLite transactions switches the driver's BEGIN off on connect."""
    host_engine = create_engine(f"sqlite:///{tmp_path}/a.sqlite")

    @events.listens_for(host_engine, "connect")
    def no_driver_begin(connection, record) -> None:  # type: ignore[no-untyped-def]
        connection.isolation_level = None

    events.listen(host_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    engine = create_ledger_engine(host_engine)
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (x)"))
        connection.commit()
        connection.execute(text("INSERT INTO t VALUES (1)"))
        connection.rollback()
        assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 0
    engine.dispose()
    host_engine.dispose()


def test_a_locked_sqlite_file_is_waited_for_no_longer_than_asked(app: Flask, ledger: Ledger) -> None:
    if ledger.engine.dialect.name != "sqlite":
        pytest.skip("servers lock rows")
    holder = create_engine(ledger.engine.url)
    with holder.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(LedgerUnavailable, match="SQLITE_BUSY"):
            ledger.write([event()], lock_wait=0.1)
        assert time.monotonic() - started < 0.5
    holder.dispose()
    assert ledger.write([event()]) == 1


def test_a_locked_table_is_waited_for_no_longer_than_asked(app: Flask, ledger: Ledger) -> None:
    lock = {
        "postgresql": "LOCK TABLE llm_cost_calls IN ACCESS EXCLUSIVE MODE",
        "mariadb": "LOCK TABLES llm_cost_calls WRITE",
    }.get(ledger.engine.dialect.name)
    if lock is None:
        pytest.skip("SQLite locks the file")
    holder = create_engine(ledger.engine.url)
    with holder.connect() as connection:
        connection.exec_driver_sql(lock)
        started = time.monotonic()
        with pytest.raises(LedgerUnavailable):
            ledger.write([event()], lock_wait=0.1)
        assert time.monotonic() - started < 3  # MySQL counts in whole seconds
    holder.dispose()


def test_in_memory_sqlite_has_one_connection_for_all() -> None:
    host_engine = create_engine("sqlite://", poolclass=StaticPool)
    engine = create_ledger_engine(host_engine)
    assert shared_connection(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x)"))
    with host_engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 0


def test_a_static_pool_on_a_server_is_not_shared(database_url: str, app: Flask) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("a server has more than one connection")
    host_engine = create_engine(database_url, poolclass=StaticPool)
    engine = create_ledger_engine(host_engine)
    with host_engine.connect() as host:
        host.execute(text("INSERT INTO llm_cost_meta VALUES ('host', 'half')"))
        assert Ledger(engine).write([event()]) == 1
        host.rollback()
        assert host.execute(text("SELECT count(*) FROM llm_cost_meta WHERE value = 'half'")).scalar() == 0
    engine.dispose()
    host_engine.dispose()


def test_an_in_memory_database_per_connection_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="StaticPool"):
        create_ledger_engine(create_engine("sqlite://", poolclass=SingletonThreadPool))


def test_parameters_stay_out_of_error_messages(host_engine: Engine) -> None:
    engine = create_ledger_engine(host_engine)
    with engine.connect() as connection, pytest.raises(Exception, match="nowhere") as caught:
        connection.execute(text("INSERT INTO nowhere VALUES (:value)"), {"value": "a customer's name"})
    assert "customer" not in str(caught.value)
    engine.dispose()
