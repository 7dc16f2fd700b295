"""What a Flask app spends on LLM APIs, and on what. The public names, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .capture import track
from .capture import track_stream
from .context import copy_context
from .context import tagged
from .context import with_tags
from .errors import BudgetExceededError
from .errors import BudgetUnavailableError
from .errors import CaptureContractError
from .errors import ConfigurationError
from .errors import InvalidFilterError
from .errors import LLMCostError
from .errors import StorageError
from .errors import UnknownPricingError
from .extension import LLMCostTracker
from .signals import budget_exceeded
from .signals import budget_threshold_reached
from .signals import call_recorded
from .usage import Usage

if TYPE_CHECKING:
    from .budgets import Budget
    from .ledger import CallTag
    from .ledger import LineItem
    from .ledger import LlmCall

__all__ = [
    "LLMCostTracker",
    "with_tags",
    "tagged",
    "copy_context",
    "track",
    "track_stream",
    "Usage",
    "Budget",
    "LlmCall",
    "LineItem",
    "CallTag",
    "call_recorded",
    "budget_threshold_reached",
    "budget_exceeded",
    "LLMCostError",
    "BudgetExceededError",
    "BudgetUnavailableError",
    "ConfigurationError",
    "CaptureContractError",
    "StorageError",
    "UnknownPricingError",
    "InvalidFilterError",
]


def __getattr__(name: str) -> object:
    # Loaded for those who name them: the models are slow to import, and not every app has budgets.
    if name == "Budget":
        from .budgets import Budget

        return Budget
    if name not in ("LlmCall", "LineItem", "CallTag"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import ledger

    return getattr(ledger, name)
