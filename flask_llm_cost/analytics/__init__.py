"""Every question asked of the ledger: filters, totals, breakdowns, series, latency, pages and the report.

:class:`CallQuery` is the one way in; everything it answers with is a frozen value. Sums are made by the
database and are exact; ``None`` is "unknown", never zero.
"""

from __future__ import annotations

from .anomalies import Anomaly
from .anomalies import find_anomalies
from .coverage import Coverage
from .cross import Axis
from .cross import Cross
from .dimensions import DIMENSIONS
from .forecast import Forecast
from .forecast import month_forecast
from .grouping import ALIASES
from .grouping import ReportGroup
from .grouping import ReportRow
from .models_used import ModelUse
from .models_used import NewModel
from .pace import Pace
from .periods import BUCKETS
from .periods import named_zone
from .query import CallQuery
from .query import at_once
from .ranking import ORDERS
from .report import Report
from .report import TagReport
from .report import build_report
from .report import during
from .values import Breakdown
from .values import BreakdownRow
from .values import Bucket
from .values import ComponentCost
from .values import Costs
from .values import Crossing
from .values import CrossingRow
from .values import DataQuality
from .values import Day
from .values import Latency
from .values import Page
from .values import Series
from .values import SeriesPart
from .values import Spend
from .values import SpendRow
from .values import TagKey
from .values import Totals
from .values import UnpricedModel
from .values import add_costs
from .waste import Waste

__all__ = [
    "CallQuery",
    "Costs",
    "Totals",
    "Breakdown",
    "BreakdownRow",
    "Crossing",
    "CrossingRow",
    "Day",
    "Spend",
    "SpendRow",
    "Series",
    "SeriesPart",
    "Bucket",
    "Latency",
    "Pace",
    "Axis",
    "Cross",
    "Coverage",
    "Page",
    "ComponentCost",
    "DataQuality",
    "TagKey",
    "UnpricedModel",
    "Anomaly",
    "find_anomalies",
    "Forecast",
    "month_forecast",
    "ModelUse",
    "NewModel",
    "Waste",
    "Report",
    "ReportGroup",
    "ReportRow",
    "TagReport",
    "build_report",
    "during",
    "ALIASES",
    "BUCKETS",
    "DIMENSIONS",
    "ORDERS",
    "add_costs",
    "at_once",
    "named_zone",
]
