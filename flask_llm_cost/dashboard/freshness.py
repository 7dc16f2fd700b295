"""How fresh the numbers are: the last recorded call, and what this process still holds or lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..analytics import CallQuery
from ..wording import plural
from .formats import age
from .formats import moment
from .responses import runtime
from .scoped import sees_everything

#: Counters of calls that never reached the ledger.
_LOST = ("dropped", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """The strip at the end of a page. ``last`` is ``None`` before the first call.

    :param told: whether the reader may know what waits and what was lost.
    """

    last: datetime | None
    last_in_words: str
    last_moment: str
    pending: str
    lost: str
    told: bool


def freshness(visible: CallQuery) -> Freshness:
    """The newest call that the reader may see, and the counters of this process, which are everybody's."""
    newest = visible.all_time().page(size=1).calls
    last = newest[0].occurred_at if newest else None
    state, told = runtime(), sees_everything(visible)
    lost = sum(state.counters[name] for name in _LOST) if told else 0
    pending = state.pending if told else 0
    return Freshness(
        last=last,
        last_in_words=age(last, visible.now()) if last else "",
        last_moment=moment(last, visible.zone) if last else "",
        pending=f"{plural(pending, 'call')} waiting to be written" if pending else "",
        lost=f"{plural(lost, 'call')} lost in this process" if lost else "",
        told=told,
    )
