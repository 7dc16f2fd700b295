"""``flask llm-cost prices estimate``: what calls would cost, on one model and on others."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import date
from datetime import datetime
from decimal import Decimal

import click
from flask.cli import with_appcontext

from ..events import CostStatus
from ..money import EXACT
from ..pricing import Catalog
from ..providers import normalise_mode
from ..usage import Usage
from ..wording import plural
from . import words
from .elsewhere import Named
from .elsewhere import compare_recorded
from .elsewhere import echo_comparison
from .options import day as read_day
from .options import format_option
from .options import moment as read_moment
from .output import Cell
from .output import Column
from .output import Format
from .output import Table
from .output import echo_csv
from .output import echo_json
from .output import echo_table
from .output import exact
from .quantities import quantity_options
from .quantities import read_usage
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the calls would cost on one model, in USD; ``None`` where that is not known.

    :param difference: to the first model that was named.
    """

    provider: str
    model: str
    key: str | None
    per_call: Decimal | None
    total_cost: Decimal | None
    cost_status: CostStatus
    difference: Decimal | None = None
    ratio: Decimal | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything that was used has a price."""
        return self.cost_status in ("complete", "free")


@click.command("estimate", short_help="What calls would cost, and on other models.")
@click.option("--provider", help="Of the models that --model names without one.")
@click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="NAME",
    help="The model, as NAME with --provider or as PROVIDER/NAME. Can be repeated.",
)
@click.option(
    "--compare",
    "others",
    multiple=True,
    metavar="PROVIDER/NAME",
    help="A model of any provider to hold against the first one. Can be repeated.",
)
@click.option(
    "--calls", type=click.IntRange(1, 10**9), metavar="N", help="How many such calls.  [default: 1]"
)
@click.option(
    "--from",
    "first",
    type=read_day,
    metavar="DATE",
    help="Instead of such calls: the recorded ones of this day and later.",
)
@click.option(
    "--to",
    "last",
    type=read_day,
    metavar="DATE",
    help="The recorded ones up to and with this day.  [default: today]",
)
@click.option("--of", "only", metavar="PROVIDER/NAME", help="Of the recorded ones only those of this model.")
@click.option(
    "--mode",
    help="The pricing mode, such as batch or flex.  [default: standard; with --from each call's own]",
)
@click.option(
    "--at",
    type=read_moment,
    metavar="TIME",
    help="The moment whose prices apply.  [default: now; with --from each call's own]",
)
@quantity_options
@format_option
@with_appcontext
def estimate(
    provider: str | None,
    models: Sequence[str],
    others: Sequence[str],
    calls: int | None,
    first: date | None,
    last: date | None,
    only: str | None,
    mode: str | None,
    at: datetime | None,
    charges: Sequence[tuple[str, Decimal]],
    output: Format,
    **counts: int | None,
) -> None:
    """Say what calls of this size would cost, cheapest first, and the difference to the first model named.

    Without any count a call has 1,000 tokens in and 1,000 out. With --from the recorded calls of some days
    are priced instead, each with its own quantities, mode and moment. Another model may count the same text
    as another number of tokens. The exit code is 1 where one of the models could not be priced in full.
    Nothing is recorded.
    """
    named = [_named(text, provider) for text in models] + [_named(text, None) for text in others]
    runtime, served = current_runtime(), normalise_mode(mode)
    typed_in = calls is not None or charges or any(count is not None for count in counts.values())
    _check(first, last, only, typed_in=bool(typed_in))
    if first is not None:
        with one_sentence_errors(runtime):
            ledger = require_ledger(runtime)
            recorded = _named(only, None) if only else None
            compared = compare_recorded(
                runtime,
                ledger,
                (first, last),
                named,
                only=recorded,
                mode=served or (mode and "standard"),
                at=at,
            )
        echo_comparison(compared, output)
        complete = not any(model.unpriced for model in compared.models)
    else:
        usage = read_usage(counts, charges)
        found = _estimates(runtime.catalog, named, usage, calls or 1, served, at or datetime.now(UTC))
        _echo(found, calls or 1, output)
        complete = all(each.is_complete for each in found)
    if not complete:
        sys.exit(1)


def _check(first: date | None, last: date | None, only: str | None, *, typed_in: bool) -> None:
    if first is None and (last is not None or only is not None):
        raise click.UsageError("--to and --of need --from, as in --from 2026-11-01 --to 2026-11-22.")
    if first is not None and typed_in:
        raise click.UsageError("--from takes the recorded calls: leave --calls and all quantities out.")


def _named(text: str, provider: str | None) -> Named:
    if provider:
        return provider.strip(), text.strip()
    seller, slash, model = text.strip().partition("/")
    if not slash or not seller or not model:
        raise click.UsageError(f"{text!r} names no provider: write PROVIDER/NAME, such as openai/gpt-5-mini.")
    return seller, model


def _estimates(
    catalog: Catalog, named: Sequence[Named], usage: Usage, calls: int, mode: str | None, at: datetime
) -> list[Estimate]:
    """The models once each, cheapest first, those without a full price last."""
    found = []
    for provider, model in dict.fromkeys(named):
        price = catalog.price(provider=provider, model=model, usage=usage, pricing_mode=mode, at=at)
        total = None if price.total_cost is None else EXACT.multiply(price.total_cost, Decimal(calls))
        found.append(
            Estimate(
                provider=provider,
                model=model,
                key=(price.snapshot or {}).get("key"),
                per_call=price.total_cost,
                total_cost=total,
                cost_status=price.cost_status,
            )
        )
    return sorted((_against(each, found[0]) for each in found), key=_cheapest_first)


def _against(each: Estimate, first: Estimate) -> Estimate:
    """The same, held against the first model; what has no full price cannot be compared."""
    if not (each.is_complete and first.is_complete) or each.total_cost is None or first.total_cost is None:
        return each
    return replace(
        each,
        difference=EXACT.subtract(each.total_cost, first.total_cost),
        ratio=EXACT.divide(each.total_cost, first.total_cost) if first.total_cost else None,
    )


def _cheapest_first(each: Estimate) -> tuple[bool, Decimal]:
    return not each.is_complete, each.total_cost or Decimal(0)


_COLUMNS = (
    Column("provider", "Provider"),
    Column("model", "Model"),
    Column("per_call", "One call", words.money, number=True),
    Column("total_cost", "All calls", words.money, number=True),
    Column("difference", "Difference", words.signed_money, number=True),
    Column("ratio", "Times", words.ratio, number=True),
    Column("cost_status", "Price"),
    Column("key", "Price entry"),
)


def _echo(found: Sequence[Estimate], calls: int, output: Format) -> None:
    rows: list[dict[str, Cell]] = [
        {column.name: getattr(each, column.name) for column in _COLUMNS} for each in found
    ]
    if output == "json":
        listed = [{name: exact(value) for name, value in row.items()} for row in rows]
        echo_json({"currency": "USD", "calls": calls, "models": listed})
    elif output == "csv":
        echo_csv([column.name for column in _COLUMNS], rows)
    else:
        echo_table(Table("estimates", plural(calls, "call"), _COLUMNS, rows))
