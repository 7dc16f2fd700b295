"""In-memory SQLite has one connection, which is the host's. We use it without ending the host's transaction.

SQLAlchemy rolls a connection back when it is given back, which on a shared one would throw away what the host
has flushed (and a commit of ours would commit it). So our engine sees the host's connection through
:class:`SharedConnection`, which ends only transactions that were begun while the host had none open.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from sqlalchemy import Engine
from sqlalchemy import create_engine
from sqlalchemy import event
from sqlalchemy.pool import StaticPool

from .types import compact_json


def shared_connection(engine: Engine) -> bool:
    """Whether the engine's only connection is shared by everything in the process.

    A static pool on a server database is only a small pool: there the ledger has a connection of its own.
    """
    return isinstance(engine.pool, StaticPool) and engine.dialect.name == "sqlite"


def host_transaction_open(engine: Engine) -> bool:
    """Whether the host is in the middle of a transaction on the connection it shares with us."""
    return shared_connection(engine) and bool(getattr(_driver_connection(engine), "in_transaction", False))


class SharedConnection:
    """The host's driver connection, but for the end of transactions that are not ours."""

    def __init__(self, host_engine: Engine) -> None:
        self._host_engine = host_engine
        self._ours = False

    def __getattr__(self, name: str) -> Any:
        return getattr(_driver_connection(self._host_engine), name)

    def begin_ours(self) -> None:
        """A transaction of our engine begins; it is ours if the host has none open."""
        self._ours = not self.in_transaction

    def commit(self) -> None:
        """Commit, unless it is the host's transaction."""
        if self._ours:
            _driver_connection(self._host_engine).commit()

    def rollback(self) -> None:
        """Roll back, unless it is the host's transaction."""
        if self._ours:
            _driver_connection(self._host_engine).rollback()
        self._ours = False

    def close(self) -> None:
        """The host closes its connection itself."""


def create_shared_engine(host_engine: Engine) -> Engine:
    """An engine on the host's one connection that leaves the host's transactions alone."""
    engine = create_engine(
        host_engine.url,
        poolclass=StaticPool,
        creator=lambda: SharedConnection(host_engine),
        hide_parameters=True,
        json_serializer=compact_json,
    )
    event.listen(engine, "begin", _begin_ours)
    return engine


def _begin_ours(connection: Connection) -> None:
    shared = connection.connection.dbapi_connection
    if isinstance(shared, SharedConnection):
        shared.begin_ours()


def _driver_connection(engine: Engine) -> Any:
    """The static pool's driver connection, without a checkout: its end would roll back the transaction."""
    record = getattr(engine.pool, "connection")  # noqa: B009  # untyped: StaticPool's one record
    return record.dbapi_connection
