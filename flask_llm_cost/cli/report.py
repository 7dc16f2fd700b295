"""``flask llm-cost report``: what was spent, on what and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from typing import Literal

import click
from flask.cli import with_appcontext

from ..analytics import CallQuery
from ..analytics import build_report
from ..errors import InvalidFilterError
from ..wording import plural
from .answer import Answer
from .answer_data import echo_answer_csv
from .answer_data import echo_answer_json
from .answer_markdown import echo_answer_markdown
from .answer_text import echo_answer
from .narrowing import Narrowing
from .narrowing import narrowing
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger

DEFAULT_DAYS = 30
_ROWS = 5
_TAG_KEYS = 10


@click.command("report", short_help="What was spent, on what and by whom.")
@click.option(
    "--by",
    "--group-by",
    "dimensions",
    multiple=True,
    metavar="DIMENSION",
    help="Only this split, in full: day, provider, model, user, request_type, endpoint, operation, status, "
    "service, pricing_mode, ... or tag:KEY. Can be repeated.",
)
@narrowing(f"{DEFAULT_DAYS}")
@click.option("--compare/--no-compare", default=True, help="Hold it against the time just before, or not.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    metavar="N",
    help="Rows of each table.  [default: 5; with --by all]",
)
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "csv", "markdown"]),
    default="table",
    show_default=True,
    help="How to print the answer; JSON and CSV carry exact values.",
)
@with_appcontext
def report(
    dimensions: Sequence[str],
    compare: bool,
    limit: int | None,
    output: Literal["table", "json", "csv", "markdown"],
    **given: Any,
) -> None:
    """Print what was spent: totals, by provider, by model, by tag, top users, dearest calls, missing prices.

    Days are those of LLM_COST_TIMEZONE. What has no known cost is counted, and never taken for zero.
    """
    wanted = Narrowing.of(given)
    runtime = current_runtime()
    with one_sentence_errors(runtime):
        require_ledger(runtime)
        query = wanted.applied_to(runtime.calls, DEFAULT_DAYS)
        answer = _answer(query, dimensions, limit, compare)
        if not answer.totals.calls and output in ("table", "markdown"):
            _echo_nothing(runtime.calls.all_time().count())
            return
    pending = runtime.ingest.pending
    if output == "json":
        echo_answer_json(answer, dict(wanted.told_columns()), wanted.tags, pending)
    elif output == "csv":
        echo_answer_csv(answer)
    elif output == "markdown":
        echo_answer_markdown(answer, wanted.told(), pending)
    else:
        echo_answer(answer, wanted.told(), pending)


def _echo_nothing(recorded: int) -> None:
    if recorded:
        click.echo(f"No calls match; {plural(recorded, 'call')} in all. Try another range or other filters.")
    else:
        click.echo("No call is recorded yet. flask llm-cost verify-capture proves that calls arrive.")


def _answer(query: CallQuery, dimensions: Sequence[str], limit: int | None, compare: bool) -> Answer:
    if dimensions:
        try:
            found = build_report(query, group_by=dimensions, limit=limit, compare=compare)
        except InvalidFilterError as error:
            # The ledger names its columns; a report knows two more words.
            more = " A report also takes day and user." if error.field == "dimension" else ""
            raise click.BadParameter(f"{error.message}{more}", param_hint="'--by'") from error
    else:
        keys = [found.key for found in query.tag_keys(_TAG_KEYS)]
        found = build_report(query, tag_keys=keys, limit=limit or _ROWS, compare=compare)
    return Answer.of(found, whole=not dimensions)
