"""What a window will have cost when it ends, if it goes on like this. Values only."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from ..money import EXACT
from ..money import MONEY_SCALE
from ..money import to_scale
from .status import BudgetStatus

#: A window has to be this far for its pace to say anything.
_SOONEST = Decimal("0.05")


def projected(status: BudgetStatus, now: datetime) -> Decimal | None:
    """The cost at the end of the window at its pace so far, in USD; ``None`` where nothing can be said.

    Its past is taken for its future: a month of weekdays and weekends is right at its end and rough at its
    beginning.
    """
    if status.window_end is None or status.period == "call":
        return None
    whole = Decimal(str((status.window_end - status.window_start).total_seconds()))
    passed = Decimal(str((now - status.window_start).total_seconds()))
    if whole <= 0 or not _SOONEST * whole <= passed:
        return None
    share = min(Decimal(1), EXACT.divide(passed, whole))
    return to_scale(EXACT.divide(status.used, share), MONEY_SCALE)
