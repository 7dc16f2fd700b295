"""Ways to store events without a ledger: the app's log, and a callable of the host's."""

from __future__ import annotations

import json
import logging
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from inspect import iscoroutinefunction

from ..counters import Counters
from ..counters import count_failure
from ..counters import log_failure
from ..errors import ConfigurationError
from ..errors import StorageError
from ..events import Event
from ..providers import Sighting
from ..sanitize import one_line
from ..wording import UNKNOWN
from ..wording import plain_digits


class _Direct(ABC):
    """Events are stored when they are accepted, in the thread of the call; nothing is ever pending."""

    pending = 0
    is_crowded = False
    #: Where events go, for messages.
    _where: str

    def __init__(self, storage_error: str, counters: Counters) -> None:
        self._storage_error = storage_error
        self._counters = counters

    @abstractmethod
    def _store(self, event: Event) -> object:
        """Store the event; ``False`` where it is not kept, and is not meant to be."""

    def accept(self, event: Event) -> bool:
        try:
            kept = self._store(event)
        except Exception as error:
            if self._storage_error == "raise":
                raise StorageError(f"{self._where} failed; the call is not recorded.") from error
            if self._storage_error == "ignore":
                count_failure(self._counters, "storage_errors", error)
            else:
                log_failure(self._counters, "storage_errors", f"A call is lost: {self._where} failed", error)
            return False
        if kept is False:
            self._counters.add("declined")
            return False
        return True

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
    _where = "the app's logger"

    def __init__(self, logger: logging.Logger, storage_error: str, counters: Counters) -> None:
        super().__init__(storage_error, counters)
        self._logger = logger
        # A logger nobody configured swallows INFO: the one thing this mode is for would be lost.
        if logger.getEffectiveLevel() > logging.INFO:
            logger.setLevel(logging.INFO)

    def _store(self, event: Event) -> None:
        self._logger.info("%s", log_line(event))


class CallableIngest(_Direct):
    """The host's callable owns persistence. It gets the ``Event`` in the thread that made the call.

    Where it returns ``False`` the call is not kept: no signal is sent, and no budget counts it.

    :raises ConfigurationError: it is no plain function: nobody would await what it returns.
    """

    mode = "callable"
    reason = "storage= was given"
    _where = "the storage callable"

    def __init__(self, storage: Callable[[Event], object], storage_error: str, counters: Counters) -> None:
        super().__init__(storage_error, counters)
        if not callable(storage) or any(map(iscoroutinefunction, (storage, type(storage).__call__))):
            raise ConfigurationError(
                "storage= must be a plain function that takes an Event: it is called in the thread of the "
                "call, where nobody awaits what an async one returns."
            )
        self._storage = storage

    def _store(self, event: Event) -> object:
        return self._storage(event)


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
