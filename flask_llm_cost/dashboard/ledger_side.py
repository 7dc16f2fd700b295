"""Which calls the ledger's side of a comparison with the bill is made of, as the address of their list."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from ..reconciliation import Dimension
from ..reconciliation import Row as Compared
from .filters import Filters
from .periods import MAX_DAYS
from .periods import Period
from .responses import link

#: The filter of each dimension that has one. Days are the period; a line item is a part of a call.
_FILTERS = {"account": "account", "model": "model", "mode": "mode"}
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class LedgerSide:
    """Finds the calls of a row.

    :param days: those that are compared, by provider.
    :param usual: the dashboard's own time zone; bills have days of UTC.
    """

    split: Sequence[Dimension]
    days: Mapping[str, Sequence[date]]
    usual: ZoneInfo

    def calls(self, row: Compared, *, unknown: bool = False) -> str:
        """The address of the calls of a row, dearest first; empty where no filters name them all.

        :param unknown: only of those without a full known cost.
        """
        if not row.calls or not all(each.name == "day" or each.name in _FILTERS for each in self.split):
            return ""
        period = self._period(row)
        if period is None:
            return ""
        values = {"provider": row.provider}
        filters = Filters(period, values, {}, zone_is_chosen=self.usual.key != _UTC.key)
        for each, value in zip(self.split, row.key, strict=True):
            if each.name in _FILTERS:
                filters = filters.narrowed(_FILTERS[each.name], None if value is None else str(value))
        found = filters.besides("price", ("complete", "free")) if unknown else filters
        return link(".calls", found.arguments() | {"sort": "cost"}) if found else ""

    def _period(self, row: Compared) -> Period | None:
        """The days of a row; ``None`` where other days lie between them, or they are too many for a list."""
        own = [value for value in row.key if isinstance(value, date)]
        days = own or self.days.get(row.provider, ())
        if not days:
            return None
        period = Period(days[0], days[-1], _UTC)
        return period if period.days == len(days) <= MAX_DAYS else None
