"""Long work on the ledger, in steps that leave the app running."""

from __future__ import annotations

from .elsewhere import Comparison
from .elsewhere import compare
from .judgement import LEFT
from .judgement import Left
from .price_changes import Selection
from .price_changes import count_selected
from .prune import PruneResult
from .prune import prune
from .quantities import used_by
from .rebuild import RebuildResult
from .rebuild import rebuild_rollups
from .repricing import ModelChange
from .repricing import Repricing
from .repricing import RepricingResult

__all__ = [
    "Comparison",
    "LEFT",
    "Left",
    "ModelChange",
    "PruneResult",
    "RebuildResult",
    "Repricing",
    "RepricingResult",
    "Selection",
    "compare",
    "count_selected",
    "prune",
    "rebuild_rollups",
    "used_by",
]
