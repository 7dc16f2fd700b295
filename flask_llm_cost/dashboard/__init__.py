"""The dashboard: server-rendered pages over the ledger's answers, without scripts or inline styles."""

from __future__ import annotations

from .blueprint import create_blueprint

__all__ = ["create_blueprint"]
