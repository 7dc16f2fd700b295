"""Insight: where the month leads to, what stands out, what is new, what was saved and what was wasted."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache

from werkzeug.wrappers import Response

from ...analytics import Forecast
from ...analytics import find_anomalies
from ...analytics import month_forecast
from ...wording import plural
from .. import charts
from ..figures import Figure
from ..formats import Shown
from ..formats import duration
from ..formats import money
from ..formats import month
from ..framing import MOST_CALLS
from ..framing import Content
from ..framing import View
from ..framing import bounded
from ..framing import show
from ..insight_tables import anomalies_table
from ..insight_tables import cache_savings
from ..insight_tables import new_models_table
from ..insight_tables import savings_table
from ..insight_tables import waste_table
from ..month_chart import MonthChart
from ..month_chart import month_chart
from ..responses import Place
from ..responses import link
from ..responses import runtime
from ..tables import Table

_PLACE = Place(".insight")
#: Tags in which anomalies are looked for: each one reads the calls once more.
_TAGS = 2


def insight() -> Response:
    """``GET /insight``."""
    return show(_PLACE, "insight", _content, charts=False)


def _content(view: View) -> Content:
    query, filters = view.asked.query, view.asked.filters
    forecast = cache(lambda: month_forecast(query))
    chart = cache(lambda: _chart(view, forecast()))
    keys = tuple(key.key for key in view.keys[:_TAGS])
    tags = tuple(key for key in keys if view.affords(f"tag:{key}"))
    return Content(
        template="insight.html",
        tables={
            "month-data": lambda: _month_table(chart()),
            "anomalies": lambda: anomalies_table(find_anomalies(query, tags), filters),
            "new-models": lambda: new_models_table(query.new_models(), filters),
            "cache": lambda: savings_table(
                cache_savings(query.models_used(), runtime().catalog, query.now()), filters
            ),
            "waste": lambda: bounded(
                view,
                "waste",
                "Failures and retries",
                view.is_small,
                lambda: waste_table(query.waste(), filters),
            ),
        },
        context=lambda: {
            "title": "Insight",
            "most_calls": "" if tags == keys else f"{MOST_CALLS:,}",
            "chart": chart(),
            "month": _month(forecast()),
            "range": _range(forecast()),
            "figures": tuple(_figures(view, forecast())),
            "what_if_url": link(".what_if", filters.arguments()),
        },
    )


def _chart(view: View, found: Forecast | None) -> MonthChart | None:
    if found is None:
        return None
    query = view.asked.query
    return month_chart(found, query.this_month().series("day"), query.last_month().series("day"))


def _month_table(drawn: MonthChart | None) -> Table | None:
    return None if drawn is None else drawn.table


def _month(found: Forecast | None) -> str:
    return "" if found is None else month(found.month)


def _range(found: Forecast | None) -> str:
    if found is None:
        return ""
    return (
        f"{money(found.expected)} is expected by the end of the month, most likely between "
        f"{money(found.low)} and {money(found.high)}: four of five months like the "
        f"{plural(found.days_seen, 'day')} before would end there. Each weekday counts as it usually does."
    )


def _figures(view: View, found: Forecast | None) -> Iterator[Figure]:
    slowest = link(".calls", view.asked.filters.arguments() | {"sort": "latency"})
    if found is not None:
        yield Figure(
            label=f"{month(found.month)}, expected",
            value=money(found.expected),
            href=link(
                ".calls", view.asked.filters.cleared().arguments() | {"period": "month", "sort": "cost"}
            ),
            note=f"{money(found.spent)} so far",
            meter=charts.meter([(1, found.spent), (0, found.expected - found.spent)], found.high),
        )
    yield from _paces(view, slowest) if view.is_small else _sampled(view, slowest)
    if view.affords("user_id"):
        yield _per_user(view)


def _sampled(view: View, slowest: str) -> Iterator[Figure]:
    """Of very many calls: how long a sample of them took."""
    found = view.latency(view.asked.query)
    note = f"of {'a sample of ' if found.sampled else ''}{plural(found.count, 'timed call')}"
    yield Figure(label="Median latency", value=duration(found.p50_ms), href=slowest, note=note)
    yield Figure(label="95th percentile latency", value=duration(found.p95_ms), href=slowest, note=note)


def _paces(view: View, slowest: str) -> Iterator[Figure]:
    pace = next(iter(view.asked.query.pace()), None)
    yield Figure(
        label="Median latency", value=duration(pace.p50_ms if pace else None), href=slowest,
        note=f"of {plural(pace.timed if pace else 0, 'timed call')}",
    )  # fmt: skip
    yield Figure(label="95th percentile latency", value=duration(pace.p95_ms if pace else None), href=slowest)
    first = duration(pace.first_p50_ms) if pace and pace.streamed else Shown("no streams")
    yield Figure(
        label="To the first token, median",
        value=first,
        href=link(".calls", view.asked.filters.narrowed("stream", "yes").arguments() | {"sort": "latency"}),
        note=f"of {plural(pace.streamed, 'stream')}" if pace and pace.streamed else "",
    )


def _per_user(view: View) -> Figure:
    count = view.asked.query.value_count("user_id")
    nobody = view.asked.query.spend_of("user_id", [None]).get(None)
    theirs = None
    if view.totals.total_cost is not None and count:
        theirs = (view.totals.total_cost - ((nobody and nobody.total_cost) or Decimal(0))) / count
    return Figure(
        label="Average cost of a user",
        value=money(theirs) if count else Shown("no users"),
        href=link(".users", view.asked.filters.arguments()),
        note=plural(count, "user"),
    )
