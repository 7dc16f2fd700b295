"""Are the budgets kept, did calls pass that they should have seen, and was everybody told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from ..errors import LLMCostError
from ..runtime import Runtime
from ..wording import plain_digits
from ..wording import plural
from .check import Check
from .check import error
from .check import ok
from .check import warn

if TYPE_CHECKING:
    from ..budgets.keeper import BudgetKeeper

#: Alerts of this long ago are looked at, and how long one may take.
ALERTS_OF = timedelta(days=7)
ALERTS_LATE = timedelta(hours=1)

_UNSEEN = "Look for what keeps the database busy or locked; commit before LLM calls on SQLite."
_MEND = "flask llm-cost budgets reconcile"


def budgets(runtime: Runtime, *, deep: bool) -> Iterator[Check]:
    """Where the budgets stand; nothing of an app without any. Needs the tables.

    :param deep: hold every open window against its calls and reservations.
    """
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
    yield from _alerts(keeper)
    if deep:
        yield from _windows(keeper)
    counted = runtime.counters.snapshot()
    if passed := counted.get("budgets_passed_unchecked", 0):
        yield warn(name, f"Calls passed unchecked, {passed:,} times in this process.", _MEND)
    if unseen := counted.get("budgets_passed_unseen", 0):
        what = "Calls passed before earlier ones were written, where other processes could see them"
        yield warn(name, f"{what}, {unseen:,} times in this process.", _UNSEEN)
    if over := sorted({status.budget for status in statuses if status.excess}):
        fix = "Look at their estimates: flask llm-cost budgets status"
        yield warn(name, f"Calls have cost more than was set aside for them: {', '.join(over)}.", fix)


def _alerts(keeper: BudgetKeeper) -> Iterator[Check]:
    """Which channels have not taken alerts of the last week, an hour and more after they were due."""
    from ..budgets.alerting.history import undelivered

    now = datetime.now(UTC)
    try:
        found = keeper.ledger().reading(partial(undelivered, since=now - ALERTS_OF, before=now - ALERTS_LATE))
    except LLMCostError:
        return  # in memory nothing is kept of alerts; an unreadable database is told of above
    if found:
        told = ", ".join(f"{each.channel} {each.count:,} ({each.failure or 'not tried'})" for each in found)
        fix = "flask llm-cost budgets alerts --test, and see the log."
        yield warn("alerts", f"Alerts of the last {ALERTS_OF.days} days that nobody got: {told}.", fix)
    else:
        yield ok("alerts", f"No alert of the last {ALERTS_OF.days} days waits for its channel.")


def _windows(keeper: BudgetKeeper) -> Iterator[Check]:
    from ..budgets.reconciling import reconcile

    try:
        found = reconcile(keeper.ledger(), keeper.budgets, dry_run=True)
    except LLMCostError as problem:
        yield error(
            "budget windows", f"They cannot be read: {problem}", "Try again; the server's log says more."
        )
        return
    wrong = [each for each in found if each.is_changed]
    if wrong:
        first = wrong[0]
        whose = f" of {first.scope}" if first.scope else ""
        kept, told = plain_digits(first.spent_before), plain_digits(first.spent)
        yield error(
            "budget windows",
            f"{plural(len(wrong), 'window')} of {len(found):,} differ from their calls; the first: "
            f"{first.budget}{whose}, {kept} USD instead of {told}.",
            _MEND,
        )
    else:
        yield ok(
            "budget windows", f"{plural(len(found), 'open window')} looked at: every one equals its calls."
        )
