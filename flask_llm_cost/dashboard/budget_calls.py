"""From a budget's numbers to the calls behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from datetime import timedelta
from zoneinfo import ZoneInfo

from ..budgets import Budget
from ..budgets import BudgetStatus
from .filters import TAG_PREFIX
from .filters import WITHOUT
from .periods import MAX_DAYS
from .responses import link

_TAG = "tag:"


@dataclass(frozen=True, slots=True)
class BudgetCalls:
    """Links to the calls of a budget's windows.

    :param zone: the dashboard's; its pages know whole days of it.
    """

    budget: Budget
    zone: ZoneInfo
    today: date

    def of(self, window: BudgetStatus, /, **more: str) -> str:
        """The calls of a window, as closely as filters tell: whole days, and one value of each kind."""
        arguments = {**self._days(window), **dict(self._single()), **more}
        if self.budget.per is not None:
            name = _filter(self.budget.per)
            arguments |= {name: window.scope} if window.scope else {WITHOUT: name}
        return link(".calls", arguments)

    @property
    def counts(self) -> str:
        """Which calls the budget counts, in words; empty where it counts all."""
        return ", ".join(
            f"{name.removeprefix(_TAG)} {' or '.join(values)}" for name, values in self.budget.where.items()
        )

    @property
    def shortfall(self) -> str:
        """What the links cannot tell of that the budget counts; empty where they show just its calls."""
        budget, said = self.budget, []
        if budget.period == "hour" or (budget.period != "total" and budget.zone.key != self.zone.key):
            said.append(f"whole days of {self.zone.key}")
        if budget.period == "total":
            said.append(f"the last {MAX_DAYS} days")
        if any(len(values) > 1 for values in budget.where.values()):
            said.append("all values where the budget names several")
        return f"The links show {' and '.join(said)}." if said and budget.period != "call" else ""

    def _days(self, window: BudgetStatus) -> dict[str, str]:
        last = self.today
        if window.window_end is not None:
            end = (window.window_end - timedelta(microseconds=1)).astimezone(self.zone).date()
            last = min(self.today, end)
        longest = last - timedelta(days=MAX_DAYS - 1)
        first = min(last, max(longest, window.window_start.astimezone(self.zone).date()))
        return {"from": first.isoformat(), "to": last.isoformat()}

    def _single(self) -> Iterator[tuple[str, str]]:
        for name, values in self.budget.where.items():
            if len(values) == 1:
                yield _filter(name), values[0]


def _filter(name: str) -> str:
    """A budget's field as pages call it."""
    return TAG_PREFIX + name.removeprefix(_TAG) if name.startswith(_TAG) else name
