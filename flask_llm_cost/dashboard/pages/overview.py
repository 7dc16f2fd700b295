"""The overview: what was spent in a period, on what, by whom, and how sure that number is."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from werkzeug.wrappers import Response

from ...analytics import TagKey
from ...errors import InvalidFilterError
from .. import filters as names
from ..asking import Asked
from ..breakdowns import ENDPOINT
from ..breakdowns import FULL
from ..breakdowns import MODEL
from ..breakdowns import PROVIDER
from ..breakdowns import REQUEST_TYPE
from ..breakdowns import USER
from ..breakdowns import Subject
from ..breakdowns import breakdown_table
from ..breakdowns import dimension_of
from ..breakdowns import table_name
from ..breakdowns import tag_subject
from ..charts import MAX_SERIES
from ..filter_bar import Choice
from ..formats import percent
from ..framing import Content
from ..framing import View
from ..framing import bounded
from ..framing import show
from ..notices import notices
from ..responses import Place
from ..responses import link
from ..spend_chart import SpendChart
from ..spend_chart import spend_chart
from ..spend_series import chart_ranks
from ..tables import Table
from ..tiles import Measured
from ..tiles import tiles

_PLACE = Place(".overview")
_SPLITS = ("model", "provider")
_ROWS = 8
_TAG_TABLES = 4
_UNPRICED_NAMED = 5

_SUBJECTS = {each.field: each for each in (PROVIDER, MODEL, USER, ENDPOINT, REQUEST_TYPE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostWarning:
    """The calls whose cost is unknown, why, and where to find them.

    :param untold: how many of the unknown ones told no usage: they need no price, they lack a quantity.
    :param models: those whose calls do need a price.
    """

    unknown: int
    untold: int
    partial: int
    share: str
    models: tuple[str, ...]
    more_models: bool
    unknown_href: str
    untold_href: str
    partial_href: str


def overview() -> Response:
    """``GET /``."""
    return show(_PLACE, "overview", _content, extra=("by", FULL))


def _content(view: View) -> Content:
    split = view.asked.option("by", _SPLITS[0], _SPLITS)
    full = _full(view.asked)
    chart = cache(lambda: _chart(view, split))
    subjects = tuple(_subjects(view.keys, full))
    breakdowns = {table_name(subject): _breakdown(view, subject, full, split, chart) for subject in subjects}
    return Content(
        template="overview.html",
        tables={"spend-data": lambda: chart()[0].table, **breakdowns},
        context=lambda: {
            "tiles": tiles(_measured(view), _before(view), view.asked.filters),
            "warning": _warning(view),
            "notices": notices(view),
            "chart": chart()[0],
            "splits": _split_choices(view.asked, split),
            "names": tuple(breakdowns),
            "other_keys": _other_keys(view.asked, view.keys, full),
        },
    )


def _measured(view: View) -> Measured:
    return Measured(view.totals, view.latency(view.asked.query))


def _before(view: View) -> Measured:
    return Measured(view.asked.previous.totals(), view.latency(view.asked.previous))


def _full(asked: Asked) -> str | None:
    """The dimension whose table is shown in full; a tag that no call carries here shows nothing."""
    wanted = asked.filters.extra.get(FULL)
    if wanted is not None and wanted not in _SUBJECTS and not wanted.startswith(names.TAG_PREFIX):
        known = ", ".join(_SUBJECTS)
        raise InvalidFilterError(FULL, f"{wanted[:40]!r} is not one of {known}, {names.TAG_PREFIX}KEY.")
    return wanted


_Chart = tuple[SpendChart, Mapping[str | None, int]]


def _chart(view: View, split: str) -> _Chart:
    series = view.asked.series(by=split, limit=MAX_SERIES)
    before = view.asked.series(view.asked.previous)
    ranks = chart_ranks(series)
    return spend_chart(series, before, view.asked.filters, field=split, ranks=ranks), ranks


def _split_choices(asked: Asked, split: str) -> tuple[Choice, ...]:
    arguments = asked.filters.arguments()
    return tuple(
        Choice(
            text=f"By {name}",
            href=link(".overview", arguments | ({"by": name} if name != _SPLITS[0] else {})),
            current=name == split,
        )
        for name in _SPLITS
    )


def _breakdown(
    view: View, subject: Subject, full: str | None, split: str, chart: Callable[[], _Chart]
) -> Callable[[], Table | None]:
    """The table of one dimension; ``None`` where no call has a value there, and none could be of interest."""

    def made() -> Table | None:
        whole = view.asked.exporting or subject.field == full
        found = view.asked.query.spend_by(dimension_of(subject), None if whole else _ROWS)
        bare = subject in (ENDPOINT, REQUEST_TYPE) and all(row.value is None for row in found.rows)
        if bare and not view.asked.exporting:
            return None
        ranks = chart()[1] if subject.field == split and not view.asked.exporting else None
        return breakdown_table(found, subject, view.asked.filters, ranks)

    return lambda: bounded(view, table_name(subject), subject.caption, _affords(view, subject), made)


def _affords(view: View, subject: Subject) -> bool:
    # A tag's costs are in its own table: of few calls they are read at once, whatever the others are.
    rare = {tag_subject(key.key) for key in view.keys if not key.at_least}
    return view.affords(dimension_of(subject)) or (subject in rare and not view.asked.filters.values)


def _subjects(keys: tuple[TagKey, ...], full: str | None) -> Iterator[Subject]:
    yield PROVIDER
    yield MODEL
    for key in _shown_keys(keys, full):
        yield tag_subject(key.key)
    yield USER
    yield REQUEST_TYPE
    yield ENDPOINT


def _shown_keys(keys: tuple[TagKey, ...], full: str | None) -> list[TagKey]:
    return [
        key for place, key in enumerate(keys) if place < _TAG_TABLES or names.TAG_PREFIX + key.key == full
    ]


def _other_keys(asked: Asked, keys: tuple[TagKey, ...], full: str | None) -> tuple[Choice, ...]:
    shown = _shown_keys(keys, full)
    return tuple(
        Choice(
            text=key.key,
            href=link(".overview", asked.filters.arguments() | {FULL: names.TAG_PREFIX + key.key}),
            current=False,
        )
        for key in keys
        if key not in shown
    )


def _warning(view: View) -> CostWarning | None:
    asked = view.asked
    unknown, partial = view.totals.unknown_cost_calls, view.totals.partial_cost_calls
    if not unknown and not partial:
        return None
    models = asked.query.unpriced_models(limit=_UNPRICED_NAMED + 1)
    unknown_filters = asked.filters.narrowed("price", "unknown")
    return CostWarning(
        unknown=unknown,
        untold=asked.query.where(cost_status="unknown", usage_source="unknown").count(),
        partial=partial,
        share=percent(unknown, view.totals.calls).text,
        models=tuple(f"{found.provider}/{found.model}" for found in models[:_UNPRICED_NAMED]),
        more_models=len(models) > _UNPRICED_NAMED,
        unknown_href=link(".calls", unknown_filters.arguments()),
        untold_href=link(".calls", unknown_filters.narrowed("usage", "unknown").arguments()),
        partial_href=link(".calls", asked.filters.narrowed("price", "partial").arguments()),
    )
