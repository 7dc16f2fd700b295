"""``flask llm-cost``: the command line face of the ledger. One file per command family; this is the door."""

from __future__ import annotations

from .group import llm_cost

__all__ = ["llm_cost"]
