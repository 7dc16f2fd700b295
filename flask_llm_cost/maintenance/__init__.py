"""Long work on the ledger, in steps that leave the app running."""

from __future__ import annotations

from .elsewhere import Comparison
from .elsewhere import compare
from .forget import Forgetting
from .forget import Forgotten
from .forget import count_pointing
from .judgement import LEFT
from .judgement import Left
from .person import Person
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
from .waiting import Waiting
from .waiting import settle

__all__ = [
    "Comparison",
    "Forgetting",
    "Forgotten",
    "LEFT",
    "Left",
    "ModelChange",
    "Person",
    "PruneResult",
    "RebuildResult",
    "Repricing",
    "RepricingResult",
    "Selection",
    "Waiting",
    "compare",
    "count_pointing",
    "count_selected",
    "prune",
    "rebuild_rollups",
    "settle",
    "used_by",
]
