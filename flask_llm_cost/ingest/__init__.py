"""Where finished events go: the database by way of a buffer, the log, or the host's own callable."""

from __future__ import annotations

from .base import Ingest
from .inline import InlineIngest
from .sinks import CallableIngest
from .sinks import LogIngest

__all__ = ["CallableIngest", "Ingest", "InlineIngest", "LogIngest"]
