"""How long work on the ledger takes its time, so that writers of new calls hardly notice it."""

from __future__ import annotations

#: Seconds between two batches, so that writers who wait for SQLite's one lock get it.
PAUSE = 0.02
#: Seconds to wait for somebody else's lock: nobody waits for a run, and it should outlast a busy hour.
LOCK_WAIT = 30.0
