"""How tracking ends: of one app, and of all apps when their process does."""

from __future__ import annotations

import atexit
import sys
from types import ModuleType

from flask import Flask

from . import capture
from .capture.import_hook import ImportWatcher
from .runtime import registry
from .runtime import runtime_of


def close(app: Flask, timeout: float | None = None) -> None:
    """Record the streams nobody read to their end, write what waits, and track the app no longer.

    :param timeout: seconds; ``LLM_COST_SHUTDOWN_TIMEOUT`` where it is not given.
    """
    runtime = runtime_of(app)
    if runtime is None or not registry.discard(app):
        return
    capture.abandon_open_calls(runtime)
    runtime.close(runtime.config.shutdown_timeout if timeout is None else timeout)
    if runtime.config.enabled:
        capture.uninstall(runtime.config.instrument)


def close_all() -> None:
    """:func:`close` every app of this process."""
    for app in registry.apps():
        close(app)


def _close_at_worker_end(util: ModuleType) -> None:
    """A worker of multiprocessing ends without ``atexit``: it runs the finalizers that were made in it."""
    from multiprocessing.process import parent_process  # loaded by ``util``, and by few apps

    def finalize(_: object = None) -> None:
        util.Finalize(None, close_all, exitpriority=0)

    util.register_after_fork(close_all, finalize)
    if parent_process() is not None:
        finalize()


atexit.register(close_all)

_UTIL = "multiprocessing.util"
_watcher = ImportWatcher(_close_at_worker_end)
_watcher.watch([_UTIL])
if _UTIL in sys.modules:
    _close_at_worker_end(sys.modules[_UTIL])
