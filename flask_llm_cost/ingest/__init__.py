"""Where finished events go: the database by way of a journal or a buffer, the log, or a callable.

The way to the database is :mod:`.choice`. It brings the ledger with it, so only an app that has one takes it.
"""

from __future__ import annotations

from .base import Ingest
from .sinks import CallableIngest
from .sinks import LogIngest

__all__ = ["CallableIngest", "Ingest", "LogIngest"]
