"""Are the budgets kept, and did calls pass that they should have seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from datetime import datetime

from ..errors import LLMCostError
from ..runtime import Runtime
from ..wording import plural
from .check import Check
from .check import error
from .check import ok
from .check import warn

_MEND = "flask llm-cost budgets reconcile"


def budgets(runtime: Runtime) -> Iterator[Check]:
    """Where the budgets stand; nothing of an app without any. Needs the tables."""
    keeper = runtime.budgets
    if keeper is None:
        return
    name = "budgets"
    try:
        statuses = [status for status in keeper.statuses(datetime.now(UTC)) if status.period != "call"]
    except LLMCostError as problem:
        yield error(name, f"They cannot be read: {problem}", "Try again; the server's log says more.")
        return
    reached = sorted({status.budget for status in statuses if status.is_reached})
    declared = f"{plural(len(keeper.budgets), 'budget')} declared"
    if reached:
        yield warn(name, f"{declared}; reached: {', '.join(reached)}.", "flask llm-cost budgets check")
    else:
        yield ok(name, f"{declared}; none is reached.")
    counted = runtime.counters.snapshot()
    if passed := counted.get("budgets_passed_unchecked", 0):
        yield warn(name, f"Calls passed unchecked, {passed:,} times in this process.", _MEND)
    if over := sorted({status.budget for status in statuses if status.excess}):
        fix = "Look at their estimates: flask llm-cost budgets status"
        yield warn(name, f"Calls have cost more than was set aside for them: {', '.join(over)}.", fix)
