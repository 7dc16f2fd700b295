"""The budgets of an app: those given to the tracker, those of its configuration, and the three short keys."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from ..config import Config
from ..errors import ConfigurationError
from .declaration import Budget
from .windows import Period

#: By its name, the period of each budget that a key of its own declares.
_SHORT: tuple[tuple[str, Period], ...] = (("monthly", "month"), ("daily", "day"), ("per_call", "call"))


def configured(config: Config, given: Iterable[Any], *, with_ledger: bool) -> tuple[Budget, ...]:
    """All budgets of an app, each in its zone.

    :raises ConfigurationError: one makes no sense, two have one name, or one needs a ledger without one.
    """
    declared = [_read("budgets=", budget) for budget in given]
    declared += [_read("LLM_COST_BUDGETS", budget) for budget in config.budgets]
    for (name, period), amount in zip(_SHORT, config.budget_amounts, strict=True):
        if amount is not None:
            declared.append(Budget(name, amount, period, enforcement=config.budget_enforcement))
    names = [budget.name for budget in declared]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"Two budgets are named {name!r}: give each a name of its own.")
    for budget in declared:
        if budget.period != "call" and not with_ledger:
            raise ConfigurationError(
                f"Budget {budget.name!r} adds up calls, and there is no ledger that does. Set "
                "LLM_COST_STORAGE to 'database' and give no storage= callable; only limits of single calls "
                "work without."
            )
    return tuple(budget.in_zone(config.timezone) for budget in declared)


def _read(place: str, budget: Any) -> Budget:
    if isinstance(budget, Budget):
        return budget
    if not isinstance(budget, Mapping):
        raise ConfigurationError(f"{place} must hold Budget objects or mappings, got {budget!r}.")
    try:
        return Budget(**budget)
    except TypeError as error:
        raise ConfigurationError(f"{place}: {_without_method(error)}") from error


def _without_method(error: TypeError) -> str:
    return str(error).replace("Budget.__init__()", "Budget()")
