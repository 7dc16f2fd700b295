"""Newer prices into the prices file: fetch, check, compare, replace. Only commands come here.

The one place of pricing that touches the network.
"""

from __future__ import annotations

from .changes import Change
from .errors import RefreshError
from .fetch import fetch
from .plan import Plan
from .plan import make_plan
from .prices_file import PricesFile
from .prices_file import write_whole
from .source import ADDRESSES
from .source import FORMATS
from .source import Format
from .source import PriceList
from .source import read_source

__all__ = [
    "ADDRESSES",
    "FORMATS",
    "Change",
    "Format",
    "Plan",
    "PriceList",
    "PricesFile",
    "RefreshError",
    "fetch",
    "make_plan",
    "read_source",
    "write_whole",
]
