"""How tracking ends: of one app, and of all apps when their process does."""

from __future__ import annotations

import atexit
from multiprocessing import parent_process
from multiprocessing.util import Finalize
from multiprocessing.util import register_after_fork

from flask import Flask

from . import capture
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


def _close_at_worker_end(_: object = None) -> None:
    Finalize(None, close_all, exitpriority=0)


atexit.register(close_all)
# A worker of multiprocessing ends without atexit: it runs the finalizers that were made in it.
register_after_fork(close_all, _close_at_worker_end)
if parent_process() is not None:
    _close_at_worker_end()
