"""One report for every face: who spent how much on what, as a value."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from datetime import datetime
from datetime import timedelta
from zoneinfo import ZoneInfo

from ..errors import InvalidFilterError
from ..ledger import LlmCall
from ..ledger.days import day_start
from .filters import DateRange
from .grouping import ALIASES
from .grouping import ReportGroup
from .grouping import group
from .query import CallQuery
from .values import Latency
from .values import Totals
from .values import UnpricedModel

_MOST_CALLS = 1_000
_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class TagReport:
    """The split by one tag key."""

    key: str
    breakdown: ReportGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answers of a report; the groups each add up to ``totals``.

    :param range: half-open, in ``zone``; ``None`` for all time.
    :param previous: the totals of the time just before; ``None``: of all time, or not compared.
    :param groups: the splits that were asked for, else by provider, model, the given tags and user.
    :param top_calls: the dearest calls with a known cost; none where splits were asked for.
    :param unpriced: models with calls whose cost is unknown or partial, most calls first; likewise.
    """

    title: str
    range: DateRange | None
    zone: ZoneInfo
    totals: Totals
    previous: Totals | None
    latency: Latency
    groups: tuple[ReportGroup, ...]
    top_calls: tuple[LlmCall, ...]
    unpriced: tuple[UnpricedModel, ...]

    def by(self, name: str) -> ReportGroup:
        """The group of that name, such as ``model``, ``user``, ``day`` or ``tag:feature``.

        :raises InvalidFilterError: the report has no such group.
        """
        wanted = ALIASES.get(name, name)
        for found in self.groups:
            if found.dimension == wanted:
                return found
        named = ", ".join(found.dimension for found in self.groups)
        raise InvalidFilterError("group_by", f"this report has no group {name!r}, but: {named}")

    @property
    def by_provider(self) -> ReportGroup:
        """The group of that name, as :meth:`by` gives it."""
        return self.by("provider")

    @property
    def by_model(self) -> ReportGroup:
        """The group of that name, as :meth:`by` gives it."""
        return self.by("model")

    @property
    def by_user(self) -> ReportGroup:
        """The group of that name, as :meth:`by` gives it."""
        return self.by("user")

    @property
    def by_tag(self) -> tuple[TagReport, ...]:
        """The groups that are tags."""
        return tuple(
            TagReport(key=found.dimension.removeprefix("tag:"), breakdown=found)
            for found in self.groups
            if found.dimension.startswith("tag:")
        )


def build_report(
    query: CallQuery,
    *,
    title: str = "LLM cost report",
    group_by: str | Sequence[str] = (),
    tag_keys: Iterable[str] = (),
    limit: int | None = 5,
    compare: bool = True,
) -> Report:
    """Ask everything a report shows.

    :param group_by: ``day``, ``user``, another dimension or ``tag:KEY``, or several; nothing else is shown
        then.
    :param tag_keys: the tags to split by where no groups are given.
    :param limit: rows in each table but that of days; what is left out of a group is in its ``other`` row.
    :param compare: hold all of it against the time just before.
    :raises InvalidFilterError: a name or the limit is not valid.
    """
    given = (group_by,) if isinstance(group_by, str) else tuple(group_by)
    names = given or ("provider", "model", *(f"tag:{key}" for key in tag_keys), "user")
    previous = query.previous_period() if compare and query.range is not None else None
    return Report(
        title=title,
        range=query.range,
        zone=query.zone,
        totals=query.totals(),
        previous=None if previous is None else previous.totals(),
        latency=query.latency(),
        groups=tuple(group(query, name, limit, previous) for name in dict.fromkeys(names)),
        top_calls=() if given else query.top_calls(min(limit or _MOST_CALLS, _MOST_CALLS)),
        unpriced=() if given else query.unpriced_models(limit or _MOST_CALLS),
    )


def during(calls: CallQuery, start: date | None, end: date | None) -> CallQuery:
    """The calls of a range given by dates, the last one included, or moments; the last 30 days without any.

    :raises InvalidFilterError: an end without its beginning, a reversed range, or a moment without a zone.
    """
    if start is None and end is None:
        return calls.last_days(_DAYS)
    if start is None:
        raise InvalidFilterError("start", "a date or a datetime is needed where an end is given")
    now = calls.now().astimezone(calls.zone)
    last = end if end is not None else now if isinstance(start, datetime) else now.date()
    return calls.between(_moment(start, calls.zone, 0), _moment(last, calls.zone, 1))


def _moment(given: date, zone: ZoneInfo, days: int) -> datetime:
    return given if isinstance(given, datetime) else day_start(given + timedelta(days=days), zone)
