"""How fresh the numbers are: the last recorded call, and what this process still holds or lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..runtime import Runtime
from ..wording import plural
from .formats import age
from .formats import moment

#: Counters of calls that never reached the ledger.
_LOST = ("dropped", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """The strip at the end of a page. ``last`` is ``None`` before the first call."""

    last: datetime | None
    last_in_words: str
    last_moment: str
    pending: str
    lost: str


def freshness(state: Runtime) -> Freshness:
    """Read the newest call of the ledger and the counters of this process."""
    newest = state.calls.all_time().page(size=1).calls
    last = newest[0].occurred_at if newest else None
    lost = sum(state.counters[name] for name in _LOST)
    return Freshness(
        last=last,
        last_in_words=age(last, state.calls.now()) if last else "",
        last_moment=moment(last, state.config.timezone) if last else "",
        pending=f"{plural(state.ingest.pending, 'call')} waiting to be written"
        if state.ingest.pending
        else "",
        lost=f"{plural(lost, 'call')} lost in this process" if lost else "",
    )
