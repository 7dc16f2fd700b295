"""A report for people: rounded, with what is missing said in words."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from shlex import quote
from zoneinfo import ZoneInfo

import click

from ..analytics import Totals
from ..analytics import UnpricedModel
from ..wording import plural
from . import words
from .answer import Answer
from .answer import Section
from .answer import call_row
from .answer import unpriced_row
from .output import Column
from .output import Table
from .output import echo_table
from .output import plain


def echo_answer(answer: Answer, narrowed: Sequence[tuple[str, str]], pending: int) -> None:
    """Print a report for people.

    :param narrowed: what it was narrowed to.
    :param pending: calls of this process that are not stored yet, and so not counted.
    """
    click.secho(plain(title_of(answer, narrowed)), bold=True)
    lines = list(totals_in_words(answer, pending))
    width = max(len(label) for label, _ in lines)
    for label, text in lines:
        click.echo(f"{label:<{width}}  {text}")
    for section in answer.sections:
        click.echo()
        echo_table(section_table(section))
    if answer.whole:
        click.echo()
        echo_table(calls_table(answer))
    if answer.unpriced:
        click.echo()
        echo_table(unpriced_table(answer.unpriced, answer.zone))
        first = answer.unpriced[0]
        named = f"--provider {quote(plain(first.provider))} --model {quote(plain(first.model))}"
        click.echo(f"flask llm-cost prices explain {named}")
        click.echo("Once they have a price, flask llm-cost backfill prices these calls.")


def title_of(answer: Answer, narrowed: Sequence[tuple[str, str]]) -> str:
    """What a report is about, in one line."""
    told = "".join(f", {key}={value}" if value else f", without {key}" for key, value in narrowed)
    return f"LLM costs, {_span(answer)}{told}"


def _span(answer: Answer) -> str:
    if answer.range is None:
        return "all time"
    first = answer.range[0].date()
    last = (answer.range[1] - timedelta(microseconds=1)).date()
    days = first.isoformat() if first == last else f"{first} to {last}"
    return f"{days} ({answer.zone})"


def totals_in_words(answer: Answer, pending: int) -> Iterator[tuple[str, str]]:
    """The totals, each with its label."""
    totals, latency = answer.totals, answer.latency
    yield "Total cost", f"{words.money(totals.total_cost)}{_change(answer)}"
    yield "Calls", f"{words.count(totals.calls)}{_failed(totals)}"
    yield "Average cost", words.money(totals.average_cost)
    yield "Tokens", f"{words.count(totals.tokens_in)} in, {words.count(totals.tokens_out)} out"
    yield (
        "Latency",
        f"{words.duration(latency.average_ms)} on average, {words.duration(latency.p50_ms)} median, "
        f"{words.duration(latency.p95_ms)} at the 95th percentile{' of a sample' if latency.sampled else ''}",
    )
    yield from _gaps(totals)
    if pending:
        yield "Pending", f"{plural(pending, 'call')} of this process, not counted yet"


def _gaps(totals: Totals) -> Iterator[tuple[str, str]]:
    if totals.unknown_cost_calls:
        share = words.share(Decimal(totals.unknown_cost_calls) / totals.calls)
        told = f"{plural(totals.unknown_cost_calls, 'call')} ({share}); totals are too low by their cost"
        yield "Unknown cost", told
    if totals.partial_cost_calls:
        yield (
            "Partial cost",
            f"{plural(totals.partial_cost_calls, 'call')}; a part of each is not priced",
        )


def _failed(totals: Totals) -> str:
    return f" ({totals.failed_calls:,} failed)" if totals.failed_calls else ""


def _change(answer: Answer) -> str:
    before = answer.previous.total_cost if answer.previous else None
    now = answer.totals.total_cost
    if not before or now is None:
        return ""
    return f" ({(now - before) / before * 100:+.1f} % against {words.money(before)} in the time before)"


_COST = Column("total_cost", "Cost", words.money, number=True)
_BEFORE = Column("previous_cost", "Time before", words.money, number=True)
_CALLS = Column("calls", "Calls", words.count, number=True)


def section_table(section: Section) -> Table:
    """One split."""
    label = section.dimension.removeprefix("tag:").replace("_id", "").replace("_", " ").capitalize()
    columns = (
        Column("name", label),
        _COST,
        Column("share", "Share", words.share, number=True),
        *((_BEFORE,) if section.is_compared else ()),
        _CALLS,
        Column("unknown_cost_calls", "Unknown cost", words.count, number=True),
    )
    return Table(section.dimension, section.title, columns, tuple(section.rows()))


def calls_table(answer: Answer) -> Table:
    """The dearest calls."""
    rows = [
        {**call_row(call), "occurred_at": call.occurred_at.astimezone(answer.zone)}
        for call in answer.top_calls
    ]
    columns = (
        Column("id", "Call", number=True),
        Column("occurred_at", "When", words.moment),
        Column("provider", "Provider"),
        Column("model", "Model"),
        Column("user_id", "User"),
        _COST,
        Column("latency_ms", "Latency", words.duration, number=True),
    )
    return Table("top_calls", "Dearest calls", columns, rows)


def unpriced_table(models: Sequence[UnpricedModel], zone: ZoneInfo) -> Table:
    """The models with calls that lack a price."""
    columns = (
        Column("provider", "Provider"),
        Column("model", "Model"),
        Column("unknown_cost_calls", "Unknown", words.count, number=True),
        Column("partial_cost_calls", "Partial", words.count, number=True),
        Column("tokens_in", "Tokens in", words.count, number=True),
        Column("tokens_out", "Tokens out", words.count, number=True),
        Column("first_seen", "First seen", words.moment),
        Column("last_seen", "Last seen", words.moment),
    )
    rows = [
        {
            **unpriced_row(model),
            "first_seen": model.first_seen.astimezone(zone),
            "last_seen": model.last_seen.astimezone(zone),
        }
        for model in models
    ]
    return Table("unpriced", "Models without a complete price", columns, rows)
