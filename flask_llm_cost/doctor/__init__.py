"""Is it healthy, and does a call really arrive: what ``doctor`` and ``verify-capture`` find out."""

from __future__ import annotations

from .advice import cure
from .advice import database_advice
from .advice import place
from .advice import problems
from .check import Check
from .check import healthy
from .examination import examine
from .setup import cannot_start
from .setup import not_tracked
from .setup import prices as prices_check
from .stored import quarantined
from .verify import Step
from .verify import verify_capture

__all__ = [
    "Check",
    "Step",
    "cannot_start",
    "cure",
    "database_advice",
    "examine",
    "healthy",
    "not_tracked",
    "place",
    "prices_check",
    "problems",
    "quarantined",
    "verify_capture",
]
