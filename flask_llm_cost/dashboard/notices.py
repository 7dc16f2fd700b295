"""What the overview says before anybody asks: where the month leads to, and what stands out."""

from __future__ import annotations

from dataclasses import dataclass

from ..analytics import find_anomalies
from ..analytics import month_forecast
from .formats import money
from .formats import month
from .framing import View
from .insight_tables import anomaly_address
from .insight_tables import anomaly_moment
from .insight_tables import anomaly_name
from .insight_tables import times
from .responses import link
from .scoped import sees_everything

_SHOWN = 3
_ROLLED_UP = {"provider", "model"}


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence with the number that it is about, and where that leads to."""

    words: str
    number: str
    href: str
    rest: str


def notices(view: View) -> tuple[Notice, ...]:
    """The forecast of the running month, and the dearest surprises of the period.

    What is dear because it is new is left to the insight page, which names new models too. So is a view whose
    weeks before could only be read call by call: the overview is opened to be read at once.
    """
    query, filters = view.asked.query, view.asked.filters
    if not set(filters.values) <= _ROLLED_UP or not sees_everything(view.asked.visible):
        return ()
    found = []
    if (forecast := month_forecast(query)) is not None:
        found.append(
            Notice(
                words=f"{month(forecast.month)} is expected to cost",
                number=str(money(forecast.expected)),
                href=link(".insight", filters.arguments()) + "#month",
                rest=f", most likely {money(forecast.low)} to {money(forecast.high)}; "
                f"{money(forecast.spent)} so far.",
            )
        )
    surprises = [each for each in find_anomalies(query) if each.usual]
    for each in surprises[:_SHOWN]:
        words = f"{anomaly_moment(each, filters.period.zone)}, {anomaly_name(each)}:"
        usual = f", {times(each)} times the usual {money(each.usual)}."
        found.append(Notice(words, str(money(each.amount)), anomaly_address(each, filters), usual))
    return tuple(found)
