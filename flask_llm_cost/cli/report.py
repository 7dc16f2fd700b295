"""``flask llm-cost report``: what was spent, on what and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import click
from flask.cli import with_appcontext

from ..analytics import CallQuery
from ..analytics import build_report
from ..wording import plural
from .answer import Answer
from .answer import Section
from .answer_data import echo_answer_csv
from .answer_data import echo_answer_json
from .answer_text import echo_answer
from .options import day as read_day
from .options import days as read_days
from .options import format_option
from .options import month as read_month
from .options import tag as read_tag
from .output import Format
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger

DEFAULT_DAYS = 30
_ROWS = 5
_TAG_KEYS = 10
#: Words people type for a column.
_ALIASES = {"user": "user_id", "mode": "pricing_mode"}


@click.command("report", short_help="What was spent, on what and by whom.")
@click.option(
    "--days", type=read_days, metavar="N", help=f"The last N days, today included.  [default: {DEFAULT_DAYS}]"
)
@click.option("--from", "first", type=read_day, metavar="DATE", help="From this day on, as YYYY-MM-DD.")
@click.option("--to", "last", type=read_day, metavar="DATE", help="To the end of this day.  [default: today]")
@click.option("--month", type=read_month, metavar="MONTH", help="A calendar month, as YYYY-MM.")
@click.option(
    "--by",
    "dimensions",
    multiple=True,
    metavar="DIMENSION",
    help="Only this split, in full: provider, model, user, request_type, endpoint, operation, status, "
    "service, pricing_mode, ... or tag:KEY. Can be repeated.",
)
@click.option(
    "--tag",
    "tags",
    type=read_tag,
    multiple=True,
    metavar="KEY=VALUE",
    help="Only calls with this tag; KEY= for calls without it. Can be repeated, all must match.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    metavar="N",
    help="Rows of each table.  [default: 5; with --by all]",
)
@format_option
@with_appcontext
def report(
    days: int | None,
    first: date | None,
    last: date | None,
    month: tuple[date, date] | None,
    dimensions: Sequence[str],
    tags: Sequence[tuple[str, str]],
    limit: int | None,
    output: Format,
) -> None:
    """Print what was spent: totals, by provider, by model, by tag, top users, dearest calls, missing prices.

    Days are those of LLM_COST_TIMEZONE. What has no known cost is counted, and never taken for zero.
    """
    _check_range(days, first, last, month)
    runtime = current_runtime()
    with one_sentence_errors(runtime):
        require_ledger(runtime)
        query = _during(runtime.calls, days, first, last, month)
        for tag in tags:
            query = query.tagged(dict([tag]))
        answer = _split(query, dimensions, limit) if dimensions else _everything(query, limit or _ROWS)
        if not answer.totals.calls and output == "table":
            _echo_nothing(runtime.calls.all_time().count())
            return
    _print(answer, output, tags, runtime.ingest.pending)


def _print(answer: Answer, output: Format, tags: Sequence[tuple[str, str]], pending: int) -> None:
    if output == "json":
        echo_answer_json(answer, tags, pending)
    elif output == "csv":
        echo_answer_csv(answer)
    else:
        echo_answer(answer, tags, pending)


def _echo_nothing(recorded: int) -> None:
    if recorded:
        click.echo(f"No calls match; {plural(recorded, 'call')} in all. Try another range or other tags.")
    else:
        click.echo("No call is recorded yet. flask llm-cost verify-capture proves that calls arrive.")


def _check_range(
    days: int | None, first: date | None, last: date | None, month: tuple[date, date] | None
) -> None:
    given = [days is not None, month is not None, first is not None or last is not None]
    if sum(given) > 1:
        raise click.UsageError("Choose one range: --days, --month, or --from with --to.")
    if last is not None and first is None:
        raise click.UsageError("--to needs --from, as in --from 2026-11-01 --to 2026-11-22.")


def _during(
    calls: CallQuery,
    days: int | None,
    first: date | None,
    last: date | None,
    month: tuple[date, date] | None,
) -> CallQuery:
    if month is not None:
        return calls.days(*month)
    if first is not None:
        return calls.days(first, last or calls.now().astimezone(calls.zone).date())
    return calls.last_days(days or DEFAULT_DAYS)


def _split(query: CallQuery, dimensions: Sequence[str], limit: int | None) -> Answer:
    names = [_ALIASES.get(name, name) for name in dict.fromkeys(dimensions)]
    return Answer(
        range=query.range,
        zone=query.zone,
        totals=query.totals(),
        latency=query.latency(),
        previous=query.previous_period().totals(),
        sections=tuple(Section(query.cost_by(name, limit)) for name in names),
    )


def _everything(query: CallQuery, limit: int) -> Answer:
    keys = [found.key for found in query.tag_keys(_TAG_KEYS)]
    found = build_report(query, tag_keys=keys, limit=limit)
    tagged = [part.breakdown for part in found.by_tag]
    splits = (found.by_provider, found.by_model, *tagged, found.by_user)
    return Answer(
        range=found.range,
        zone=found.zone,
        totals=found.totals,
        latency=found.latency,
        previous=found.previous,
        sections=tuple(Section(split) for split in splits),
        top_calls=found.top_calls,
        unpriced=found.unpriced,
        whole=True,
    )
