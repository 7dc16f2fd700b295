"""A report as text, JSON and CSV. All three say the same; text rounds, the others do not."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import click

from ..analytics import Breakdown
from ..analytics import BreakdownRow
from ..analytics import Latency
from ..analytics import Totals
from ..analytics import UnpricedModel
from ..ledger import LlmCall
from . import words
from .output import Cell
from .output import Column
from .output import Format
from .output import JSONValue
from .output import Table
from .output import echo_csv
from .output import echo_json
from .output import echo_table
from .output import exact

_TITLES = {"user_id": "Top users", "request_type": "By request type", "pricing_mode": "By pricing mode"}
_NOTHING = {"user_id": "(no user)", "pricing_mode": "standard"}

#: What is told of a set of calls, in JSON and CSV.
SUMS = (
    "calls",
    "failed_calls",
    "unknown_cost_calls",
    "partial_cost_calls",
    "total_cost",
    "average_cost",
    "average_latency_ms",
    "tokens_in",
    "tokens_out",
)


@dataclass(frozen=True, slots=True)
class Section:
    """One split of the calls."""

    dimension: str
    breakdown: Breakdown

    @classmethod
    def of(cls, breakdown: Breakdown) -> Section:
        return cls(breakdown.dimension, breakdown)

    @property
    def title(self) -> str:
        """What stands above the table."""
        if self.dimension.startswith("tag:"):
            return f"By tag {self.dimension.removeprefix('tag:')}"
        return _TITLES.get(self.dimension, f"By {self.dimension.replace('_', ' ')}")

    def rows(self) -> Iterator[dict[str, Cell]]:
        """One row per value, then what the limit left out."""
        for row in self.breakdown.rows:
            yield {"value": row.value, "name": self._name(row), "share": row.share, **sums(row)}
        other = self.breakdown.other
        if other is not None:
            name = f"(other: {self.breakdown.other_values:,})"
            yield {"value": None, "name": name, "share": other.share, "other": True, **sums(other)}

    def _name(self, row: BreakdownRow) -> str:
        if row.value is not None:
            return row.value
        return "(untagged)" if self.dimension.startswith("tag:") else _NOTHING.get(self.dimension, "(none)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a report found. ``whole``: not only the splits that were asked for."""

    range: tuple[datetime, datetime] | None
    zone: ZoneInfo
    totals: Totals
    previous: Totals | None
    latency: Latency
    sections: tuple[Section, ...]
    top_calls: tuple[LlmCall, ...] = ()
    unpriced: tuple[UnpricedModel, ...] = ()
    whole: bool = False


def sums(totals: Totals) -> dict[str, Cell]:
    """The sums of a set of calls by name."""
    return {name: getattr(totals, name) for name in SUMS}


def print_answer(
    answer: Answer, output: Format, *, tags: Sequence[tuple[str, str]] = (), pending: int = 0
) -> None:
    """Print a report.

    :param tags: what it was narrowed to.
    :param pending: calls of this process that are not stored yet, and so not counted.
    """
    if output == "json":
        echo_json(_document(answer, tags, pending))
    elif output == "csv":
        echo_csv(("section", "name", "share", *SUMS), _csv_rows(answer))
    else:
        _echo_text(answer, tags, pending)


def _document(answer: Answer, tags: Sequence[tuple[str, str]], pending: int) -> dict[str, JSONValue]:
    document: dict[str, JSONValue] = {
        "start": exact(answer.range[0]) if answer.range else None,
        "end": exact(answer.range[1]) if answer.range else None,
        "time_zone": str(answer.zone),
        "currency": "USD",
        "tags": dict(tags),
        "pending_calls": pending,
        "totals": _exact(sums(answer.totals)),
        "previous": None if answer.previous is None else _exact(sums(answer.previous)),
        "latency_ms": {
            "average": answer.latency.average_ms,
            "p50": answer.latency.p50_ms,
            "p95": answer.latency.p95_ms,
        },
        "by": {section.dimension: [_json_row(row) for row in section.rows()] for section in answer.sections},
    }
    if answer.whole:
        document["top_calls"] = [_exact(_call(call)) for call in answer.top_calls]
        document["unpriced_models"] = [_exact(_unpriced(model)) for model in answer.unpriced]
    return document


def _json_row(row: Mapping[str, Cell]) -> dict[str, JSONValue]:
    return {"other": False, **_exact({name: value for name, value in row.items() if name != "name"})}


def _exact(values: Mapping[str, Cell]) -> dict[str, JSONValue]:
    return {name: exact(value) for name, value in values.items()}


def _csv_rows(answer: Answer) -> Iterator[dict[str, Cell]]:
    yield {"section": "total", "name": None, **sums(answer.totals)}
    for section in answer.sections:
        for row in section.rows():
            yield {"section": section.dimension, **row}
    for call in answer.top_calls:
        yield {
            "section": "top_call",
            "name": str(call.id),
            "calls": 1,
            "total_cost": call.total_cost,
            "average_latency_ms": call.latency_ms,
        }
    for model in answer.unpriced:
        yield {"section": "unpriced_model", "name": f"{model.provider}/{model.model}", **_unpriced(model)}


def _call(call: LlmCall) -> dict[str, Cell]:
    return {
        "id": call.id,
        "occurred_at": call.occurred_at,
        "provider": call.provider,
        "model": call.model,
        "user_id": call.user_id,
        "total_cost": call.total_cost,
        "latency_ms": call.latency_ms,
    }


def _unpriced(model: UnpricedModel) -> dict[str, Cell]:
    return {
        "provider": model.provider,
        "model": model.model,
        "unknown_cost_calls": model.unknown_cost_calls,
        "partial_cost_calls": model.partial_cost_calls,
    }


def _echo_text(answer: Answer, tags: Sequence[tuple[str, str]], pending: int) -> None:
    narrowed = "".join(f", {key}={value}" if value else f", without {key}" for key, value in tags)
    title = f"LLM costs, {_span(answer)}{narrowed}"
    click.secho(title, bold=True)
    if not answer.totals.calls:
        click.echo("No calls were recorded in this time. Is it the right range?")
        click.echo("flask llm-cost verify-capture proves that calls arrive.")
        return
    _echo_totals(answer, pending)
    for section in answer.sections:
        click.echo()
        echo_table(_section_table(section))
    if answer.whole:
        click.echo()
        echo_table(_calls_table(answer))
    if answer.unpriced:
        click.echo()
        echo_table(_unpriced_table(answer.unpriced))
        first = answer.unpriced[0]
        click.echo(f"flask llm-cost prices explain --provider {first.provider} --model {first.model}")


def _span(answer: Answer) -> str:
    if answer.range is None:
        return "all time"
    first = answer.range[0].date()
    last = (answer.range[1] - timedelta(microseconds=1)).date()
    days = first.isoformat() if first == last else f"{first} to {last}"
    return f"{days} ({answer.zone})"


def _echo_totals(answer: Answer, pending: int) -> None:
    totals, latency = answer.totals, answer.latency
    lines = [
        ("Total cost", f"{words.money(totals.total_cost)}{_change(answer)}"),
        ("Calls", f"{words.count(totals.calls)}{_failed(totals)}"),
        ("Average cost", words.money(totals.average_cost)),
        ("Tokens", f"{words.count(totals.tokens_in)} in, {words.count(totals.tokens_out)} out"),
        (
            "Latency",
            f"{words.duration(latency.average_ms)} on average, {words.duration(latency.p50_ms)} median, "
            f"{words.duration(latency.p95_ms)} at the 95th percentile",
        ),
        *_gaps(totals),
    ]
    if pending:
        lines.append(("Pending", f"{words.plural(pending, 'call')} of this process, not counted yet"))
    width = max(len(label) for label, _ in lines)
    for label, text in lines:
        click.echo(f"{label:<{width}}  {text}")


def _gaps(totals: Totals) -> Iterator[tuple[str, str]]:
    if totals.unknown_cost_calls:
        share = words.share(Decimal(totals.unknown_cost_calls) / totals.calls)
        told = (
            f"{words.plural(totals.unknown_cost_calls, 'call')} ({share}); totals are too low by their cost"
        )
        yield "Unknown cost", told
    if totals.partial_cost_calls:
        yield (
            "Partial cost",
            f"{words.plural(totals.partial_cost_calls, 'call')}; a part of each is not priced",
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
_CALLS = Column("calls", "Calls", words.count, number=True)


def _section_table(section: Section) -> Table:
    label = section.dimension.removeprefix("tag:").replace("_id", "").replace("_", " ").capitalize()
    columns = (
        Column("name", label),
        _COST,
        Column("share", "Share", words.share, number=True),
        _CALLS,
        Column("unknown_cost_calls", "Unknown cost", words.count, number=True),
    )
    return Table(section.dimension, section.title, columns, tuple(section.rows()))


def _calls_table(answer: Answer) -> Table:
    rows = [
        {**_call(call), "occurred_at": call.occurred_at.astimezone(answer.zone)} for call in answer.top_calls
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


def _unpriced_table(models: Sequence[UnpricedModel]) -> Table:
    columns = (
        Column("provider", "Provider"),
        Column("model", "Model"),
        Column("unknown_cost_calls", "Unknown", words.count, number=True),
        Column("partial_cost_calls", "Partial", words.count, number=True),
    )
    rows = [_unpriced(model) for model in models]
    return Table("unpriced", "Models without a complete price", columns, rows)
