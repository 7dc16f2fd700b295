"""The numbers of a chart of spend over time as a table: a row for each bar, a column for each colour."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ..analytics import Bucket
from ..analytics import Series
from ..analytics import SeriesPart
from .costs import shown_cost
from .filters import TAG_PREFIX
from .filters import Filters
from .formats import money
from .responses import Place
from .responses import link
from .spend_series import bucket_filters
from .spend_series import bucket_words
from .spend_series import is_incomplete
from .spend_series import part_filters
from .spend_series import summed
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import aligned

#: Rows whose numbers each have a link. With more bars than that, the days and the sums have.
_LINKED_ROWS = 62


def spend_table(
    series: Series, before: Series, filters: Filters, *, field: str, place: Place, nothing: str
) -> Table:
    """The table of ``series`` split by ``field``, with the period before beside the total.

    :param place: the page that a bar's name shows more narrowly; numbers lead to their calls.
    :param nothing: the name of the calls without a value.
    """
    parts = [*series.parts, *([series.other] if series.other else [])]
    names = [part.value or nothing for part in series.parts] + (["other"] if series.other else [])
    columns = [part_filters(part, series, filters, field) for part in series.parts]
    columns += [part_filters(None, series, filters, field)] if series.other else []
    rows = tuple(
        _row(index, series, before, parts, columns, filters, place) for index in range(len(series.buckets))
    )
    total = (
        Cell(text="Total"),
        *(
            Cell.of(summed(part), _calls(here), at_least=is_incomplete(part))
            for part, here in zip(parts, columns, strict=True)
        ),
        Cell.of(summed(series), _calls(filters), at_least=is_incomplete(series)),
        Cell.of(summed(before), _calls(_earlier(filters)), at_least=is_incomplete(before)),
    )
    return aligned(
        Table(
            name="spend-data",
            caption=f"Spend by {series.bucket} and {_named(field)}",
            columns=(
                Column(label=series.bucket.capitalize()),
                *(Column(label=name, unit="USD", numeric=True, value=name) for name in names),
                Column(label="Total", unit="USD", numeric=True),
                Column(label="Period before", unit="USD", numeric=True),
            ),
            rows=rows,
            total=total,
            hidden_caption=True,
        )
    )


def _named(field: str) -> str:
    """A dimension in a sentence; a tag's name as it is."""
    return field.removeprefix(TAG_PREFIX) if field.startswith(TAG_PREFIX) else field.replace("_", " ")


def _earlier(filters: Filters) -> Filters:
    return filters.by(None).during(filters.period.previous)


def _calls(here: Filters | None) -> str:
    return link(".calls", here.by(None).arguments() | {"sort": "cost"}) if here else ""


def _row(
    index: int,
    series: Series,
    before: Series,
    parts: Sequence[SeriesPart],
    columns: Sequence[Filters | None],
    filters: Filters,
    place: Place,
) -> Row:
    bucket = series.buckets[index]
    here = bucket_filters(bucket, series.bucket, filters)
    linked = here is not None and series.bucket != "hour" and len(series.buckets) <= _LINKED_ROWS

    def calls(column: Filters | None) -> str:
        return _calls(column.during(here.period)) if here and linked and column else ""

    earlier = before.buckets[index] if index < len(before.buckets) else None
    return (
        Cell(
            text=bucket_words(bucket, series.bucket),
            href=place.link(here.arguments()) if here else "",
            value=bucket.start.isoformat() if series.bucket == "hour" else bucket.label.isoformat(),
        ),
        *(_cell(part.buckets[index], calls(column)) for part, column in zip(parts, columns, strict=True)),
        _cell(bucket, calls(filters)),
        _cell(earlier) if earlier else Cell(text="none", muted=True, absent=True),
    )


def _cell(bucket: Bucket, calls: str = "") -> Cell:
    if not bucket.calls:
        return Cell.of(money(Decimal(0)))
    cost = shown_cost(bucket.total_cost, unknown_calls=bucket.unknown_cost_calls)
    return Cell.of(cost, calls, at_least=bucket.unknown_cost_calls > 0)
