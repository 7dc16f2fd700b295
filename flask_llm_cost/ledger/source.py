"""The app's ledger, made at its first use."""

from __future__ import annotations

import threading
import weakref
from contextlib import AbstractContextManager
from contextlib import nullcontext

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine

from ..config import Config
from ..context import current_flask_app
from ..errors import ConfigurationError
from .coverage import RollupChoice
from .engine import LOCK_WAIT
from .engine import TESTING_LOCK_WAIT
from .engine import create_ledger_engine
from .listener import CallListener
from .writer import Ledger


class LedgerSource:
    """Makes the ledger when it is first asked for, not in ``init_app``.

    By then ``db.init_app`` was called whatever the order, and a pre-forking server has forked, so that no
    connection is inherited.
    """

    def __init__(self, app: Flask, db: SQLAlchemy, config: Config) -> None:
        self._app = weakref.ref(app)
        self._db = db
        self._config = config
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None
        #: Hears of calls in the transaction that inserts or deletes them, where somebody has to.
        self.listener: CallListener | None = None

    def get(self) -> Ledger:
        """The ledger.

        :raises ConfigurationError: the database is not initialised for the app, or has no such bind key.
        """
        if self._ledger is None:
            host_engine = self._host_engine("LLM_COST_BIND_KEY", self._config.bind_key)
            read_key = self._config.read_bind_key
            replica = None if read_key is None else self._host_engine("LLM_COST_READ_BIND_KEY", read_key)
            with self._lock:
                if self._ledger is None:
                    self._ledger = Ledger(
                        create_ledger_engine(host_engine),
                        lock_wait=self._lock_wait(),
                        rollups=RollupChoice(self._config.timezone, self._config.rollup_tags),
                        read_engine=None if replica is None else create_ledger_engine(replica),
                        listener=self.listener,
                    )
        return self._ledger

    def beside(self, *, connections: int, lock_wait: float) -> Ledger:
        """Another one for those who cannot wait for the writer's connections: the caller keeps it.

        :param lock_wait: seconds that it waits for a lock where nobody says otherwise.
        :raises ConfigurationError: as :meth:`get`.
        """
        engine = create_ledger_engine(
            self._host_engine("LLM_COST_BIND_KEY", self._config.bind_key),
            connections=connections,
            patience=lock_wait,
        )
        return Ledger(engine, lock_wait=lock_wait, in_time=True)

    def host_is_busy(self) -> bool:
        """Whether the app, in this process, has a connection of its own in use: it may hold SQLite's lock."""
        checked_out = getattr(
            self._host_engine("LLM_COST_BIND_KEY", self._config.bind_key).pool, "checkedout", None
        )
        return checked_out is None or checked_out() > 0

    def forked(self) -> None:
        """In a forked child: who held the lock did not come along, and connections are the parent's."""
        self._lock = threading.Lock()
        if self._ledger is not None:
            self._ledger.forked()

    def _lock_wait(self) -> float:
        app = self._app()
        return TESTING_LOCK_WAIT if app is not None and app.testing else LOCK_WAIT

    def _host_engine(self, key: str, bind_key: str | None) -> Engine:
        app = self._app()
        if app is None:
            raise ConfigurationError("The Flask app of this tracker is gone: keep a reference to it.")
        here = current_flask_app() is app
        context: AbstractContextManager[object] = nullcontext() if here else app.app_context()
        try:
            with context:
                return self._db.engines[bind_key]
        except KeyError as error:
            raise ConfigurationError(
                f"{key} is {bind_key!r}, but SQLALCHEMY_BINDS has no such key: add it."
            ) from error
        except RuntimeError as error:
            raise ConfigurationError(
                "The database is not initialised for this app: call db.init_app(app)."
            ) from error
