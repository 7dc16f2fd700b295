"""Long work on the ledger, in steps that leave the app running."""

from __future__ import annotations

from .judgement import LEFT
from .price_changes import Selection
from .prune import PruneResult
from .prune import prune
from .quantities import used_by
from .rebuild import rebuild_rollups
from .repricing import ModelChange
from .repricing import Repricing
from .repricing import RepricingResult

__all__ = [
    "LEFT",
    "ModelChange",
    "PruneResult",
    "Repricing",
    "RepricingResult",
    "Selection",
    "prune",
    "rebuild_rollups",
    "used_by",
]
