"""Long work on the ledger, in steps that leave the app running."""

from __future__ import annotations

from .elsewhere import Comparison
from .elsewhere import compare
from .export import Extent
from .export import What
from .export import batches
from .export import columns_of
from .export import extent
from .export_formats import WRITERS
from .export_formats import FileFormat
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
    "Extent",
    "FileFormat",
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
    "WRITERS",
    "Waiting",
    "What",
    "batches",
    "columns_of",
    "compare",
    "count_pointing",
    "count_selected",
    "extent",
    "prune",
    "rebuild_rollups",
    "settle",
    "used_by",
]
