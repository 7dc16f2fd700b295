"""The tables of the insight page: what stands out, what is new, what caches saved, what was wasted."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from ..analytics import Anomaly
from ..analytics import ModelUse
from ..analytics import NewModel
from ..analytics import Waste
from ..money import EXACT
from ..pricing import Catalog
from ..pricing.sums import price_sums
from ..wording import plural
from .breakdowns import cost_cell
from .costs import shown_cost
from .filters import TAG_PREFIX
from .filters import Filters
from .formats import NOT_KNOWN
from .formats import Shown
from .formats import day
from .formats import duration
from .formats import moment
from .formats import money
from .formats import number
from .formats import short_day
from .formats import signed
from .formats import tokens
from .periods import Period
from .responses import link
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import aligned


def anomalies_table(found: Iterable[Anomaly], filters: Filters) -> Table | None:
    """What stands out, with the evidence; ``None`` where nothing does."""
    rows = tuple(_anomaly(each, filters) for each in found)
    if not rows:
        return None
    columns = (
        Column(label="What"),
        Column(label="When", unit=filters.period.zone.key),
        Column(label="Spent", unit="USD", numeric=True),
        Column(label="Usual", unit="USD", numeric=True),
        Column(label="Times", unit="the usual", numeric=True),
        Column(label="Evidence"),
    )
    return aligned(Table(name="anomalies", caption="What stands out", columns=columns, rows=rows, dense=True))


def anomaly_address(found: Anomaly, filters: Filters) -> str:
    """The calls behind it, dearest first; those of an hour are found by their day."""
    when = found.start.astimezone(filters.period.zone).date()
    here = filters.during(Period(when, when, filters.period.zone)).by(None)
    if found.dimension is not None:
        field = found.dimension.replace("tag:", TAG_PREFIX)
        here = here.narrowed(field, found.value)
    return link(".calls", here.arguments() | {"sort": "cost"})


def anomaly_name(found: Anomaly) -> str:
    """What it is about: ``model gpt-5``, ``feature search``, ``all calls``."""
    if found.dimension is None:
        return "all calls"
    name = found.dimension.removeprefix("tag:")
    return f"{name} {found.value}" if found.value is not None else f"calls without {name}"


def anomaly_moment(found: Anomaly, zone: ZoneInfo) -> str:
    """The day, or the hour of a day."""
    local = found.start.astimezone(zone)
    if found.bucket == "day":
        return day(local.date())
    return f"{short_day(local)} {local.year}, {local:%H:%M} to {found.end.astimezone(zone):%H:%M}"


def times(found: Anomaly) -> Shown:
    """How many times the usual amount it is."""
    if found.ratio is None:
        return Shown("from nothing")
    ratio = found.ratio.quantize(Decimal("0.1"))
    return Shown(f"{ratio:,f}", decimals=1, value=ratio)


def _anomaly(found: Anomaly, filters: Filters) -> Row:
    address = anomaly_address(found, filters)
    name = anomaly_name(found)
    return (
        Cell(text=name, title=name, href=address),
        Cell(text=anomaly_moment(found, filters.period.zone), value=found.start.isoformat()),
        Cell.of(money(found.amount), address),
        Cell.of(money(found.usual)),
        Cell.of(times(found)),
        Cell(text=anomaly_evidence(found), prose=True),
    )


def anomaly_evidence(found: Anomaly) -> str:
    """What it is held against: the days before, how many of them had a cost, and what was normal at most."""
    before = f"{found.compared} {'days' if found.bucket == 'day' else 'such hours'} before"
    calls = plural(found.calls, "call")
    if not found.active:
        return f"none of the {before} cost anything; {calls}"
    some = f"{found.active} of the {before} cost anything, " if found.active < found.compared else ""
    return (
        f"{some}median of the {before} {money(found.usual)}, at most {money(found.limit)} was normal; {calls}"
    )


def new_models_table(found: Iterable[NewModel], filters: Filters) -> Table | None:
    """The models that were used for the first time; ``None`` where there is none."""
    rows = tuple(_new_model(each, filters) for each in found)
    if not rows:
        return None
    columns = (
        Column(label="Model"),
        Column(label="Provider"),
        Column(label="First call", unit=filters.period.zone.key),
        Column(label="Calls", numeric=True),
        Column(label="Spend", unit="USD", numeric=True),
    )
    return aligned(Table(name="new-models", caption="New models", columns=columns, rows=rows, dense=True))


def _new_model(found: NewModel, filters: Filters) -> Row:
    here = filters.narrowed("provider", found.provider).narrowed("model", found.model)
    return (
        Cell(text=found.model, title=found.model, code=True, href=link(".overview", here.arguments())),
        Cell(text=found.provider),
        Cell(text=moment(found.first_seen, filters.period.zone), moment=found.first_seen.isoformat()),
        Cell.of(number(found.totals.calls), link(".calls", here.arguments())),
        cost_cell(found.totals, here),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What a model's cache saved and cost, in USD; ``None`` where its rates are not known."""

    use: ModelUse
    reads: int
    writes: int
    saved: Decimal | None
    extra: Decimal | None

    @property
    def net(self) -> Decimal | None:
        """What is left of the savings."""
        return None if self.saved is None or self.extra is None else EXACT.subtract(self.saved, self.extra)


_WRITES = ("cache_write_input_tokens", "cache_write_extended_input_tokens")


def cache_savings(used: Iterable[ModelUse], catalog: Catalog, at: datetime) -> tuple[Saving, ...]:
    """By model that used a cache: what its reads saved against plain input, and its writes cost more."""
    found = []
    for use in used:
        reads = use.totals.tokens["cache_read_input_tokens"]
        writes = {name: use.totals.tokens[name] for name in _WRITES}
        if not reads and not any(writes.values()):
            continue
        written = sum(writes.values())
        priced = _Prices(catalog, use, at)
        saved = _minus(priced.of({"input_tokens": reads}), priced.of({"cache_read_input_tokens": reads}))
        extra = _minus(priced.of(writes), priced.of({"input_tokens": written}))
        found.append(Saving(use=use, reads=reads, writes=written, saved=saved, extra=extra))
    return tuple(sorted(found, key=lambda each: -(each.net or Decimal(0))))


@dataclass(frozen=True, slots=True)
class _Prices:
    catalog: Catalog
    use: ModelUse
    at: datetime

    def of(self, counted: Mapping[str, int]) -> Decimal | None:
        use = self.use
        return price_sums(
            self.catalog,
            provider=use.provider,
            model=use.model,
            tokens=counted,
            calls=use.totals.calls,
            at=self.at,
        )


def _minus(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else EXACT.subtract(one, other)


def savings_table(found: tuple[Saving, ...], filters: Filters) -> Table | None:
    """What caches saved by model; ``None`` where none was used."""
    if not found:
        return None
    columns = (
        Column(label="Model"),
        Column(label="Read", unit="tokens", numeric=True),
        Column(label="Written", unit="tokens", numeric=True),
        Column(label="Reads saved", unit="USD", numeric=True),
        Column(label="Writes cost more", unit="USD", numeric=True),
        Column(label="Saved in all", unit="USD", numeric=True),
    )
    sums = [_added([each.saved for each in found]), _added([each.extra for each in found]),
            _added([each.net for each in found])]  # fmt: skip
    doubtful = any(each.net is None for each in found)
    total = (
        Cell(text="Total"),
        Cell.of(tokens(sum(each.reads for each in found))),
        Cell.of(tokens(sum(each.writes for each in found))),
        *(Cell.of(_signed(amount), at_least=doubtful) for amount in sums),
    )
    rows = tuple(_saving(each, filters) for each in found)
    return aligned(
        Table(name="cache", caption="What caches saved", columns=columns, rows=rows, total=total, dense=True)
    )


def _added(amounts: list[Decimal | None]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known else None


def _saving(found: Saving, filters: Filters) -> Row:
    use = found.use
    here = filters.narrowed("provider", use.provider).narrowed("model", use.model)
    calls = link(".calls", here.arguments() | {"sort": "input"})
    price = link(".price", {"provider": use.provider, "model": use.model})
    why = "" if found.net is not None else price
    return (
        Cell(text=use.model, title=f"{use.provider}/{use.model}", code=True, href=price),
        Cell.of(tokens(found.reads), calls),
        Cell.of(tokens(found.writes), calls),
        Cell.of(_signed(found.saved), why),
        Cell.of(_signed(found.extra), why),
        Cell.of(_signed(found.net), why),
    )


def _signed(amount: Decimal | None) -> Shown:
    return NOT_KNOWN if amount is None else money(amount)


def waste_table(found: Iterable[Waste], filters: Filters) -> Table | None:
    """What failed or was tried again; ``None`` where nothing was."""
    rows = tuple(_wasted(each, filters) for each in found)
    if not rows:
        return None
    columns = (
        Column(label="Outcome"),
        Column(label="Calls", numeric=True),
        Column(label="Tried again", unit="calls", numeric=True),
        Column(label="Extra requests", numeric=True),
        Column(label="Cost", unit="USD", numeric=True),
        Column(label="Time", numeric=True),
    )
    return aligned(
        Table(name="waste", caption="Failures and retries", columns=columns, rows=rows, dense=True)
    )


_OUTCOMES = {
    "ok": "succeeded when tried again",
    "error": "failed",
    "aborted": "left before the end",
    "blocked": "refused by a budget",
}


def _wasted(found: Waste, filters: Filters) -> Row:
    here = filters.narrowed("status", found.status)
    again = here.narrowed("retried", "yes")
    here = again if found.status == "ok" else here
    address = link(".calls", here.arguments() | {"sort": "latency"})
    cost = shown_cost(found.total_cost, unknown_calls=found.unknown_cost_calls)
    return (
        Cell(text=_OUTCOMES.get(found.status, found.status), value=found.status, href=address),
        Cell.of(number(found.calls), address),
        Cell.of(number(found.retried), link(".calls", again.arguments())),
        Cell.of(number(found.extra_attempts), link(".calls", again.arguments())),
        Cell.of(cost, address, at_least=found.unknown_cost_calls > 0),
        Cell.of(duration(found.latency_ms), address),
    )


def change_words(now: Decimal, before: Decimal | None) -> str:
    """``$3.20 more than the month before``."""
    if before is None:
        return ""
    difference = now - before
    return f"{signed(difference, money(abs(difference)))} against {money(before)}"
