"""The ledger: its tables, the write path, and the checks that keep both honest."""

from __future__ import annotations

from .attach import attach_tables
from .engine import create_ledger_engine
from .failures import EventRefused
from .failures import LedgerUnavailable
from .models import Base
from .models import CallTag
from .models import LineItem
from .models import LlmCall
from .models import Meta
from .models import Quarantine
from .models import Repricing
from .models import Rollup
from .models import RollupCoverage
from .rollups import Drift
from .rollups import rollup_drift
from .schema import SchemaReport
from .shared import host_transaction_open
from .shared import shared_connection
from .source import LedgerSource
from .writer import Ledger

__all__ = [
    "Base",
    "CallTag",
    "LineItem",
    "LlmCall",
    "Meta",
    "Quarantine",
    "Repricing",
    "Rollup",
    "RollupCoverage",
    "attach_tables",
    "create_ledger_engine",
    "host_transaction_open",
    "shared_connection",
    "Ledger",
    "LedgerSource",
    "EventRefused",
    "LedgerUnavailable",
    "SchemaReport",
    "Drift",
    "rollup_drift",
]
