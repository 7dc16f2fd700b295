"""What one app's tracker is made of, and which app a call belongs to."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from typing import TYPE_CHECKING
from typing import Any

from flask import Flask

from .config import Config
from .context import current_flask_app
from .counters import Counters
from .errors import StorageError
from .ingest import Ingest
from .pricing import Catalog
from .recorder import Recorder

if TYPE_CHECKING:
    from .analytics import CallQuery
    from .budgets.keeper import BudgetKeeper
    from .ledger import Ledger
    from .ledger import LedgerSource

#: Where an app keeps its runtime: ``app.extensions["llm_cost"]``.
EXTENSION = "llm_cost"

#: How often this process and those it descends from were forked: what was begun before is the parent's.
forks = 0

#: Counts of calls that belonged to no tracked app.
untracked = Counters()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Runtime:
    """The parts of one app's tracker, built once by the extension and never changed."""

    config: Config
    catalog: Catalog
    counters: Counters
    ingest: Ingest
    recorder: Recorder
    ledger_source: LedgerSource | None = None
    #: ``None`` where the app has none: calls ask for nothing else then.
    budgets: BudgetKeeper | None = None
    authorize: Callable[[], Any] | None = None
    scope: Callable[[CallQuery], CallQuery] | None = None

    @property
    def ledger(self) -> Ledger | None:
        """The ledger, or ``None`` where calls go to the log or to a callable of the host's."""
        return self.ledger_source.get() if self.ledger_source else None

    @property
    def calls(self) -> CallQuery:
        """All recorded calls, to be narrowed and asked. What waits in this process is written first.

        :raises StorageError: there is no ledger to ask.
        """
        from .analytics import CallQuery  # a worker that only records asks nothing

        ledger = self.ledger
        if ledger is None:
            raise StorageError(
                f"There is no ledger to ask: {self.ingest.reason}. Set LLM_COST_STORAGE to 'database', and "
                "give no storage= callable, to keep one."
            )
        return CallQuery(ledger, self.config.timezone, self.flush_quietly, _utc_now)

    def flush(self, timeout: float | None = None) -> bool:
        """Store what waits; whether nothing is left after at most ``timeout`` seconds."""
        self.recorder.catch_up()
        return self.ingest.flush(timeout)

    @property
    def pending(self) -> int:
        """How many calls of this process are not stored yet."""
        return self.recorder.pending + self.ingest.pending

    def close(self, timeout: float) -> None:
        """Store what waits, for at most ``timeout`` seconds, and stop."""
        deadline = time.monotonic() + timeout
        self.recorder.catch_up()
        self.ingest.close(timeout)
        if self.budgets is not None:
            self.budgets.close(max(0.0, deadline - time.monotonic()))

    def forked(self) -> None:
        """In a forked child: what waits here is the parent's to store."""
        self.recorder.forked()
        self.ingest.forked()
        if self.budgets is not None:
            self.budgets.forked()

    def flush_quietly(self) -> None:
        """Store what waits before a reader asks; the reader shows what is still pending."""
        try:
            self.flush(timeout=1.0)
        except StorageError:
            return  # counted and shown; the answer is about what is stored


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Registry:
    """The tracked apps of this process, held weakly."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._apps: weakref.WeakSet[Flask] = weakref.WeakSet()
        self._default: weakref.ref[Flask] | None = None
        self._swept = False

    def add(self, app: Flask, *, default: bool) -> None:
        with self._lock:
            self._apps.add(app)
            self._swept = False
            if default:
                self._default = weakref.ref(app)

    def forked(self) -> None:
        """In a forked child: a thread that held the lock did not come along."""
        self._lock = threading.Lock()

    def discard(self, app: Flask) -> bool:
        """Forget an app; whether it was known."""
        with self._lock:
            known = app in self._apps
            self._apps.discard(app)
            return known

    def apps(self) -> list[Flask]:
        """Every tracked app that still lives."""
        with self._lock:
            return list(self._apps)

    def only_or_default(self) -> Flask | None:
        """The app initialised with ``default=True``, else the only one."""
        with self._lock:
            default = self._default() if self._default else None
            if default is not None and default in self._apps:
                return default
            apps = list(self._apps)
            if len(apps) > 1 and not self._swept:
                # Apps that nobody holds any more (a test suite makes many) live on in reference cycles.
                del apps
                gc.collect()
                self._swept = True
                apps = list(self._apps)
            return apps[0] if len(apps) == 1 else None


registry = _Registry()


def runtime_of(app: Flask) -> Runtime | None:
    """The runtime of an app, or ``None`` where no tracker was initialised for it."""
    found = app.extensions.get(EXTENSION)
    return found if isinstance(found, Runtime) else None


def active_runtimes() -> list[Runtime]:
    """The runtimes of all tracked apps that record."""
    found = [runtime_of(app) for app in registry.apps()]
    return [runtime for runtime in found if runtime is not None and runtime.config.enabled]


def resolve(*, counted: bool = True) -> Runtime | None:
    """The runtime that a call beginning now belongs to; ``None`` lets the call pass untracked.

    With an app context that is the context's app. Without one it is the process's only tracked app, or the
    one initialised with ``default=True``; otherwise the call is counted in :data:`untracked`.

    :param counted: false where it is not known yet whether there is a call at all.
    """
    app = current_flask_app() or registry.only_or_default()
    runtime = None if app is None else runtime_of(app)
    if runtime is None:
        if counted:
            untracked.add("no_app" if app is None else "untracked_app")
        return None
    return runtime if runtime.config.enabled else None


def resolve_among(apps: Iterable[Flask]) -> Runtime | None:
    """As :func:`resolve`, but nothing is counted, for one who serves these apps: outside any app context the
    call belongs to the only one of them that is tracked still.
    """
    tracked = registry.apps()
    app = current_flask_app()
    if app is None:
        mine = [one for one in apps if one in tracked]
        app = mine[0] if len(mine) == 1 else None
    runtime = None if app is None else runtime_of(app)
    if runtime is None:
        return resolve(counted=False)
    return runtime if app in tracked and runtime.config.enabled else None


def _after_fork_in_child() -> None:
    global forks
    forks += 1
    registry.forked()
    for app in registry.apps():
        if (runtime := runtime_of(app)) is not None:
            runtime.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
