"""The overview: what was spent in a period, on what, by whom, and how sure that number is."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from werkzeug.wrappers import Response

from ...analytics import TagKey
from ...errors import InvalidFilterError
from .. import filters as names
from ..asking import Asked
from ..asking import ask
from ..asking import canonical
from ..breakdowns import FULL
from ..breakdowns import Subject
from ..breakdowns import breakdown_table
from ..charts import MAX_SERIES
from ..filter_bar import Choice
from ..filter_bar import filter_bar
from ..formats import percent
from ..freshness import freshness
from ..responses import link
from ..responses import page
from ..responses import runtime
from ..responses import send_to
from ..spend_chart import SpendChart
from ..spend_chart import chart_ranks
from ..spend_chart import spend_chart
from ..tables import Table
from ..tiles import Measured
from ..tiles import tiles

_SPLITS = ("model", "provider")
_ROWS = 8
_TAG_TABLES = 4
_MAX_TAG_KEYS = 100
_UNPRICED_NAMED = 5

_PROVIDER = Subject(field="provider", caption="By provider", heading="Provider")
_MODEL = Subject(field="model", caption="By model", heading="Model", code=True)
_USER = Subject(field="user", caption="By user", heading="User", nothing="without a user", code=True)
_ENDPOINT = Subject(
    field="endpoint", caption="By endpoint", heading="Flask endpoint", nothing="outside a request", code=True
)
_REQUEST_TYPE = Subject(
    field="request_type", caption="By request type", heading="Request type", nothing="without one"
)
_SUBJECTS = {subject.field: subject for subject in (_PROVIDER, _MODEL, _USER, _ENDPOINT, _REQUEST_TYPE)}


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
    asked = ask(extra=("by", FULL))
    if address := canonical(".overview", asked.filters):
        return send_to(address)
    split = asked.option("by", _SPLITS[0], _SPLITS)
    keys = asked.query.tag_keys(limit=_MAX_TAG_KEYS)
    full = _full(asked)
    fresh = freshness(runtime())
    if fresh.last is None:
        return page("first_run.html", {"current": "overview", "fresh": fresh})
    now = Measured(asked.query.totals(), asked.query.latency())
    shared: dict[str, object] = {
        "current": "overview",
        "fresh": fresh,
        "bar": filter_bar(".overview", asked, tuple(key.key for key in keys)),
    }
    if not now.totals.calls:
        return page("no_match.html", shared | _nothing(asked))
    earlier = asked.query.previous_period()
    chart, ranks = _chart(asked, split)
    measured = {
        "tiles": tiles(now, Measured(earlier.totals(), earlier.latency()), asked.filters),
        "warning": _warning(asked, now),
        "chart": chart,
        "splits": _split_choices(asked, split),
        "tables": tuple(_tables(asked, keys, full, {split: ranks})),
        "other_keys": _other_keys(asked, keys, full),
    }
    return page("overview.html", shared | measured)


def _full(asked: Asked) -> str | None:
    """The dimension whose table is shown in full; a tag that no call carries here shows nothing."""
    wanted = asked.filters.extra.get(FULL)
    if wanted is not None and wanted not in _SUBJECTS and not wanted.startswith(names.TAG_PREFIX):
        known = ", ".join(_SUBJECTS)
        raise InvalidFilterError(FULL, f"{wanted[:40]!r} is not one of {known}, {names.TAG_PREFIX}KEY.")
    return wanted


def _nothing(asked: Asked) -> dict[str, object]:
    filters = asked.filters
    return {
        "without_filters": link(".overview", names.Filters(filters.period, {}, {}).arguments())
        if filters.values
        else "",
    }


def _chart(asked: Asked, split: str) -> tuple[SpendChart, Mapping[str | None, int]]:
    bucket: Literal["hour", "day"] = "hour" if asked.filters.period.days == 1 else "day"
    series = asked.query.series(bucket, by=split, limit=MAX_SERIES)
    before = asked.query.previous_period().series(bucket)
    ranks = chart_ranks(series)
    return spend_chart(series, before, asked.filters, field=split, ranks=ranks), ranks


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


def _tables(
    asked: Asked, keys: tuple[TagKey, ...], full: str | None, ranks: Mapping[str, Mapping[str | None, int]]
) -> Iterator[Table]:
    for subject in _subjects(keys, full):
        dimension = _dimension(subject)
        found = asked.query.spend_by(dimension, limit=None if subject.field == full else _ROWS)
        if subject in (_ENDPOINT, _REQUEST_TYPE) and all(row.value is None for row in found.rows):
            continue
        yield breakdown_table(found, subject, asked.filters, ranks.get(subject.field))


def _subjects(keys: tuple[TagKey, ...], full: str | None) -> Iterator[Subject]:
    yield _PROVIDER
    yield _MODEL
    for key in _shown_keys(keys, full):
        yield Subject(
            field=names.TAG_PREFIX + key.key,
            caption=f"By {key.key}",
            heading="Value",
            nothing=f"without {key.key}",
        )
    yield _USER
    yield _REQUEST_TYPE
    yield _ENDPOINT


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


def _dimension(subject: Subject) -> str:
    if subject.field in names.FIELDS:
        return names.FIELDS[subject.field].column
    return "tag:" + subject.field.removeprefix(names.TAG_PREFIX)


def _warning(asked: Asked, now: Measured) -> CostWarning | None:
    unknown, partial = now.totals.unknown_cost_calls, now.totals.partial_cost_calls
    if not unknown and not partial:
        return None
    models = asked.query.unpriced_models(limit=_UNPRICED_NAMED + 1)
    unknown_filters = asked.filters.narrowed("price", "unknown")
    return CostWarning(
        unknown=unknown,
        untold=asked.query.where(cost_status="unknown", usage_source="unknown").count(),
        partial=partial,
        share=percent(unknown, now.totals.calls).text,
        models=tuple(f"{found.provider}/{found.model}" for found in models[:_UNPRICED_NAMED]),
        more_models=len(models) > _UNPRICED_NAMED,
        unknown_href=link(".calls", unknown_filters.arguments()),
        untold_href=link(".calls", unknown_filters.narrowed("usage", "unknown").arguments()),
        partial_href=link(".calls", asked.filters.narrowed("price", "partial").arguments()),
    )
