"""Limits: what may be spent, what a call can cost at most before it is made, and what is set aside for it.

What needs the ledger is :mod:`.keeper`, which an app with budgets loads.
"""

from __future__ import annotations

from .alerts import Alert
from .declaration import Budget
from .estimate import Estimate
from .estimate import EstimateRequest
from .estimate import estimate_cost
from .status import BudgetStatus

__all__ = ["Alert", "Budget", "BudgetStatus", "Estimate", "EstimateRequest", "estimate_cost"]
