"""Tables of calls by the values of a dimension, each with a total row that equals the tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace

from ..analytics import Costs
from ..analytics import Spend
from ..analytics import SpendRow
from ..wording import plural
from . import charts
from .costs import FREE
from .costs import shown_cost
from .filters import FIELDS
from .filters import TAG_PREFIX
from .filters import Filters
from .formats import NOT_KNOWN
from .formats import Shown
from .formats import number
from .formats import percent
from .responses import link
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import aligned

#: The parameter that shows one table in full: ``?full=model``.
FULL = "full"
WHY_UNKNOWN = "No price is known for these calls. Show them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a breakdown is by.

    :param field: the filter's name in URLs.
    :param heading: of the first column.
    :param nothing: the name of the calls that have no value.
    """

    field: str
    caption: str
    heading: str
    nothing: str = ""
    code: bool = False


def dimension_of(subject: Subject) -> str:
    """What the ledger's questions call it."""
    if subject.field in FIELDS:
        return FIELDS[subject.field].column
    return "tag:" + subject.field.removeprefix(TAG_PREFIX)


def tag_subject(key: str) -> Subject:
    """The breakdown by one tag."""
    return Subject(
        field=TAG_PREFIX + key,
        caption=f"By {key}",
        heading="Value",
        nothing=f"without {key}",
    )


PROVIDER = Subject(field="provider", caption="By provider", heading="Provider")
MODEL = Subject(field="model", caption="By model", heading="Model", code=True)
USER = Subject(field="user", caption="By user", heading="User", nothing="without a user", code=True)
ENDPOINT = Subject(
    field="endpoint", caption="By endpoint", heading="Flask endpoint", nothing="outside a request", code=True
)
REQUEST_TYPE = Subject(
    field="request_type", caption="By request type", heading="Request type", nothing="without one"
)
OPERATION = Subject(field="operation", caption="By operation", heading="Operation")
STATUS = Subject(field="status", caption="By status", heading="Status")
MODE = Subject(field="mode", caption="By pricing mode", heading="Mode", nothing="standard")
SERVICE = Subject(field="service", caption="By service", heading="Service")
ACCOUNT = Subject(
    field="account", caption="By provider account", heading="Provider account", nothing="not told", code=True
)
SUBJECTS = {
    each.field: each
    for each in (
        PROVIDER,
        MODEL,
        USER,
        ENDPOINT,
        REQUEST_TYPE,
        OPERATION,
        STATUS,
        MODE,
        SERVICE,
        ACCOUNT,
    )
}


def breakdown_table(
    found: Spend, subject: Subject, filters: Filters, ranks: Mapping[str | None, int] | None = None
) -> Table:
    """The table of one breakdown; names lead to the narrower view, numbers to the calls behind them.

    :param ranks: the colours of the page's chart, where it is split by the same dimension.
    """
    rows = [_row(row, subject, filters, ranks, found.total) for row in found.rows]
    if found.other:
        rows.append(_other_row(found, subject, filters, ranks))
    return aligned(
        Table(
            name=table_name(subject),
            caption=subject.caption,
            columns=(
                Column(label=subject.heading),
                Column(label="Calls", numeric=True),
                Column(label="Spend", unit="USD", numeric=True),
                Column(label="Share", numeric=True, roomy=True),
            ),
            rows=tuple(rows),
            total=_total_row(found.total, filters),
        )
    )


def _row(
    row: SpendRow,
    subject: Subject,
    filters: Filters,
    ranks: Mapping[str | None, int] | None,
    total: Costs,
) -> Row:
    here = filters.narrowed(subject.field, row.value)
    name = subject.nothing if row.value is None else row.value
    head = Cell(
        text=name,
        title=name if row.value is not None else "",
        href=link(".overview", here.arguments()),
        rank=None if ranks is None else ranks.get(row.value, charts.OTHER),
        code=subject.code and row.value is not None,
        muted=row.value is None,
        absent=row.value is None,
    )
    return (head, *_numbers(row, here, total))


def _numbers(row: SpendRow, here: Filters, total: Costs) -> Row:
    calls = link(".calls", here.arguments())
    return (
        Cell.of(number(row.calls), calls),
        cost_cell(row, here),
        share_cell(row, total),
    )


def share_cell(row: Costs, total: Costs) -> Cell:
    """A row's part of the total cost, with a bar behind it."""
    return Cell.of(_share(row, total), share=charts.share(row.total_cost, total.total_cost))


def _share(row: Costs, total: Costs) -> Shown:
    if row.total_cost is None:
        return NOT_KNOWN if row.unknown_cost_calls else FREE
    return percent(row.total_cost, total.total_cost or 1)  # nothing of a total of nothing is 0 %


def cost_cell(sums: Costs, here: Filters | None) -> Cell:
    """A cost that leads to its calls, dearest first; an unknown one to the calls that make it so.

    :param here: what the calls are found by; ``None`` where no address names them.
    """
    unknown = sums.unknown_cost_calls + sums.partial_cost_calls
    shown = shown_cost(sums.total_cost, unknown_calls=unknown)
    if shown.known:
        address = link(".calls", here.arguments() | {"sort": "cost"}) if here else ""
        title = f"{shown.exact}, without {plural(unknown, 'call')} that have no full price" if unknown else ""
        return Cell.of(shown, address, title=title, at_least=unknown > 0)
    address = link(".calls", here.narrowed("price", "unknown").arguments()) if here else ""
    return Cell.of(shown, address, title=WHY_UNKNOWN)


def _other_row(
    found: Spend, subject: Subject, filters: Filters, ranks: Mapping[str | None, int] | None
) -> Row:
    assert found.other is not None  # noqa: S101  (the caller asked)
    full = link(".overview", filters.arguments() | {FULL: subject.field}) + f"#{table_name(subject)}"
    head = Cell(
        text=f"{found.other_values:,} others",
        title="Show all of them",
        href=full,
        rank=None if ranks is None else charts.OTHER,
        muted=True,
    )
    # Where the names are too long for an address, these numbers do not pretend to have one.
    here = filters.besides(subject.field, [row.value for row in found.rows])
    calls, cost, share = _numbers(found.other, here or filters, found.total)
    if here is None:
        calls, cost = replace(calls, href=""), replace(cost, href=full)
    return (head, calls, cost, share)


def table_name(subject: Subject) -> str:
    """The table's name within its page and in exports."""
    return f"by-{subject.field}"


def _total_row(total: Costs, filters: Filters) -> Row:
    return (
        Cell(text="Total"),
        Cell.of(number(total.calls), link(".calls", filters.arguments())),
        cost_cell(total, filters),
        Cell.of(percent(1, 1), share=0.0) if total.total_cost else Cell(text=""),
    )
