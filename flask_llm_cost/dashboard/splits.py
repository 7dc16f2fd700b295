"""Pages about one dimension: a chart of its dearest values, and the listing of all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ..analytics import Breakdown
from ..analytics import Pace
from ..analytics import Series
from ..analytics import SeriesPart
from . import charts
from .breakdowns import FULL
from .breakdowns import Subject
from .breakdowns import dimension_of
from .breakdowns import table_name
from .filters import Filters
from .framing import MOST_CALLS
from .framing import View
from .listing import DIRECTION
from .listing import ROWS
from .listing import SORT
from .listing import Listing
from .listing import listing_table
from .listing import read_listing
from .spend_chart import SpendChart
from .spend_chart import spend_chart
from .spend_series import chart_ranks
from .spend_series import folded
from .tables import Table
from .taking_away import Tables

#: Values with percentiles; beyond them nobody compares.
_PACES = 10_000


class Split:
    """What a page about one dimension shows; each part is read when it is asked for, and once.

    ``found`` is the listing's rows, ``chart`` spend over time by the dearest values, ``note`` what it lacks.

    :param lead: where a value's name leads to, given the filters with that value.
    :param paced: whether medians and percentiles are shown.
    """

    def __init__(
        self, view: View, subject: Subject, lead: Callable[[Filters], str], *, paced: bool = False
    ) -> None:
        self._view = view
        self.subject = subject
        self._lead = lead
        self._paced = paced and view.is_small
        self.note = ""
        if paced and not self._paced:
            self.note = (
                f"More than {MOST_CALLS:,} calls are in view: medians and percentiles of latency would take "
                "too long for a page. A shorter period, or the export, has them."
            )
        self.found: Callable[[], Breakdown] = cache(lambda: read_listing(view, subject))
        self.series: Callable[[], Series] = cache(self._series)
        self.chart: Callable[[], SpendChart] = cache(self._chart)

    @property
    def tables(self) -> Tables:
        """The listing, and the numbers of the chart."""
        return {
            table_name(self.subject): self._listing,
            "spend-data": lambda: self.chart().table,
        }

    @property
    def affordable(self) -> bool:
        """Whether the values can be added up for a page."""
        return self._view.affords(dimension_of(self.subject))

    def _series(self) -> Series:
        # The listing's rows are the dearest values already, unless another order was asked for.
        extra = self._view.asked.filters.extra
        values = None if {SORT, DIRECTION, FULL} & extra.keys() else [row.value for row in self.found().rows]
        return self._view.asked.series(by=dimension_of(self.subject), limit=ROWS, values=values)

    def _chart(self) -> SpendChart:
        series = folded(self.series(), charts.MAX_SERIES)
        return spend_chart(
            series,
            self._view.asked.series(self._view.asked.previous),
            self._view.asked.filters,
            field=self.subject.field,
            ranks=chart_ranks(series),
            place=self._view.place,
            nothing=self.subject.nothing,
        )

    def _listing(self) -> Table:
        exporting = self._view.asked.exporting
        trends = {} if exporting else _by_value(self.series())
        ranks = None if exporting else chart_ranks(folded(self.series(), charts.MAX_SERIES))
        listing = Listing(
            subject=self.subject,
            lead=self._lead,
            paces=self._paces() if self._paced else None,
            trends=trends,
            ranks=ranks,
        )
        return listing_table(self._view, self.found(), listing)

    def _paces(self) -> dict[str | None, Pace]:
        found = self._view.asked.query.pace(dimension_of(self.subject), _PACES)
        return {pace.value: pace for pace in found}


def _by_value(series: Series) -> dict[str | None, SeriesPart]:
    return {part.value: part for part in series.parts}
