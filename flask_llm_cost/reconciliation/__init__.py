"""Does the provider's bill agree: imports of what providers say they billed, held against the ledger.

Only commands import; the network is used by nothing else. Pages and checks read what is in the ledger.
"""

from __future__ import annotations

from .comparison import FINEST
from .comparison import Apart
from .comparison import Comparison
from .comparison import Quantity
from .comparison import compare
from .csv_file import COLUMNS
from .dimensions import Dimension
from .drift import THRESHOLD
from .drift import TOLERANCE
from .drift import Row
from .drift import Thresholds
from .errors import InvoiceFileError
from .errors import ReconciliationError
from .importing import CSV
from .importing import Imported
from .importing import import_csv
from .importing import import_source
from .providers import BILLING_PROVIDERS
from .source import Period
from .standing import ImportState
from .standing import broken_off
from .standing import imports

__all__ = [
    "Apart",
    "BILLING_PROVIDERS",
    "COLUMNS",
    "CSV",
    "Comparison",
    "Dimension",
    "FINEST",
    "ImportState",
    "Imported",
    "InvoiceFileError",
    "Period",
    "Quantity",
    "ReconciliationError",
    "Row",
    "THRESHOLD",
    "TOLERANCE",
    "Thresholds",
    "broken_off",
    "compare",
    "import_csv",
    "import_source",
    "imports",
]
