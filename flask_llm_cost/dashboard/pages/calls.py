"""The list of calls, page by page, and the same list as CSV."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from werkzeug.wrappers import Response

from ...analytics import Page
from ...analytics import Totals
from ...ledger import LlmCall
from ...usage import INPUT_FIELDS
from ...wording import plural
from .. import formats
from ..asking import Asked
from ..asking import ask
from ..asking import canonical
from ..costs import shown_cost
from ..csv_export import Direction
from ..csv_export import Sort
from ..csv_export import csv_response
from ..csv_export import json_response
from ..filter_bar import Choice
from ..filter_bar import filter_bar
from ..filters import TAG_PREFIX
from ..filters import Filters
from ..framing import MOST_CALLS
from ..framing import answerable
from ..framing import too_many
from ..freshness import freshness
from ..responses import Place
from ..responses import link
from ..responses import page
from ..responses import send_to
from ..tables import Cell
from ..tables import Column
from ..tables import Link
from ..tables import Row
from ..tables import Table
from ..tables import aligned

_PLACE = Place(".calls")
SORTS = ("recent", "input", "output", "cost", "latency")
DIRECTIONS = ("desc", "asc")
SIZES = ("50", "100", "200")
_ORDER = ("sort", "direction")
_MAX_CHIPS = 3
_MAX_TAG_KEYS = 100
_NONE = Cell(text="none", muted=True)
_OUTPUT_FIELDS = ("output_tokens", "audio_output_tokens", "image_output_tokens")


def calls() -> Response:
    """``GET /calls``."""
    asked = ask(extra=(*_ORDER, "size", "cursor"))
    if address := canonical(_PLACE, asked.filters):
        return send_to(address)
    with asked.at_once() as now:
        return _list(now)


def _list(asked: Asked) -> Response:
    sort, direction = _order(asked)
    size = asked.option("size", SIZES[0], SIZES)
    cursor = asked.filters.extra.get("cursor")
    asked = _without_cursor(asked)
    fresh = freshness(asked.visible)
    if fresh.last is None:
        return page("first_run.html", {"current": "calls", "fresh": fresh})
    if sort != SORTS[0] and asked.query.reads_more_than(MOST_CALLS):
        return too_many(_PLACE, asked, "calls", charts=False, to_sort=True)
    found = asked.query.page(sort, direction, int(size), cursor)
    keys = asked.in_period.tag_names(limit=_MAX_TAG_KEYS)
    shared: dict[str, object] = {"current": "calls", "fresh": fresh, "bar": filter_bar(_PLACE, asked, keys)}
    if not found.calls:
        return page("no_match.html", shared | {"without_filters": _without_filters(asked)})
    listed = {
        "summary": _summary(asked.query.totals()) if answerable(asked) else "Calls",
        "table": _table(found, asked),
        "sizes": _sizes(asked, size),
        "previous": _page_link(asked, found.previous),
        "next": _page_link(asked, found.next),
        "csv_url": link(".export", asked.filters.arguments() | _kept(asked, *_ORDER)),
        "json_url": link(".export_json", asked.filters.arguments() | _kept(asked, *_ORDER)),
    }
    return page("calls.html", shared | listed)


def export() -> Response:
    """``GET /calls.csv``: the same filters and order, all pages."""
    asked = ask(extra=_ORDER)
    sort, direction = _order(asked)
    return csv_response(asked.query, sort, direction)


def export_json() -> Response:
    """``GET /calls.json``: the same as JSON."""
    asked = ask(extra=_ORDER)
    sort, direction = _order(asked)
    return json_response(asked, sort, direction)


def _order(asked: Asked) -> tuple[Sort, Direction]:
    sort = asked.option("sort", SORTS[0], SORTS)
    direction = asked.option("direction", DIRECTIONS[0], DIRECTIONS)
    return cast(Sort, sort), cast(Direction, direction)


def _without_cursor(asked: Asked) -> Asked:
    """A cursor leads into one list; under other filters or another order it means nothing."""
    return replace(asked, filters=replace(asked.filters, extra=_kept(asked, *_ORDER, "size")))


def _kept(asked: Asked, *names: str) -> dict[str, str]:
    return {name: value for name, value in asked.filters.extra.items() if name in names}


def _without_filters(asked: Asked) -> str:
    if not asked.filters.values:
        return ""
    return link(".calls", asked.filters.cleared().arguments())


def _summary(totals: Totals) -> str:
    cost = shown_cost(totals.total_cost, unknown_calls=totals.unknown_cost_calls)
    words = f"{plural(totals.calls, 'call')}, spend {cost}"
    if totals.unknown_cost_calls and cost.known:
        words += f" without {plural(totals.unknown_cost_calls, 'call')} of unknown cost"
    return words


def _page_link(asked: Asked, cursor: str | None) -> str:
    if cursor is None:
        return ""
    return link(".calls", asked.filters.arguments() | _kept(asked, *_ORDER, "size") | {"cursor": cursor})


def _sizes(asked: Asked, current: str) -> tuple[Choice, ...]:
    kept = asked.filters.arguments() | _kept(asked, *_ORDER)
    return tuple(
        Choice(
            text=size,
            href=link(".calls", kept | ({"size": size} if size != SIZES[0] else {})),
            current=size == current,
        )
        for size in SIZES
    )


def _table(found: Page, asked: Asked) -> Table:
    sortable = {"Time": "recent", "Input": "input", "Output": "output", "Cost": "cost", "Latency": "latency"}
    units = {"Input": "tokens", "Output": "tokens", "Cost": "USD", "Time": asked.filters.period.zone.key}
    headings = ("Time", "Model", "Cost", "Input", "Output", "Latency", "Status", "Provider", "User", "Tags")
    columns = tuple(
        Column(
            label=heading,
            unit=units.get(heading, ""),
            numeric=heading in ("Input", "Output", "Cost", "Latency"),
            href=_sort_link(asked, found, sortable[heading]) if heading in sortable else "",
            sorted_by=_sorted_by(found, sortable.get(heading)),
        )
        for heading in headings
    )
    return aligned(
        Table(
            name="calls",
            caption="Calls",
            columns=columns,
            rows=tuple(_row(call, asked) for call in found.calls),
            hidden_caption=True,
            dense=True,
        )
    )


def _sort_link(asked: Asked, found: Page, sort: str) -> str:
    turned = "asc" if found.sort == sort and found.direction == "desc" else "desc"
    order = {"sort": sort} if sort != SORTS[0] else {}
    order |= {"direction": turned} if turned != DIRECTIONS[0] else {}
    return link(".calls", asked.filters.arguments() | _kept(asked, "size") | order)


def _sorted_by(found: Page, sort: str | None) -> str:
    if sort != found.sort:
        return ""
    return "descending" if found.direction == "desc" else "ascending"


def _row(call: LlmCall, asked: Asked) -> Row:
    zone = asked.filters.period.zone
    address = link(".call", {}, call_id=call.id)
    local = call.occurred_at.astimezone(zone)
    return (
        Cell(
            text=f"{formats.short_day(local)} {local:%H:%M:%S}",
            title=formats.moment(call.occurred_at, zone),
            href=address,
            moment=call.occurred_at.isoformat(),
        ),
        Cell(text=call.model, title=call.model, code=True),
        _cost_cell(call, address),
        _tokens_cell(call, INPUT_FIELDS, address),
        _tokens_cell(call, _OUTPUT_FIELDS, address),
        _told_cell(formats.duration(call.latency_ms), address),
        Cell(text=call.status, tone=call.status),
        Cell(text=call.provider),
        Cell(text=call.user_id, title=call.user_id, code=True) if call.user_id else _NONE,
        _tags_cell(call, asked.filters),
    )


def _tokens_cell(call: LlmCall, fields: tuple[str, ...], address: str) -> Cell:
    told = [count for name in fields if (count := getattr(call, name)) is not None]
    return _told_cell(formats.tokens(sum(told) if told else None), address)


def _told_cell(shown: formats.Shown, address: str) -> Cell:
    """A number; where it is unknown the call's page says why."""
    return Cell.of(shown, "" if shown.known else f"{address}#why")


def _cost_cell(call: LlmCall, address: str) -> Cell:
    cost = shown_cost(call.total_cost, unknown_calls=int(call.cost_status != "free"))
    return Cell.of(
        cost, address + ("#price" if cost.known else "#why"), at_least=call.cost_status == "partial"
    )


def _tags_cell(call: LlmCall, filters: Filters) -> Cell:
    tags = call.tags or {}
    if not tags:
        return _NONE
    links = tuple(
        Link(
            text=f"{key}: {value}",
            href=link(".calls", filters.narrowed(TAG_PREFIX + key, value).arguments()),
            title=f"{key}: {value}",
        )
        for key, value in list(tags.items())[:_MAX_CHIPS]
    )
    return Cell(text=f"+{len(tags) - _MAX_CHIPS}" if len(tags) > _MAX_CHIPS else "", links=links)
