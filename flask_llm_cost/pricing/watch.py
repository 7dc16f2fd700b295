"""Noticing that the prices file has changed, without a thread or a look at the disk for every call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from pathlib import Path

from ..errors import ConfigurationError
from .documents import Signature
from .documents import file_signature
from .tables import PriceTable
from .tables import file_table

logger = logging.getLogger(__name__)

#: Seconds between two looks at the prices file's date.
FILE_CHECK_INTERVAL = 1.0


@dataclass(slots=True)
class FileWatch:
    """Looks at the prices file now and then. One thread at a time looks; the others do not wait for it.

    :param position: where the file's table stands among the catalog's tables.
    :param clock: seconds that only ever grow.
    :param problem: why the file as it is now is not used; empty where it is.
    :param changed_at: when the file whose prices are in force was last changed.
    """

    path: Path
    position: int
    clock: Callable[[], float]
    problem: str = ""
    changed_at: datetime | None = None
    _signature: Signature | None = None
    _next_look: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def first_table(self) -> PriceTable:
        """The table as it is at start-up.

        :raises ConfigurationError: the file is missing or malformed.
        """
        self._signature = file_signature(self.path)
        self._next_look = self.clock() + FILE_CHECK_INTERVAL
        table = file_table(self.path)
        self.accepted()
        return table

    def accepted(self) -> None:
        """The file as it is now is in force."""
        self.problem = ""
        self.changed_at = datetime.fromtimestamp(self._signature[0] / 1e9, UTC) if self._signature else None

    def refused(self, error: ConfigurationError) -> None:
        """The file as it is now is not used. Said once in the log, and kept for those who ask."""
        self.problem = str(error)
        logger.warning("The changed prices file is not used, the old prices stay: %s", error)

    def is_due(self) -> bool:
        """Whether it is time for another look."""
        return self.clock() >= self._next_look

    def changed_table(self) -> PriceTable | None:
        """The new table, if the file has changed and can be read. A file is tried once per change."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            self._next_look = self.clock() + FILE_CHECK_INTERVAL
            signature = file_signature(self.path)
            if signature == self._signature:
                return None
            self._signature = signature
            return file_table(self.path)
        except ConfigurationError as error:
            self.refused(error)
            return None
        finally:
            self._lock.release()
