"""The ledger: its tables, the write path, and the checks that keep both honest."""

from __future__ import annotations

from .alert_models import AlertDelivery
from .attach import attach_tables
from .attach import check_read_bind
from .budget_models import BudgetAlert
from .budget_models import BudgetLimit
from .budget_models import BudgetWindow
from .budget_models import Reservation
from .coverage import RollupChoice
from .drift import Drift
from .drift import rollup_drift
from .engine import create_ledger_engine
from .failures import EventRefused
from .failures import LedgerUnavailable
from .invoice_models import InvoiceImport
from .invoice_models import InvoiceLine
from .models import Base
from .models import CallTag
from .models import LineItem
from .models import LlmCall
from .models import Meta
from .models import Quarantine
from .models import Repricing
from .models import Rollup
from .models import RollupCoverage
from .schema import SchemaReport
from .shared import host_transaction_open
from .shared import shared_connection
from .source import LedgerSource
from .structure import Structure
from .structure import missing_structure
from .writer import Ledger

__all__ = [
    "AlertDelivery",
    "Base",
    "BudgetAlert",
    "BudgetLimit",
    "BudgetWindow",
    "CallTag",
    "InvoiceImport",
    "InvoiceLine",
    "LineItem",
    "LlmCall",
    "Meta",
    "Quarantine",
    "Repricing",
    "Reservation",
    "Rollup",
    "RollupCoverage",
    "attach_tables",
    "check_read_bind",
    "create_ledger_engine",
    "host_transaction_open",
    "shared_connection",
    "Ledger",
    "LedgerSource",
    "EventRefused",
    "LedgerUnavailable",
    "SchemaReport",
    "Structure",
    "missing_structure",
    "Drift",
    "RollupChoice",
    "rollup_drift",
]
