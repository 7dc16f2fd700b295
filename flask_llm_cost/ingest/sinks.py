"""Ways to store events without a ledger: the app's log, and a callable of the host's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from ..counters import Counters
from ..counters import log_failure
from ..errors import StorageError
from ..events import Event
from ..providers import Sighting
from ..sanitize import one_line
from ..wording import UNKNOWN
from ..wording import plain_digits


class _Direct:
    """Events are stored in the moment they are accepted; nothing is ever pending."""

    pending = 0
    is_crowded = False

    def postpone(self, sighting: Sighting) -> bool:
        return False  # it is asked for the event

    def make_room(self) -> None:
        return None

    def flush(self, timeout: float | None = None) -> bool:
        return True

    def close(self, timeout: float) -> None:
        return None

    def forked(self) -> None:
        return None


class LogIngest(_Direct):
    """One line per call through the app's logger, for a try without a database."""

    mode = "log"
    reason = "LLM_COST_STORAGE is 'log'"

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        # A logger nobody configured swallows INFO: the one thing this mode is for would be lost.
        if logger.getEffectiveLevel() > logging.INFO:
            logger.setLevel(logging.INFO)

    def accept(self, event: Event) -> bool:
        self._logger.info("%s", log_line(event))
        return True


class CallableIngest(_Direct):
    """The host's callable owns persistence. It gets the ``Event`` in the thread that made the call."""

    mode = "callable"
    reason = "storage= was given"

    def __init__(self, storage: Callable[[Event], object], storage_error: str, counters: Counters) -> None:
        self._storage = storage
        self._storage_error = storage_error
        self._counters = counters

    def accept(self, event: Event) -> bool:
        try:
            self._storage(event)
        except Exception as error:
            if self._storage_error == "raise":
                raise StorageError("The storage callable failed; the call is not recorded.") from error
            if self._storage_error == "warn":
                log_failure(self._counters, "storage_errors", "The storage callable failed", error)
            return False
        return True


def log_line(event: Event) -> str:
    """A call in one line: model, tokens, cost, latency, tags. Unknown numbers say so."""
    cost = UNKNOWN if event.total_cost is None else f"${plain_digits(event.total_cost)}"
    parts = [
        f"llm call {event.provider}/{event.model}",
        f"operation={event.operation} status={event.status}",
        f"input_tokens={_count(event.input_tokens)} cached={_count(event.cache_read_input_tokens)}",
        f"output_tokens={_count(event.output_tokens)} cost={cost} cost_status={event.cost_status}",
        f"latency_ms={_count(event.latency_ms)} user={event.user_id or '-'} endpoint={event.endpoint or '-'}",
        f"tags={json.dumps(dict(event.tags), ensure_ascii=False)}",
    ]
    return one_line(" ".join(parts))


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)
