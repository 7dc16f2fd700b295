"""What the host is told of a limit: the exceptions, in words and with their numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from ..errors import BudgetExceededError
from ..errors import BudgetUnavailableError
from ..wording import plain_digits
from .declaration import Budget
from .status import BudgetStatus

_PERIODS = {
    "call": "for one call",
    "hour": "this hour",
    "day": "today",
    "week": "this week",
    "month": "this month",
    "total": "in all",
}
_LOCKED = ("SQLITE_BUSY", "SQLITE_LOCKED")
_ALLOW = "Budget(..., on_unavailable='allow') lets calls pass meanwhile."


def exceeded(
    status: BudgetStatus, estimate: Decimal | None, stage: Literal["before", "after"], why: str | None = None
) -> BudgetExceededError:
    """The exception about a limit that is reached, or that a call would cross.

    :param why: in place of the usual words.
    """
    return BudgetExceededError(
        _reason(status, estimate, stage, why),
        budget=status.budget,
        scope=status.scope,
        limit=status.limit,
        spent=status.used,
        reserved=status.reserved,
        estimate=estimate,
        window_end=status.window_end,
        stage=stage,
    )


def without_bound(status: BudgetStatus, reason: str) -> BudgetExceededError:
    """A hard budget cannot admit a call that may cost anything."""
    why = (
        f"it has no upper bound ({reason}), and the budget reserves. Give the request a limit such as "
        "max_tokens, or the budget an estimate= for such calls"
    )
    return exceeded(status, None, "before", why)


def unavailable(budget: Budget, reason: str) -> BudgetUnavailableError:
    """The exception of a database that does not tell.

    :param reason: the error's class and code.
    """
    if any(code in reason for code in _LOCKED):
        message = (
            f"Budget {budget.name!r} cannot be checked: the SQLite database is locked ({reason}). Most often "
            "that is the app's own transaction: it has written something and not committed it yet. Call "
            f"db.session.commit() before the LLM call, or use PostgreSQL or MySQL. {_ALLOW} Nothing was sent."
        )
    else:
        message = (
            f"Budget {budget.name!r} cannot be checked: its database does not answer ({reason}); "
            f"flask llm-cost doctor says more. {_ALLOW} Nothing was sent."
        )
    return BudgetUnavailableError(budget.name, message)


def not_seen(budget: Budget) -> BudgetUnavailableError:
    """The exception of calls that could not be written in time: no other process knows of them."""
    message = (
        f"Budget {budget.name!r} cannot be kept: calls that this process has made are not in the ledger yet, "
        "so other processes do not see them. On SQLite that is most often the app's own transaction: call "
        "db.session.commit() before the LLM call. Else flask llm-cost doctor says more. "
        f"{_ALLOW} Nothing was sent."
    )
    return BudgetUnavailableError(budget.name, message)


def _reason(
    status: BudgetStatus, estimate: Decimal | None, stage: Literal["before", "after"], why: str | None
) -> str:
    whose = f" of {status.scope!r}" if status.scope else ""
    what = "The call was not sent" if stage == "before" else "The call is recorded"
    numbers = [f"limit {_usd(status.limit)} {_PERIODS[status.period]}"]
    if status.period != "call":
        numbers.append(f"spent {_usd(status.used)}")
        if status.reserved:
            numbers.append(f"reserved {_usd(status.reserved)}")
    if estimate is not None:
        numbers.append(f"this call {'at most ' if stage == 'before' else ''}{_usd(estimate)}")
    until = ""
    if status.window_end is not None and status.period != "call":
        until = f"; the next window begins {status.window_end.isoformat()}"
    crosses = stage == "before" and estimate is not None
    told = why or ("it would cross the limit" if crosses else "the limit is reached")
    return f"Budget {status.budget!r}{whose}: {told} ({', '.join(numbers)}). {what}{until}."


def _usd(amount: Decimal) -> str:
    return f"${plain_digits(amount)}"
