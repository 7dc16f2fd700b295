"""One call's bill: its line items, where each rate came from, and why something has no price."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from decimal import Decimal
from typing import cast
from zoneinfo import ZoneInfo

from ..components import RateBasis
from ..ledger import LineItem
from ..ledger import LlmCall
from ..pricing import STEPS
from ..usage import BUCKET_FIELDS
from ..wording import plural
from .formats import Shown
from .formats import moment
from .formats import money
from .formats import number
from .formats import rate
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import aligned

PER = {
    RateBasis.PER_MILLION: "1,000,000",
    RateBasis.PER_THOUSAND: "1,000",
    RateBasis.PER_UNIT: "1",
}
_SOURCES = {
    "overrides": "LLM_COST_PRICING_OVERRIDES",
    "file": "LLM_COST_PRICES_FILE",
    "bundled": "the bundled price table",
    "provider": "the provider's own charge",
    "caller": "the caller of track()",
}

Snapshot = Mapping[str, object]


def bill_table(call: LlmCall) -> Table | None:
    """Quantity times rate by line, and the total; ``None`` where there are no lines."""
    if not call.line_items:
        return None
    snapshot: Snapshot = call.pricing_snapshot or {}
    return arithmetic(
        "line-items",
        "Line items",
        "Where the rate came from",
        [_line(item, snapshot) for item in call.line_items],
        Cell.of(rate(call.total_cost), at_least=call.cost_status == "partial"),
    )


def arithmetic(name: str, caption: str, last_column: str, lines: Iterable[Row], total: Cell) -> Table:
    """A table of quantities times rates, and their sum."""
    return aligned(
        Table(
            name=name,
            caption=caption,
            columns=(
                Column(label="Component"),
                Column(label="Quantity", numeric=True),
                Column(label="\u00d7 rate", unit="USD", numeric=True),
                Column(label="\u00f7 per", numeric=True),
                Column(label="= cost", unit="USD", numeric=True),
                Column(label=last_column),
            ),
            rows=tuple(lines),
            total=(Cell(text="Total"), *[Cell(text="")] * 3, total, Cell(text="")),
        )
    )


def _line(item: LineItem, snapshot: Snapshot) -> Row:
    unit = item.unit if item.quantity == 1 else f"{item.unit}s"
    return (
        Cell(text=item.component.replace("_", " "), title=item.provider_field or ""),
        Cell.of(number(item.quantity), title=f"{number(item.quantity)} {unit}"),
        Cell.of(rate(item.rate), "" if item.rate is not None else "#why"),
        Cell(text=PER.get(RateBasis(item.rate_basis), item.rate_basis)),
        Cell.of(_exact(item.cost), "" if item.cost is not None else "#why"),
        Cell(text=_origin(item, snapshot)),
    )


def _exact(cost: Decimal | None) -> Shown:
    """Every digit: this is where somebody checks the arithmetic."""
    return rate(cost)


def _origin(item: LineItem, snapshot: Snapshot) -> str:
    if (source := snapshot.get("source")) in ("provider", "caller"):
        return _SOURCES[str(source)]
    if item.rate is None:
        return "no rate is known"
    lent = snapshot.get("lent")
    if isinstance(lent, Mapping) and item.component in lent:
        return f"no rate of its own: the rate of {str(lent[item.component]).replace('_', ' ')}"
    return str(snapshot.get("key") or "not told")


def price_facts(call: LlmCall) -> tuple[tuple[str, str], ...]:
    """What the frozen snapshot says about the price, as names and words."""
    return tuple(_price_facts(call))


def _price_facts(call: LlmCall) -> Iterator[tuple[str, str]]:
    snapshot: Snapshot = call.pricing_snapshot or {}
    yield "Price", _STATUS_WORDS[call.cost_status]
    if call.cost_source:
        yield "Cost", _SOURCE_WORDS.get(call.cost_source, call.cost_source)
    if source := snapshot.get("source"):
        yield "Source of the rates", _SOURCES.get(str(source), str(source))
    for name, label in _TOLD:
        if (value := snapshot.get(name)) is not None:
            yield label, str(value)
    if step := snapshot.get("step"):
        yield "Found because", "; ".join(STEPS.get(part, part) for part in str(step).split("+"))
    yield "Pricing mode", str(snapshot.get("mode") or call.pricing_mode or "standard")
    if (tier := snapshot.get("tier")) is not None:
        yield "Tier", f"over {number(cast(int, tier))} tokens of input, for the whole call"
    if (discount := snapshot.get("discount")) is not None:
        yield "Discount", f"{(Decimal(str(discount)) * 100).normalize():f}\u202f% off every rate"
    estimate = snapshot.get("estimate")
    if isinstance(estimate, Mapping) and "total_cost" in estimate:
        yield "Our tables would say", str(money(Decimal(str(estimate["total_cost"]))))
    if iterations := snapshot.get("iterations"):
        count = len(iterations) if isinstance(iterations, list) else cast(int, iterations)
        yield "Also billed", plural(count, "further iteration")


_TOLD = (("key", "Price entry"), ("same_as", "Same as"), ("version", "Version"))
_STATUS_WORDS = {
    "complete": "complete",
    "partial": "in part: see why",
    "unknown": "unknown: see why",
    "free": "free",
}
_SOURCE_WORDS = {
    "computed": "computed from usage and rates",
    "provider": "told by the provider",
    "caller": "told by the caller",
}


def why_unknown(call: LlmCall) -> tuple[str, ...]:
    """Why something about a call is unknown, and what to do about it, in sentences."""
    return tuple(_reasons(call))


def _reasons(call: LlmCall) -> Iterator[str]:
    told_nothing = all(getattr(call, name) is None for name in BUCKET_FIELDS)
    if call.cost_status == "free" and told_nothing:
        yield "The provider refused this call: it told no usage, and bills nothing."
    elif told_nothing:
        yield "The provider told no usage for this call, so there is nothing to multiply with a rate."
        if call.cost_status == "unknown" and call.status in ("aborted", "error"):
            yield "It ended early; whether the provider bills what it had produced by then is not known here."
    elif call.cost_status in ("unknown", "partial"):
        yield from _missing_price(call)
    if call.latency_ms is None:
        yield "Its duration was not measured."
    if call.stream and call.time_to_first_token_ms is None:
        yield "The time to its first token was not measured."


def _missing_price(call: LlmCall) -> Iterator[str]:
    missing = [
        item.component.replace("_", " ")
        for item in call.line_items
        if item.rate is None and item.cost is None
    ]
    name = f"{call.provider}/{call.model}"
    if (call.pricing_snapshot or {}).get("key") and missing:
        yield f"The price entry of {name} has no rate for {', '.join(missing)}, so a part is unknown."
    else:
        yield f"No price is known for {name}."
    yield (
        "Add it to LLM_COST_PRICING_OVERRIDES or LLM_COST_PRICES_FILE: calls from then on are priced, and "
        "flask llm-cost backfill prices those before."
    )


def history_table(call: LlmCall, zone: ZoneInfo) -> Table | None:
    """What the call cost before it was priced again, by whom that was done and why; ``None`` if never."""
    if not call.repricings:
        return None
    columns = (
        Column(label="Changed", unit=zone.key),
        Column(label="Cost before", unit="USD", numeric=True),
        Column(label="after", unit="USD", numeric=True),
        Column(label="By"),
        Column(label="Why"),
        Column(label="Price entry before"),
    )
    rows = tuple(
        (
            Cell(text=moment(each.changed_at, zone), moment=each.changed_at.isoformat()),
            Cell.of(_exact(each.old_total_cost), at_least=each.old_cost_status == "partial"),
            Cell.of(_exact(each.new_total_cost), at_least=each.new_cost_status == "partial"),
            Cell(text=each.changed_by, title=f"{each.command}, run {each.run_id}"),
            Cell(text=each.reason or "not told", title=each.reason or "", muted=not each.reason),
            Cell(text=_entry_before(each.old_pricing_snapshot), code=bool(each.old_pricing_snapshot)),
        )
        for each in call.repricings
    )
    return aligned(Table(name="history", caption="Priced again", columns=columns, rows=rows))


def _entry_before(snapshot: Snapshot | None) -> str:
    if not snapshot or "key" not in snapshot:
        return "none"
    return f"{snapshot['key']} ({snapshot.get('version', '')})"
