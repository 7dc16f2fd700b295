"""Two dimensions at once: what each model costs in each feature, and any other pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from werkzeug.wrappers import Response

from ...analytics import Axis
from ...analytics import Costs
from ...analytics import Cross
from ...errors import InvalidFilterError
from .. import charts
from ..breakdowns import SUBJECTS
from ..breakdowns import Subject
from ..breakdowns import cost_cell
from ..breakdowns import dimension_of
from ..breakdowns import tag_subject
from ..filter_bar import Input
from ..filter_reading import check_tag_key
from ..filters import TAG_PREFIX
from ..filters import Filters
from ..formats import number
from ..framing import Content
from ..framing import View
from ..framing import bounded
from ..framing import show
from ..responses import Place
from ..responses import link
from ..tables import Cell
from ..tables import Column
from ..tables import Row
from ..tables import Table
from ..tables import aligned

_PLACE = Place(".crosstab")
_MEASURES = ("spend", "calls")
_ROWS, _COLUMNS = 20, 6
#: What is shown where an export has every value: more would be no table any more.
_MOST_ROWS, _MOST_COLUMNS = 5_000, 100
_NO_CALLS = Cell(text="no calls", muted=True, absent=True)


def crosstab() -> Response:
    """``GET /crosstab``."""
    return show(_PLACE, "models", _content, extra=("rows", "columns", "show"), charts=False)


def _content(view: View) -> Content:
    rows = _subject(view, "rows", "model")
    columns = _subject(view, "columns", _first_tag(view))
    measure = view.asked.option("show", _MEASURES[0], _MEASURES)
    if rows == columns:
        raise InvalidFilterError("columns", "is the same as rows: choose another dimension.")
    return Content(
        template="crosstab.html",
        tables={
            "crosstab": lambda: bounded(
                view,
                "crosstab",
                f"{_named(rows)} by {_named(columns).lower()}",
                view.affords(dimension_of(rows), dimension_of(columns)),
                lambda: _table(view, rows, columns, measure),
            )
        },
        context=lambda: {
            "title": f"{_named(rows)} by {_named(columns).lower()}",
            "action": _PLACE.link({}),
            "hidden": tuple(view.asked.filters.arguments().items()),
            "inputs": tuple(_inputs(view, rows, columns, measure)),
        },
    )


def _first_tag(view: View) -> str:
    return TAG_PREFIX + view.keys[0].key if view.keys else "provider"


def _subject(view: View, name: str, default: str) -> Subject:
    field = view.asked.filters.extra.get(name, default)
    if field.startswith(TAG_PREFIX):
        key = field.removeprefix(TAG_PREFIX)
        check_tag_key(name, key)
        return tag_subject(key)
    if field not in SUBJECTS:
        known = ", ".join(SUBJECTS)
        raise InvalidFilterError(name, f"{field[:40]!r} is not one of {known}, {TAG_PREFIX}KEY.")
    return SUBJECTS[field]


def _named(subject: Subject) -> str:
    return subject.caption.removeprefix("By ").capitalize()


def _inputs(view: View, rows: Subject, columns: Subject, measure: str) -> Iterator[Input]:
    known = (*SUBJECTS, *(TAG_PREFIX + key.key for key in view.keys))
    for name, label, chosen in (("rows", "Rows", rows.field), ("columns", "Columns", columns.field)):
        options = known if chosen in known else (chosen, *known)
        yield Input(name=name, label=label, value=chosen, options=options, closed=True, required=True)
    yield Input(name="show", label="Show", value=measure, options=_MEASURES, closed=True, required=True)


def _table(view: View, rows: Subject, columns: Subject, measure: str) -> Table:
    whole = view.asked.exporting
    limits = (_MOST_ROWS, _MOST_COLUMNS) if whole else (_ROWS, _COLUMNS)
    found = view.asked.query.cross(dimension_of(rows), dimension_of(columns), *limits)
    filters = view.asked.filters
    names = [_name(columns, value) for value in found.columns.values]
    names += [f"{found.columns.others:,} others"] if found.columns.others else []
    unit = "USD" if measure == "spend" else "calls"
    last = _total_row(found, columns, filters, measure)
    return aligned(
        Table(
            name="crosstab",
            caption=f"{'Spend' if measure == 'spend' else 'Calls'} by {_named(rows).lower()} "
            f"and {_named(columns).lower()}",
            columns=(
                Column(label=rows.heading),
                *(Column(label=name, unit=unit, numeric=True, value=name) for name in names),
                Column(label="Total", unit=unit, numeric=True),
            ),
            rows=tuple(_rows(found, rows, columns, filters, measure)),
            total=last,
            dense=True,
        )
    )


def _name(subject: Subject, value: str | None) -> str:
    return subject.nothing if value is None else value


def _narrowed(filters: Filters, subject: Subject, axis: Axis, at: int) -> Filters | None:
    """The filters of a row or column; ``None`` where the names that "others" are not fill no address."""
    if at < len(axis.values):
        return filters.narrowed(subject.field, axis.values[at])
    return filters.besides(subject.field, axis.values)


def _rows(found: Cross, rows: Subject, columns: Subject, filters: Filters, measure: str) -> Iterator[Row]:
    dearest = max((costs.total_cost or Decimal(0) for costs in found.cells.values()), default=Decimal(0))
    for at, total in enumerate(found.rows.totals):
        here = _narrowed(filters, rows, found.rows, at)
        cells = (
            _cell(
                found.cells.get((at, place)),
                here and _narrowed(here, columns, found.columns, place),
                measure,
                dearest,
            )
            for place in range(len(found.columns.totals))
        )
        yield (_head(found, rows, here, at), *cells, _cell(total, here, measure, None))


def _head(found: Cross, rows: Subject, here: Filters | None, at: int) -> Cell:
    if at >= len(found.rows.values):
        address = link(".overview", here.arguments()) if here else ""
        return Cell(text=f"{found.rows.others:,} others", muted=True, href=address)
    assert here is not None  # noqa: S101  (every value has an address)
    value = found.rows.values[at]
    return Cell(
        text=_name(rows, value),
        title=value or "",
        href=link(".overview", here.arguments()),
        code=rows.code and value is not None,
        muted=value is None,
        absent=value is None,
    )


def _total_row(found: Cross, columns: Subject, filters: Filters, measure: str) -> Row:
    totals = (
        _cell(total, _narrowed(filters, columns, found.columns, at), measure, None)
        for at, total in enumerate(found.columns.totals)
    )
    return (Cell(text="Total"), *totals, _cell(found.total, filters, measure, None))


def _cell(costs: Costs | None, here: Filters | None, measure: str, dearest: Decimal | None) -> Cell:
    """One cell; the bar behind it is the longer the dearer it is among all."""
    if costs is None or not costs.calls:
        return _NO_CALLS
    if measure == "calls":
        return Cell.of(number(costs.calls), link(".calls", here.arguments()) if here else "")
    shown = cost_cell(costs, here)
    return shown if dearest is None else replace(shown, share=charts.share(costs.total_cost, dearest))
