"""Every exception that leaves this package. All derive from :class:`LLMCostError`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from typing import Literal


class LLMCostError(Exception):
    """Base of all errors of this extension, so that a host can catch them in one place."""


class ConfigurationError(LLMCostError, ValueError):
    """A set-up mistake: an unknown or invalid ``LLM_COST_*`` key, a wrong argument, a missing database.

    Raised by ``init_app`` (and by the price file loader at start-up), never by a tracked call.
    """


class CaptureContractError(LLMCostError, RuntimeError):
    """An SDK that was asked for by name is not installed or does not look as capture expects."""


class UnknownPricingError(LLMCostError, RuntimeError):
    """A call could not be priced in full and ``LLM_COST_UNKNOWN_PRICING`` is ``"raise"``.

    The call's row is stored before this is raised: the money was spent.
    """


class StorageError(LLMCostError, RuntimeError):
    """An event could not be stored and ``LLM_COST_STORAGE_ERROR`` is ``"raise"``.

    The original error is the ``__cause__``.
    """


class InvalidFilterError(LLMCostError, ValueError):
    """A filter, dimension or date range that cannot be asked of the ledger.

    :param field: the name of the filter, as the caller wrote it.
    :param message: what is wrong with it and which form is accepted.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class BudgetExceededError(LLMCostError, RuntimeError):
    """A call was refused before it was sent, or has reached a limit that the app asked to be told of.

    Amounts are in USD.

    :param budget: the budget's name.
    :param scope: whose limit it is where the budget has one for each value, else ``""``.
    :param spent: what the window had cost, the calls without a known cost at their estimates included.
    :param reserved: what is set aside for calls under way.
    :param estimate: of the call that was refused; ``None`` where none was made.
    :param window_end: when the limit begins anew; ``None`` where it never does.
    :param stage: ``"before"`` where nothing was sent, ``"after"`` where the call is made and recorded.
    :param reason: why, in words.
    """

    def __init__(
        self,
        reason: str,
        *,
        budget: str,
        scope: str,
        limit: Decimal,
        spent: Decimal,
        reserved: Decimal,
        estimate: Decimal | None,
        window_end: datetime | None,
        stage: Literal["before", "after"],
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.budget = budget
        self.scope = scope
        self.limit = limit
        self.spent = spent
        self.reserved = reserved
        self.estimate = estimate
        self.window_end = window_end
        self.stage: Literal["before", "after"] = stage

    def __reduce__(self) -> tuple[Any, ...]:
        # Job queues send exceptions from process to process, and know of positional arguments only.
        return (
            _exceeded,
            (self.reason, {name: value for name, value in vars(self).items() if name != "reason"}),
        )


def _exceeded(reason: str, details: dict[str, Any]) -> BudgetExceededError:
    return BudgetExceededError(reason, **details)


class BudgetUnavailableError(LLMCostError, RuntimeError):
    """Whether a budget admits a call could not be found out, and its ``on_unavailable`` is ``"block"``.

    Nothing was sent.

    :param budget: the budget's name.
    """

    def __init__(self, budget: str, message: str) -> None:
        super().__init__(budget, message)
        self.budget = budget
        self.message = message

    def __str__(self) -> str:
        return self.message
