"""Where finished events go: the database by way of a journal or a buffer, the log, or a callable."""

from __future__ import annotations

from .base import Ingest
from .choice import DatabaseIngest
from .sinks import CallableIngest
from .sinks import LogIngest

__all__ = ["CallableIngest", "DatabaseIngest", "Ingest", "LogIngest"]
