"""The errors of imports of what a provider says it billed."""

from __future__ import annotations

from ..errors import LLMCostError


class ReconciliationError(LLMCostError, RuntimeError):
    """A provider's bill could not be had, or makes no sense. What was imported before it stays."""


class InvoiceFileError(ReconciliationError, ValueError):
    """A CSV file that is not as described. Nothing of it was imported.

    :param problems: one sentence each, with line and column.
    """

    def __init__(self, name: str, problems: tuple[str, ...]) -> None:
        super().__init__(f"{name}: " + " ".join(problems))
        self.problems = problems


class PageTokenRefused(ReconciliationError):
    """The provider does not know (any more) where a broken import is to go on."""
