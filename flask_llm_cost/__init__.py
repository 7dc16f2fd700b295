"""What a Flask app spends on LLM APIs, and on what. The public names, and nothing else."""

from __future__ import annotations

from .capture import track
from .capture import track_stream
from .context import copy_context
from .context import tagged
from .context import with_tags
from .errors import CaptureContractError
from .errors import ConfigurationError
from .errors import InvalidFilterError
from .errors import LLMCostError
from .errors import StorageError
from .errors import UnknownPricingError
from .extension import LLMCostTracker
from .ledger import CallTag
from .ledger import LineItem
from .ledger import LlmCall
from .signals import call_recorded
from .usage import Usage

__all__ = [
    "LLMCostTracker",
    "with_tags",
    "tagged",
    "copy_context",
    "track",
    "track_stream",
    "Usage",
    "LlmCall",
    "LineItem",
    "CallTag",
    "call_recorded",
    "LLMCostError",
    "ConfigurationError",
    "CaptureContractError",
    "StorageError",
    "UnknownPricingError",
    "InvalidFilterError",
]
