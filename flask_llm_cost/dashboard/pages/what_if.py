"""What if: the tokens of the calls in view at the rates of another model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from werkzeug.wrappers import Response

from ...analytics import ModelUse
from ...analytics import Totals
from ...errors import InvalidFilterError
from ...pricing import Catalog
from ...pricing.sums import price_sums
from ...pricing.sums import thresholds
from ..breakdowns import cost_cell
from ..filter_bar import Input
from ..filters import Filters
from ..formats import Shown
from ..formats import change
from ..formats import money
from ..formats import number
from ..formats import signed
from ..formats import tokens
from ..framing import Content
from ..framing import View
from ..framing import bounded
from ..framing import show
from ..responses import Place
from ..responses import link
from ..responses import runtime
from ..tables import Cell
from ..tables import Column
from ..tables import Row
from ..tables import Table
from ..tables import aligned

_PLACE = Place(".what_if")
_TARGET = "as"
_CACHED = ("cache_read_input_tokens", "cache_write_input_tokens", "cache_write_extended_input_tokens")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """One provider's model, and what its tokens cost at the other model's rates (``None``: not known)."""

    provider: str
    model: str
    totals: Totals
    there: Decimal | None

    @property
    def difference(self) -> Decimal | None:
        """What it would cost more."""
        if self.there is None or self.totals.total_cost is None or self.totals.unknown_cost_calls:
            return None
        return self.there - self.totals.total_cost


def what_if() -> Response:
    """``GET /insight/what-if?as=openai/gpt-5-mini``."""
    return show(_PLACE, "insight", _content, extra=(_TARGET,), charts=False)


def _content(view: View) -> Content:
    target = _read(view.asked.filters.extra.get(_TARGET, ""))
    return Content(
        template="what_if.html",
        tables={"what-if": lambda: _bounded_table(view, target)} if target else {},
        context=lambda: {
            "title": "What if",
            "target": "/".join(target) if target else "",
            "action": _PLACE.link({}),
            "hidden": tuple(view.asked.filters.arguments().items()),
            "input": Input(
                name=_TARGET,
                label="Price these calls on",
                value="/".join(target) if target else "",
                options=tuple(_known()),
                placeholder="provider/model",
            ),
            "back": ("Insight", link(".insight", view.asked.filters.arguments())),
        },
    )


def _read(text: str) -> tuple[str, str] | None:
    if not text:
        return None
    provider, slash, model = text.partition("/")
    catalog = runtime().catalog
    if not slash or not provider or not model:
        raise InvalidFilterError(_TARGET, f"{text[:60]!r} is not PROVIDER/MODEL, such as openai/gpt-5-mini.")
    if catalog.find(provider, model) is None:
        near = catalog.nearest(provider, model)
        hint = f" Did you mean {near[0]!r}?" if near else " The prices page lists all."
        raise InvalidFilterError(_TARGET, f"no price is known for {text[:60]!r}.{hint}")
    return provider, model


def _known() -> Iterator[str]:
    """Price keys that name a provider, for the form."""
    yield from sorted(match.key for match in runtime().catalog.entries() if "/" in match.key)


def elsewhere(view: View, provider: str, model: str, at: datetime) -> tuple[Elsewhere, ...]:
    """Each model of the calls in view at the rates of another one."""
    catalog = runtime().catalog
    sizes = thresholds(catalog, provider, model, at)
    found: dict[tuple[str, str], Elsewhere] = {}
    for use in view.asked.query.models_used(sizes):
        there = _priced(catalog, (provider, model), use, at)
        key = use.provider, use.model
        found[key] = _together(found.get(key), use, there)
    return tuple(found.values())


def _priced(catalog: Catalog, target: tuple[str, str], use: ModelUse, at: datetime) -> Decimal | None:
    """What the tokens cost there; cached ones are plain input where that model bills no caching."""
    totals = use.totals
    if totals.tokens_in is None and totals.tokens_out is None:
        return None
    cached = sum(totals.tokens[name] for name in _CACHED)
    plain = {name: count for name, count in totals.tokens.items() if name not in _CACHED}
    plain["input_tokens"] += cached
    for counted in (totals.tokens, plain):
        there = price_sums(
            catalog, provider=target[0], model=target[1], tokens=counted, calls=totals.calls, at=at
        )
        if there is not None:
            return there
    return None


def _together(one: Elsewhere | None, use: ModelUse, there: Decimal | None) -> Elsewhere:
    if one is None:
        return Elsewhere(use.provider, use.model, use.totals, there)
    both = None if one.there is None or there is None else one.there + there
    return replace(one, totals=added(one.totals, use.totals), there=both)


def added(one: Totals, other: Totals) -> Totals:
    """The sums of two sets of calls."""
    known = [cost for cost in (one.total_cost, other.total_cost) if cost is not None]
    return Totals(
        calls=one.calls + other.calls,
        unknown_cost_calls=one.unknown_cost_calls + other.unknown_cost_calls,
        partial_cost_calls=one.partial_cost_calls + other.partial_cost_calls,
        priced_calls=one.priced_calls + other.priced_calls,
        total_cost=sum(known, Decimal(0)) if known else None,
        failed_calls=one.failed_calls + other.failed_calls,
        tokens={name: one.tokens[name] + other.tokens[name] for name in one.tokens},
        timed_calls=one.timed_calls + other.timed_calls,
        latency_ms=one.latency_ms + other.latency_ms,
    )


def _table(view: View, target: tuple[str, str]) -> Table:
    filters = view.asked.filters
    found = elsewhere(view, *target, view.asked.query.now())
    there = [each.there for each in found if each.there is not None]
    total = Elsewhere("", "", view.totals, sum(there, Decimal(0)) if there else None)
    missing = len(there) < len(found)
    name = "/".join(target)
    return aligned(
        Table(
            name="what-if",
            caption=f"The same tokens on {name}",
            columns=(
                Column(label="Model now"),
                Column(label="Calls", numeric=True),
                Column(label="Input", unit="tokens", numeric=True),
                Column(label="Output", unit="tokens", numeric=True),
                Column(label="Recorded", unit="USD", numeric=True),
                Column(label="There", unit="USD", numeric=True),
                Column(label="Difference", unit="USD", numeric=True),
                Column(label="Change", numeric=True),
            ),
            rows=tuple(_row(each, filters) for each in found),
            total=(Cell(text="Total"), *_numbers(total, filters, missing=missing)),
        )
    )


def _bounded_table(view: View, target: tuple[str, str]) -> Table | None:
    # Where the price depends on the size of a call, sums of many calls do not tell it.
    by_size = bool(thresholds(runtime().catalog, *target, view.asked.query.now()))
    can = view.is_small or (not by_size and view.affords("model"))
    return bounded(
        view, "what-if", f"The same tokens on {'/'.join(target)}", can, lambda: _table(view, target)
    )


def _row(found: Elsewhere, filters: Filters) -> Row:
    here = filters.narrowed("provider", found.provider).narrowed("model", found.model)
    head = Cell(
        text=found.model,
        title=f"{found.provider}/{found.model}",
        code=True,
        href=link(".overview", here.arguments()),
    )
    return (head, *_numbers(found, here))


def _numbers(found: Elsewhere, here: Filters, *, missing: bool = False) -> Iterator[Cell]:
    calls = link(".calls", here.arguments())
    yield Cell.of(number(found.totals.calls), calls)
    yield Cell.of(tokens(found.totals.tokens_in), calls)
    yield Cell.of(tokens(found.totals.tokens_out), calls)
    yield cost_cell(found.totals, here)
    yield Cell.of(money(found.there), at_least=missing)
    difference, now = found.difference, found.totals.total_cost
    if difference is None or now is None or found.there is None or missing:
        yield Cell.of(money(None), title="one of both is not known")
        yield Cell.of(money(None), title="one of both is not known")
        return
    size = money(abs(difference))
    yield Cell(text=signed(difference, size), title=size.exact, decimals=size.decimals, value=difference)
    yield Cell.of(Shown(change(found.there, now) if now else "new"))
