"""What a call costs: price tables, lookup, calculation, explanation. No Flask, no SQL.

No network either, but in ``refresh``, which only commands import.
"""

from __future__ import annotations

from .calculate import discounted
from .calculate import line_cost
from .catalog import AUTHORITATIVE_PROVIDERS
from .catalog import Catalog
from .dearest import DearestRates
from .entry import ModelLimits
from .entry import PriceEntry
from .lookup import STEPS
from .lookup import Match
from .price import Price
from .price import caller_price
from .tables import PriceTable

__all__ = [
    "Catalog",
    "Price",
    "Match",
    "DearestRates",
    "ModelLimits",
    "PriceEntry",
    "PriceTable",
    "AUTHORITATIVE_PROVIDERS",
    "STEPS",
    "caller_price",
    "discounted",
    "line_cost",
]
