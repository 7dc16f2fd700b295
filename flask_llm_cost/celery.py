"""Celery: tags travel in the headers of a task, and a worker stores its calls before it is gone.

Celery is not imported here: its signals are connected to once the host has imported them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import MutableMapping
from types import ModuleType
from typing import Any

from .capture.import_hook import ImportWatcher
from .context import begin_task
from .context import current_flask_app
from .context import current_scope
from .context import end_task
from .counters import log_failure
from .runtime import Runtime
from .runtime import active_runtimes
from .runtime import registry
from .runtime import runtime_of
from .scope import Scope
from .shutdown import close_all

#: The header of a task's message that tells what was said of calls where the task was sent.
HEADER = "llm_cost"

_SIGNALS = "celery.signals"


def install() -> None:
    """Connect to Celery's signals, now or as soon as they are imported. A second time changes nothing."""
    _watcher.watch([_SIGNALS])
    if _SIGNALS in sys.modules:
        _connect(importlib.import_module(_SIGNALS))


def _connect(signals: ModuleType) -> None:
    for name, receiver in _RECEIVERS.items():
        getattr(signals, name).connect(receiver, weak=False, dispatch_uid=f"{HEADER}.{name}")


def _before_publish(headers: MutableMapping[str, Any] | None = None, **_: object) -> None:
    """In whoever sends a task. A task that is tried again keeps what it came with."""
    sender = _opted_in()
    if sender is None or headers is None or HEADER in headers:
        return
    try:
        if text := sender.recorder.scope_here().to_text(sender.config.redacted_tag_keys):
            headers[HEADER] = text
    except Exception as error:
        _failed(sender, "The tags of a Celery task could not be sent along", error)


def _task_begins(task: Any = None, **_: object) -> None:
    """In whoever runs a task, in its thread or greenlet, before any app context of its own."""
    begin_task(_scope_of_task(task.request))


def _scope_of_task(request: Any) -> Scope | None:
    runner = _opted_in()
    if runner is None:
        return current_scope()
    try:
        if request.is_eager:
            return runner.recorder.scope_here()
        told = getattr(request, HEADER, None)
        return None if told is None else Scope.from_text(told)
    except Exception as error:
        _failed(runner, "The tags that came with a Celery task could not be read", error)
        return None


def _task_ends(task: Any = None, **_: object) -> None:
    end_task()
    if task.request.is_eager:
        return  # inside the sender's work, which stores the calls with its own
    for runtime in active_runtimes():
        # A journal has the calls already; what waits in memory would be gone with a worker that is killed.
        if runtime.ingest.mode == "inline" and runtime.pending:
            runtime.flush_quietly()


def _worker_process_ends(**_: object) -> None:
    """A worker of the prefork pool ends without ``atexit``."""
    close_all()


def _opted_in() -> Runtime | None:
    """The app that lets its tags travel: that of the context, else the one that calls outside of a context
    belong to, else any (a chain goes on outside of every context).
    """
    app = current_flask_app() or registry.only_or_default()
    found = active_runtimes() if app is None else [runtime_of(app)]
    return next((one for one in found if one and one.config.enabled and one.config.celery_tags), None)


def _failed(runtime: Runtime, what: str, error: Exception) -> None:
    log_failure(runtime.counters, "celery_errors", what, error)


_RECEIVERS: Mapping[str, Callable[..., None]] = {
    "before_task_publish": _before_publish,
    "task_prerun": _task_begins,
    "task_postrun": _task_ends,
    "worker_process_shutdown": _worker_process_ends,
}

_watcher = ImportWatcher(_connect)
