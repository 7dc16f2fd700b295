"""Every exception that leaves this package. All derive from :class:`LLMCostError`."""

from __future__ import annotations


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
