"""Whether the ledger has all that was recorded on this machine, so that work on it misses nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..ingest.choice import DatabaseIngest
from ..journal import DAMAGED_SUFFIX
from ..journal import survey
from ..runtime import Runtime

#: Seconds between two looks at the files of running processes, which write theirs themselves.
_LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of this machine's journal is not in the ledger.

    :param calls: records of calls that began before the moment asked for.
    :param aside: files with what could not be read or stored.
    """

    calls: int = 0
    aside: tuple[Path, ...] = ()


def settle(runtime: Runtime, before: datetime, timeout: float) -> Waiting:
    """Have the ledger catch up with the calls that began before a moment, for at most ``timeout`` seconds.

    This process's calls and those of processes that are gone are written; running ones are waited for.
    """
    deadline = time.monotonic() + timeout
    runtime.flush(timeout)
    ingest = runtime.ingest
    if not isinstance(ingest, DatabaseIngest) or ingest.mode != "journal":
        return Waiting(calls=runtime.pending)
    folder = ingest.journal_folder
    while True:
        found = survey(folder)
        if found.oldest is None or found.oldest >= before:
            return Waiting(aside=_aside(folder))
        if time.monotonic() >= deadline:
            return Waiting(calls=found.pending, aside=_aside(folder))
        time.sleep(_LOOK)


def _aside(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.glob(f"*{DAMAGED_SUFFIX}") if path.stat().st_size))
