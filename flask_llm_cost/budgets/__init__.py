"""Limits: what may be spent, and what a call can cost at most before it is made."""

from __future__ import annotations

from .estimate import Estimate
from .estimate import EstimateRequest
from .estimate import estimate_cost

__all__ = ["Estimate", "EstimateRequest", "estimate_cost"]
