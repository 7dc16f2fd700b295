"""How calls reach the database: through a journal on disk, or from memory. Decided at the first event."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flask import Flask
from sqlalchemy import Engine

from ..config import Config
from ..counters import Counters
from ..counters import log
from ..events import Event
from ..journal import Journal
from ..journal import probe
from ..journal import survey
from ..journal import workable
from ..ledger import LedgerSource
from ..ledger import shared_connection
from ..providers import Sighting
from .inline import InlineIngest
from .journal import JournalIngest

_SERVERLESS = ("AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "FUNCTIONS_WORKER_RUNTIME", "VERCEL")
_CHOSEN = "here"
_IN_MEMORY = "the database is in memory, on one connection shared with the app"


@dataclass(frozen=True, slots=True)
class Choice:
    """A mode and why.

    :param trouble: somebody ought to hear of it.
    """

    mode: Literal["journal", "inline"]
    reason: str
    trouble: bool = False


class DatabaseIngest:
    """Stores events in the app's database, in the way that fits where the app runs."""

    def __init__(self, app: Flask, config: Config, source: LedgerSource, counters: Counters) -> None:
        self._app = weakref.ref(app)
        self._config = config
        self._source = source
        self._counters = counters
        self._root = Path(app.root_path, config.journal_dir) if config.journal_dir else _default_root(app)
        #: Called before each write: brings along what finalizers have left.
        self.before_flush: Callable[[], None] = _nothing
        #: Makes the events of what was kept unjudged.
        self.judge: Callable[[Sighting], Event] = _nobody
        self._inline = InlineIngest(app, config, source, counters, self._catch_up)
        # Without a lock, and made anew in a forked child: a lock that is older than gevent's patches would
        # hold up all greenlets of the process.
        self._made: dict[str, InlineIngest | JournalIngest] = {}
        # To choose may take an app context, whose end must not bring calls along that need the choice.
        self._choosing = False

    @property
    def _chosen(self) -> InlineIngest | JournalIngest | None:
        return self._made.get(_CHOSEN)

    @property
    def mode(self) -> str:
        return self._chosen.mode if self._chosen else self._choice().mode

    @property
    def reason(self) -> str:
        """Why events are stored this way, in words for the log and doctor.

        :raises ConfigurationError: the database is not initialised for the app.
        """
        return self._chosen.reason if self._chosen else self._choice().reason

    @property
    def journal_folder(self) -> Path:
        """Where this database's journal lies, or would lie.

        :raises ConfigurationError: the database is not initialised for the app.
        """
        return self._root / fingerprint(self._source.get().engine, self._config.bind_key)

    @property
    def pending(self) -> int:
        return self._chosen.pending if self._chosen else self._inline.pending

    def accept(self, event: Event) -> bool:
        return (self._made.get(_CHOSEN) or self._choose()).accept(event)

    def postpone(self, sighting: Sighting) -> bool:
        chosen = self._made.get(_CHOSEN)
        return chosen is not None and chosen.postpone(sighting)

    def hurry(self) -> None:
        """Other processes want to see what was accepted. Where it waits in memory it waits for the app."""
        if isinstance(self._chosen, JournalIngest):
            self._chosen.hurry()

    def seen_by_others(self, timeout: float) -> bool:
        """Wait until what was in a hurry is in the ledger, for at most ``timeout`` seconds; whether it is.

        What finalizers have left comes along. Not in an event loop's thread.
        """
        self._catch_up()
        return self._chosen is None or self._chosen.seen_by_others(timeout)

    @property
    def is_crowded(self) -> bool:
        return self._chosen is not None and self._chosen.is_crowded

    def make_room(self) -> None:
        if self._chosen is not None:
            self._chosen.make_room()

    def flush(self, timeout: float | None = None) -> bool:
        """Write what waits; ``False`` where something is still pending. What dead processes left comes along.

        :raises StorageError: the database refused and ``LLM_COST_STORAGE_ERROR`` is "raise".
        """
        if self._chosen is None and not self._inline.pending and not self._left_by_others():
            return True
        return (self._chosen or self._choose()).flush(timeout)

    def context_ended(self) -> None:
        """Take what finalizers have left, and write now what waits in memory, if that disturbs nobody. Never
        raises.
        """
        if not self._choosing:
            self._catch_up()
        if self._chosen is not None:
            self._chosen.context_ended()

    def close(self, timeout: float) -> None:
        (self._chosen or self._inline).close(timeout)

    def forked(self) -> None:
        self._inline.forked()
        chosen, self._made = self._chosen, {}
        if isinstance(chosen, JournalIngest):
            chosen.forked()

    def _catch_up(self) -> None:
        self.before_flush()

    def _choose(self) -> InlineIngest | JournalIngest:
        self._choosing = True
        try:
            choice = self._decide()
        finally:
            self._choosing = False
        mine = self._ingest_of(choice)
        chosen = self._made.setdefault(_CHOSEN, mine)
        if chosen is mine:
            log.info("LLM calls are stored %s: %s", choice.mode, choice.reason)
            if choice.trouble:
                log.warning("LLM calls wait in memory until they are written: %s", choice.reason)
        return chosen

    def _decide(self) -> Choice:
        """The choice, put to the test. Never raises: it is made within a call of the host's."""
        try:
            choice = self._choice()
            if choice.mode == "journal":
                probe(self.journal_folder)
        except OSError as error:
            choice = Choice("inline", f"no journal in {self._root} ({_why(error)})", trouble=True)
        except Exception as error:
            choice = Choice(
                "inline", f"no journal ({type(error).__name__}); flask llm-cost doctor", trouble=True
            )
        return choice

    def _ingest_of(self, choice: Choice) -> InlineIngest | JournalIngest:
        if choice.mode == "inline":
            self._inline.reason = choice.reason
            return self._inline
        journal = Journal(
            self.journal_folder, max_bytes=self._config.journal_max_bytes, fsync=self._config.journal_fsync
        )
        return JournalIngest(
            self._config,
            journal,
            self._source,
            self._counters,
            self._inline,
            catch_up=self._catch_up,
            judge=lambda sighting: self.judge(sighting),
            reason=choice.reason,
        )

    def _choice(self) -> Choice:
        """What the configuration and the surroundings ask for. Nothing is made yet."""
        asked = self._config.ingestion
        if asked == "inline":
            return Choice("inline", "LLM_COST_INGESTION is 'inline'")
        if shared_connection(self._source.get().engine):
            return Choice("inline", _IN_MEMORY, trouble=asked == "journal")
        if asked == "auto" and (reason := self._better_inline()):
            return Choice("inline", reason)
        folder = self.journal_folder
        if not workable(folder):
            return Choice("inline", f"{folder} cannot be written to", trouble=True)
        return Choice("journal", f"each call is kept in {folder} until its row is committed")

    def _better_inline(self) -> str | None:
        app = self._app()
        if app is None or app.testing:
            return "the app is testing"
        for name in _SERVERLESS:
            if os.environ.get(name):
                return f"serverless environment ({name} is set)"
        return None

    def _left_by_others(self) -> bool:
        return self._choice().mode == "journal" and survey(self.journal_folder).orphans > 0


def fingerprint(engine: Engine, bind_key: str | None) -> str:
    """Which database this is, without its password: a journal of another one is never written to it."""
    url = engine.url
    dialect = {"mariadb": "mysql"}.get(engine.dialect.name, engine.dialect.name)
    host = url.host or url.query.get("host") or url.query.get("unix_socket")
    parts = (dialect, host, url.port, url.database, bind_key)
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()[:16]


def _default_root(app: Flask) -> Path:
    return Path(app.instance_path, "llm_cost")


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _nothing() -> None:
    return None


def _nobody(sighting: Sighting) -> Event:
    raise LookupError("nobody judges calls here")
