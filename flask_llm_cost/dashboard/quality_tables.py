"""What the quality page says beside its findings: how much is covered, how streams tell, what was billed."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence

from ..analytics import ComponentCost
from ..analytics import Coverage
from ..usage import BUCKET_FIELDS
from . import charts
from .filters import Filters
from .formats import Shown
from .formats import money
from .formats import number
from .formats import percent
from .formats import tokens
from .framing import View
from .responses import link
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import aligned


def coverage_table(found: Sequence[Coverage], filters: Filters) -> Table:
    """How many calls tell what, and how many do not."""
    columns = (
        Column(label="Known"),
        Column(label="Calls", unit="that tell", numeric=True),
        Column(label="Coverage", numeric=True, roomy=True),
        Column(label="Calls", unit="that do not", numeric=True),
    )
    return aligned(
        Table(name="coverage", caption="Coverage", columns=columns, rows=tuple(_covered(found, filters)))
    )


def _covered(found: Sequence[Coverage], filters: Filters) -> Iterator[Row]:
    def total(name: str) -> int:
        return sum(getattr(each, name) for each in found)

    unpriced = filters.besides("price", ("complete", "free"))
    kinds = (
        ("Full cost", "costed", "calls", _calls(unpriced) if unpriced else ""),
        ("Tags", "tagged", "calls", _calls(filters.narrowed("tags", None))),
        ("User", "with_user", "calls", _calls(filters.narrowed("user", None))),
        ("Latency", "timed", "calls", _calls(filters.narrowed("latency", None))),
        ("Provider's id of the answer", "identified", "calls", _calls(filters.narrowed("response_id", None))),
        (
            "Usage of streams",
            "streams_told",
            "streams",
            _calls(filters.narrowed("stream", "yes").narrowed("usage", "unknown")),
        ),
    )
    for label, told, of, missing in kinds:
        count, whole = total(told), total(of)
        share = percent(count, whole) if whole else Shown("no streams")
        yield (
            Cell(text=label),
            Cell.of(number(count)),
            Cell.of(share, share=charts.share(count, whole)),
            Cell.of(number(whole - count), missing if whole > count else ""),
        )


def _calls(filters: Filters) -> str:
    return link(".calls", filters.arguments())


def streams_table(found: Sequence[Coverage], filters: Filters) -> Table | None:
    """How well each provider's streams tell their usage; ``None`` where nothing is streamed."""
    rows = tuple(_streamed(each, filters) for each in found if each.streams)
    if not rows:
        return None
    columns = (
        Column(label="Provider"),
        Column(label="Streams", numeric=True),
        Column(label="With usage", numeric=True),
        Column(label="Without", numeric=True),
        Column(label="Share", unit="with usage", numeric=True, roomy=True),
    )
    return aligned(Table(name="streams", caption="Streams by provider", columns=columns, rows=rows))


def _streamed(found: Coverage, filters: Filters) -> Row:
    here = filters.narrowed("provider", found.provider).narrowed("stream", "yes")
    silent = _calls(here.narrowed("usage", "unknown"))
    return (
        Cell(text=found.provider, href=_calls(here)),
        Cell.of(number(found.streams), _calls(here)),
        Cell.of(number(found.streams_told)),
        Cell.of(number(found.streams - found.streams_told), silent),
        Cell.of(
            percent(found.streams_told, found.streams), share=charts.share(found.streams_told, found.streams)
        ),
    )


def tokens_table(view: View) -> Table | None:
    """What kinds of tokens were used; ``None`` where no call told any."""
    counted = view.totals.tokens
    whole = sum(counted[name] for name in BUCKET_FIELDS)
    if not whole:
        return None
    columns = (
        Column(label="Kind"),
        Column(label="Tokens", numeric=True),
        Column(label="Share", numeric=True, roomy=True),
    )
    rows = [_kind(name, counted[name], whole) for name in BUCKET_FIELDS if counted[name]]
    reasoning = counted["reasoning_tokens"]
    if reasoning:
        part = percent(reasoning, counted["output_tokens"])
        rows.append(
            (
                Cell(text="reasoning, within output"),
                Cell.of(tokens(reasoning)),
                Cell(text=f"{part} of output", value=part.value),
            )
        )
    total = (Cell(text="Total"), Cell.of(tokens(whole)), Cell.of(percent(1, 1), share=0.0))
    return Table(name="kinds", caption="Tokens by kind", columns=columns, rows=tuple(rows), total=total)


def _kind(name: str, count: int, whole: int) -> Row:
    words = name.removesuffix("_tokens").replace("_", " ")
    return (
        Cell(text=words),
        Cell.of(tokens(count)),
        Cell.of(percent(count, whole), share=charts.share(count, whole)),
    )


def billed_table(found: Sequence[ComponentCost]) -> Table | None:
    """What was billed, tokens and tools; ``None`` where there is no line item."""
    if not found:
        return None
    columns = (
        Column(label="Component"),
        Column(label="Unit"),
        Column(label="Quantity", numeric=True),
        Column(label="Cost", unit="USD", numeric=True),
        Column(label="Lines", numeric=True),
        Column(label="Lines", unit="without a rate", numeric=True),
    )
    rows = tuple(
        (
            Cell(text=each.component.replace("_", " "), value=each.component),
            Cell(text=each.unit),
            Cell.of(number(each.quantity)),
            Cell.of(money(each.cost), at_least=each.unknown_lines > 0),
            Cell.of(number(each.lines)),
            Cell.of(number(each.unknown_lines)),
        )
        for each in found
    )
    return aligned(Table(name="billed", caption="What was billed", columns=columns, rows=rows, dense=True))
