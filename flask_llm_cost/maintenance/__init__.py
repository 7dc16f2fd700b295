"""Long work on the ledger, in steps that leave the app running."""

from __future__ import annotations

from .prune import PruneResult
from .prune import prune
from .rebuild import rebuild_rollups

__all__ = ["PruneResult", "prune", "rebuild_rollups"]
