"""For the host's own tests: what an app's calls would have been recorded as, without a database.

.. code-block:: python

    from flask_llm_cost.testing import recorded_calls

    with recorded_calls(app) as calls:
        app.test_client().post("/ask", data={"question": "Is the quay open?"})
    assert [call.tags["feature"] for call in calls] == ["questions"]
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from flask import Flask

from .errors import ConfigurationError
from .events import Event
from .ingest import CallableIngest
from .runtime import EXTENSION
from .runtime import runtime_of

__all__ = ["recorded_calls"]


@contextmanager
def recorded_calls(app: Flask) -> Iterator[list[Event]]:
    """The calls of ``app`` that end inside the block, in that order, in every thread.

    They are priced and attributed as ever, and ``call_recorded`` is sent. They are stored nowhere, and no
    budget is asked. A stream counts when it has been read, or left. Blocks nest: the inner one takes the
    calls.

    :raises ConfigurationError: the app has no tracker, or ``LLM_COST_ENABLED`` is off.
    """
    runtime = runtime_of(app)
    if runtime is None or not runtime.config.enabled:
        why = "has no tracker: call init_app() first" if runtime is None else "has LLM_COST_ENABLED off"
        raise ConfigurationError(f"recorded_calls() finds nothing to record: the app {app.name!r} {why}.")
    calls: list[Event] = []
    ingest = CallableIngest(calls.append, runtime.config.storage_error, runtime.counters)
    recorder = runtime.recorder.storing_in(ingest)
    app.extensions[EXTENSION] = replace(
        runtime, ingest=ingest, recorder=recorder, ledger_source=None, budgets=None
    )
    try:
        yield calls
        recorder.catch_up()
    finally:
        app.extensions[EXTENSION] = runtime
