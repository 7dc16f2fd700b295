"""The ledger's own engine: the host's database, a connection of our own.

Rows of the ledger must survive the host's rollback and must not commit its half-done work, so they never
travel on the host's connections. In-memory SQLite is the exception: it has only one (see :mod:`.shared`).
"""

from __future__ import annotations

import math
from functools import partial
from sqlite3 import Connection as SQLiteConnection
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import Engine
from sqlalchemy import create_engine
from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.pool import QueuePool

from ..errors import ConfigurationError
from .patience import connecting_in_time
from .shared import create_shared_engine
from .shared import shared_connection
from .types import compact_json

#: Seconds a write waits for another one's lock before it gives up; the events are kept and tried again.
LOCK_WAIT = 5.0
#: The same while the app is testing: a test that holds a lock should not be slow.
TESTING_LOCK_WAIT = 0.1
#: Seconds to wait for one of our connections.
POOL_TIMEOUT = 10.0
#: So many read at a time, each on a connection of its own: one more is left for who writes.
READERS = 2

#: Execution option of a connection that is about to write: how long to wait for locks, in seconds.
WRITE_LOCK_WAIT = "llm_cost_write_lock_wait"

_SUPPORTED = ("sqlite", "postgresql", "mysql", "mariadb")


def create_ledger_engine(
    host_engine: Engine, *, connections: int = 1 + READERS, patience: float | None = None
) -> Engine:
    """An engine like ``host_engine`` with a pool of its own; on a static pool one that shares its connection.

    :param connections: at most so many at a time, one of which is kept.
    :param patience: seconds that whoever reads waits for SQLite's lock. Somebody waits for these connections,
        so they are not tried before each use: a broken one is found by using it, and that is tried again. One
        that cannot be made in a few seconds is given up.

    Connections are made exactly as the host's are: same URL, connect arguments, ``creator``, ``do_connect``
    handlers and pool listeners (a ``PRAGMA`` on connect, say). Listeners of the engine (statement logs) and
    its execution options stay the host's.

    :raises ConfigurationError: the database is not one the ledger knows, or in-memory SQLite without a static
        pool, which would be another, empty database on each connection.
    """
    dialect = host_engine.dialect.name
    if dialect not in _SUPPORTED:
        raise ConfigurationError(
            f"The ledger cannot live in a {dialect} database: use SQLite, PostgreSQL, MySQL or MariaDB, for "
            "example through LLM_COST_BIND_KEY."
        )
    if shared_connection(host_engine):
        return create_shared_engine(host_engine)
    if dialect == "sqlite":
        if host_engine.url.database in (None, "", ":memory:"):
            raise ConfigurationError(
                "In-memory SQLite needs SQLAlchemy's StaticPool, which is Flask-SQLAlchemy's default."
            )
        return _sqlite_engine(host_engine, connections, patience)
    engine = create_engine(
        host_engine.url,
        pool=_own_pool(host_engine, connections, pre_ping=patience is None),
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        json_serializer=compact_json,
    )
    event.listen(engine, "begin", _limit_lock_wait)
    event.listen(engine, "connect", _prepare_nothing_behind_a_pooler)
    if engine.dialect.driver == "psycopg":
        event.listen(engine, "connect", _write_compact_json)
    return engine


def _own_pool(host_engine: Engine, connections: int, *, pre_ping: bool) -> QueuePool:
    """One connection and more at need, made and listened to as the host's are.

    ``Pool.recreate()`` copies creator and listeners in the same way, but also the host's pool size.
    """
    source = host_engine.pool
    in_time = not pre_ping and host_engine.dialect.name != "sqlite"
    return QueuePool(
        connecting_in_time(source._invoke_creator) if in_time else source._creator,
        pool_size=1,
        max_overflow=connections - 1,
        timeout=LOCK_WAIT if in_time else POOL_TIMEOUT,
        recycle=source._recycle,
        pre_ping=pre_ping,
        _dispatch=source.dispatch,
    )


def _sqlite_engine(host_engine: Engine, connections: int, patience: float | None) -> Engine:
    pool = _own_pool(host_engine, connections, pre_ping=patience is None)
    engine = create_engine(host_engine.url, pool=pool, hide_parameters=True, json_serializer=compact_json)
    event.listen(engine, "connect", _begin_by_hand)
    event.listen(engine, "begin", partial(_begin_sqlite, LOCK_WAIT if patience is None else patience))
    return engine


def _begin_by_hand(connection: SQLiteConnection, record: ConnectionPoolEntry) -> None:
    """Keep the driver from beginning transactions, whatever a listener of the host's has set."""
    if hasattr(connection, "autocommit"):  # Python 3.12
        connection.autocommit = -1  # sqlite3.LEGACY_TRANSACTION_CONTROL
    connection.isolation_level = None


def _begin_sqlite(patience: float, connection: Connection) -> None:
    """Take the write lock at once: a transaction that reads first can lose it without a wait."""
    lock_wait: float | None = connection.get_execution_options().get(WRITE_LOCK_WAIT)
    milliseconds = int((patience if lock_wait is None else lock_wait) * 1000)
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds}")
    connection.exec_driver_sql("BEGIN" if lock_wait is None else "BEGIN IMMEDIATE")


def _prepare_nothing_behind_a_pooler(connection: Any, record: ConnectionPoolEntry) -> None:
    """Keep psycopg from preparing statements where another session may meet them, or we meet another's.

    psycopg names them by number. A pooler in transaction mode, such as PgBouncer, gives each transaction to
    any of its sessions on the server: one that another client has prepared under that name would run instead
    of ours. Behind a pooler the server's process is not the one that the connection was told of.
    """
    if getattr(connection, "prepare_threshold", None) is None:
        return
    pid = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
    connection.rollback()
    if pid != connection.info.backend_pid:
        connection.prepare_threshold = None


def _write_compact_json(connection: Any, record: ConnectionPoolEntry) -> None:
    """psycopg writes JSON itself, as the connection was told, and that is made by the host's dialect."""
    from psycopg.types.json import set_json_dumps

    set_json_dumps(compact_json, connection)


def _limit_lock_wait(connection: Connection) -> None:
    lock_wait: float | None = connection.get_execution_options().get(WRITE_LOCK_WAIT)
    if lock_wait is None:
        return
    if connection.dialect.name == "postgresql":
        # LOCAL: a pooler between us and the server may hand the session to somebody else afterwards.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, int(lock_wait * 1000))}")
        return
    seconds = max(1, math.ceil(lock_wait))
    if connection.info.get(WRITE_LOCK_WAIT) != seconds:
        connection.exec_driver_sql(
            f"SET SESSION innodb_lock_wait_timeout = {seconds}, SESSION lock_wait_timeout = {seconds}"
        )
        connection.info[WRITE_LOCK_WAIT] = seconds
