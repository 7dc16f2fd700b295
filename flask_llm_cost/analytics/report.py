"""One report for every face: who spent how much on what, as a value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from ..ledger import LlmCall
from .filters import DateRange
from .query import CallQuery
from .values import Breakdown
from .values import Latency
from .values import Totals
from .values import UnpricedModel

_MOST_CALLS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TagReport:
    """The split by one tag key."""

    key: str
    breakdown: Breakdown


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answers of a report; the breakdowns each add up to ``totals``.

    :param range: half-open, in ``zone``; ``None`` for all time.
    :param previous: the totals of the time just before; ``None`` for all time.
    :param top_calls: the dearest calls with a known cost.
    :param unpriced: models with calls whose cost is unknown or partial, most calls first.
    """

    title: str
    range: DateRange | None
    zone: ZoneInfo
    totals: Totals
    previous: Totals | None
    latency: Latency
    by_provider: Breakdown
    by_model: Breakdown
    by_tag: tuple[TagReport, ...]
    by_user: Breakdown
    top_calls: tuple[LlmCall, ...]
    unpriced: tuple[UnpricedModel, ...]


def build_report(
    query: CallQuery, *, title: str = "LLM cost report", tag_keys: Iterable[str] = (), limit: int = 5
) -> Report:
    """Ask everything a report shows.

    :param tag_keys: the tags to split by.
    :param limit: rows in each table; what is left out of a breakdown is in its ``other`` row.
    :raises InvalidFilterError: a tag key or the limit is not valid.
    """
    top = query.page(sort="cost", size=min(limit, _MOST_CALLS))
    return Report(
        title=title,
        range=query.range,
        zone=query.zone,
        totals=query.totals(),
        previous=None if query.range is None else query.previous_period().totals(),
        latency=query.latency(),
        by_provider=query.cost_by("provider", limit),
        by_model=query.cost_by("model", limit),
        by_tag=tuple(TagReport(key=key, breakdown=query.cost_by(f"tag:{key}", limit)) for key in tag_keys),
        by_user=query.cost_by("user_id", limit),
        top_calls=tuple(call for call in top.calls if call.total_cost is not None),
        unpriced=query.unpriced_models(limit),
    )
