"""The error of a refresh that could not be done."""

from __future__ import annotations

from ...errors import LLMCostError


class RefreshError(LLMCostError, RuntimeError):
    """A price list could not be had, is malformed, or could not be written. Nothing was changed."""
