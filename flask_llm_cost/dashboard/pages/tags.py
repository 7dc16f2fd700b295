"""Tags: which there are, how many calls carry them, and what each value of one costs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from decimal import Decimal
from functools import cache

from werkzeug.wrappers import Response

from ...analytics import Breakdown
from ...analytics import TagKey
from ...errors import InvalidFilterError
from ...wording import plural
from .. import charts
from ..breakdowns import ENDPOINT
from ..breakdowns import MODEL
from ..breakdowns import USER
from ..breakdowns import Subject
from ..breakdowns import breakdown_table
from ..breakdowns import dimension_of
from ..breakdowns import table_name
from ..breakdowns import tag_subject
from ..figures import Figure
from ..filter_reading import check_tag_key
from ..filters import TAG_PREFIX
from ..formats import number
from ..formats import percent
from ..framing import MAX_TAG_KEYS
from ..framing import MOST_FILTERED
from ..framing import Content
from ..framing import View
from ..framing import bounded
from ..framing import show
from ..framing import too_many_to_split
from ..listing import PARAMETERS
from ..responses import Place
from ..responses import link
from ..spend_chart import SpendChart
from ..spend_chart import spend_chart
from ..spend_series import chart_ranks
from ..splits import Split
from ..tables import Cell
from ..tables import Column
from ..tables import Row
from ..tables import Table
from ..tiles import Measured
from ..tiles import tiles

_ROWS = 12
_OTHER_TAGS = 3
_ALL_KEYS = 100_000


def tags() -> Response:
    """``GET /tags``."""
    return show(Place(".tags"), "tags", _keys, charts=False)


def tag_key(key: str) -> Response:
    """``GET /tags/<key>``."""
    check_tag_key("key", key)
    place = Place(".tag_key", {"key": key})
    return show(place, "tags", lambda view: _values(view, key), extra=PARAMETERS)


def tag_value(key: str) -> Response:
    """``GET /tags/<key>/value``; the value is the filter ``tag.KEY``, or ``without`` names the tag."""
    check_tag_key("key", key)
    place = Place(".tag_value", {"key": key})
    return show(place, "tags", lambda view: _value(view, key))


def _keys(view: View) -> Content:
    tables = {"tags": lambda: _keys_table(view)}
    if view.asked.filters.values and not view.is_small:
        return too_many_to_split(view, tables)
    return Content(
        template="tags.html",
        tables=tables,
        context=lambda: {
            "title": "Tags",
            "calls": view.totals.calls,
            "any": bool(view.keys),
            "cut": len(view.keys) == MAX_TAG_KEYS,
            "most_calls": f"{MOST_FILTERED:,}" if any(key.at_least for key in view.keys) else "",
        },
    )


def _keys_table(view: View) -> Table:
    keys = view.asked.query.tag_keys(limit=_ALL_KEYS) if view.asked.exporting else view.keys
    return Table(
        name="tags",
        caption="Tags",
        columns=(
            Column(label="Tag"),
            Column(label="Calls", unit="with it", numeric=True),
            Column(label="Coverage", unit="of calls", numeric=True, roomy=True),
            Column(label="Calls", unit="without it", numeric=True),
            Column(label="Values", numeric=True),
        ),
        rows=tuple(_key_row(view, key) for key in keys),
    )


_NOT_COUNTED = Cell(text="not counted", muted=True, absent=True)


def _key_row(view: View, key: TagKey) -> Row:
    filters, calls = view.asked.filters, view.totals.calls
    values = link(".tag_key", filters.arguments(), key=key.key)
    without = filters.narrowed(TAG_PREFIX + key.key, None)
    return (
        Cell(text=key.key, href=values, title=f"The values of {key.key}"),
        Cell.of(number(key.calls), values, at_least=key.at_least),
        Cell.of(percent(key.calls, calls), share=charts.share(key.calls, calls), at_least=key.at_least),
        _NOT_COUNTED
        if key.at_least
        else Cell.of(number(calls - key.calls), link(".calls", without.arguments())),
        Cell.of(number(key.values), values, at_least=key.at_least),
    )


def _values(view: View, key: str) -> Content:
    subject = tag_subject(key)
    split = Split(view, subject, lambda here: link(".tag_value", here.arguments(), key=key))
    if not split.affordable:
        return too_many_to_split(view, split.tables, tag=True)
    return Content(
        template="split.html",
        tables=split.tables,
        context=lambda: {
            "title": f"Tag {key}",
            "back": ("Tags", link(".tags", view.asked.filters.arguments())),
            "chart": split.chart(),
            "figures": tuple(_coverage(view, subject, split.found())),
            "main": f"by-{subject.field}",
            "beside": (),
            "explains": "",
            "crosstab_url": link(".crosstab", view.asked.filters.arguments() | {"columns": TAG_PREFIX + key}),
        },
    )


def _coverage(view: View, subject: Subject, found: Breakdown) -> Iterator[Figure]:
    without = view.asked.query.spend_of(dimension_of(subject), [None]).get(None)
    missing, calls = without.calls if without else 0, view.totals.calls
    yield Figure(label="Values", value=number(len(found.rows) + found.other_values - (without is not None)))
    yield Figure(
        label="Calls with the tag",
        value=number(calls - missing),
        note=f"{percent(calls - missing, calls)} of {plural(calls, 'call')}",
        meter=charts.meter([(1, Decimal(calls - missing))], Decimal(calls)),
    )
    yield Figure(
        label="Calls without it",
        value=number(missing),
        href=link(".calls", view.asked.filters.narrowed(subject.field, None).arguments()),
    )


def _value(view: View, key: str) -> Content:
    field = TAG_PREFIX + key
    filters = view.asked.filters
    if field not in filters.values:
        raise InvalidFilterError(
            field, f"is missing: this page is about one value, as in {field}=search, or without={field}."
        )
    value = filters.values[field]
    subjects = [MODEL, USER, ENDPOINT]
    subjects += [tag_subject(other.key) for other in view.keys if other.key != key][:_OTHER_TAGS]
    tables = {f"by-{subject.field}": _split(view, subject) for subject in subjects}
    chart = cache(lambda: _chart(view))
    return Content(
        template="tag_value.html",
        tables={"spend-data": lambda: chart().table, **tables},
        context=lambda: {
            "title": f"{key}: {value}" if value is not None else f"Without {key}",
            "back": (f"Tag {key}", link(".tag_key", filters.widened(field).arguments(), key=key)),
            "tiles": tiles(_measured(view), _before(view), filters),
            "chart": chart(),
            "names": tuple(tables),
        },
    )


def _split(view: View, subject: Subject) -> Callable[[], Table | None]:
    limit = None if view.asked.exporting else _ROWS
    name, can = dimension_of(subject), view.affords(dimension_of(subject))

    def make() -> Table:
        return breakdown_table(view.asked.query.spend_by(name, limit), subject, view.asked.filters)

    return lambda: bounded(view, table_name(subject), subject.caption, can, make)


def _measured(view: View) -> Measured:
    return Measured(view.totals, view.latency(view.asked.query))


def _before(view: View) -> Measured:
    return Measured(view.asked.previous.totals(), view.latency(view.asked.previous))


def _chart(view: View) -> SpendChart:
    series = view.asked.series(by="model")
    before = view.asked.series(view.asked.previous)
    ranks = chart_ranks(series)
    return spend_chart(series, before, view.asked.filters, field="model", ranks=ranks, place=view.place)
