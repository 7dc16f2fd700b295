"""``flask llm-cost backfill`` and ``reprice``: price recorded calls again, and leave a trail."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from datetime import date

import click
from flask.cli import with_appcontext

from ..ledger import Ledger
from ..maintenance import LEFT
from ..maintenance import Repricing
from ..maintenance import RepricingResult
from ..maintenance import Selection
from ..maintenance import count_selected
from ..maintenance.repricing import BATCH_SIZE
from ..maintenance.repricing import Command
from ..runtime import Runtime
from ..wording import plural
from . import words
from .budgets import reconciled
from .options import day as read_day
from .options import dry_run_option
from .options import format_option
from .output import Cell
from .output import Column
from .output import Format
from .output import Table
from .output import echo_csv
from .output import echo_json
from .output import echo_table
from .output import exact
from .progress import progress
from .questions import ask_whether
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger
from .system_user import system_user

_OPTIONS = (
    click.option("--provider", help="Only calls of this provider, as in the ledger, such as openai."),
    click.option("--model", help="Only calls of this model, as in the ledger."),
    click.option("--reason", help="Why, for the audit trail."),
    click.option("--by", "changed_by", help="Who, for the audit trail.  [default: the system's user]"),
    click.option(
        "--batch-size",
        type=click.IntRange(1, 5_000),
        default=BATCH_SIZE,
        show_default=True,
        help="How many calls to change at a time.",
    ),
    dry_run_option,
    click.option("--yes", is_flag=True, help="Do not ask before changing anything."),
    format_option,
)


def _shared_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_FROM = "Calls of this day and later, such as 2026-11-01."
_TO = "Calls up to and with this day.  [default: today]"


@click.command("backfill", short_help="Price calls that had no price.")
@click.option("--from", "first", type=read_day, metavar="DATE", help=f"{_FROM}  [default: all]")
@click.option("--to", "last", type=read_day, metavar="DATE", help=_TO)
@_shared_options
@with_appcontext
def backfill(first: date | None, last: date | None, **options: str | int | bool | None) -> None:
    """Price the calls whose cost is unknown or partial, now that a price exists.

    Each call gets the prices of the moment it occurred; its line items, its tags and all sums follow, and
    llm_cost_repricings keeps what was there before. Calls may arrive meanwhile. Interrupted, it can simply be
    started again.
    """
    _Run(current_runtime(), "backfill", first, last, options).go()


@click.command("reprice", short_help="Price calls again after a price was corrected.")
@click.option("--from", "first", type=read_day, metavar="DATE", required=True, help=_FROM)
@click.option("--to", "last", type=read_day, metavar="DATE", help=_TO)
@_shared_options
@with_appcontext
def reprice(first: date, last: date | None, **options: str | int | bool | None) -> None:
    """Price the calls of some days again, by the price list and the discounts as they are now.

    Each call gets the prices of the moment it occurred. What the provider or the caller told is never
    touched, and no known cost becomes unknown. Line items, tags and all sums move by exactly the difference,
    and llm_cost_repricings keeps what was there before. Calls may arrive meanwhile. Interrupted, it can
    simply be started again. Days are those of LLM_COST_TIMEZONE.
    """
    _Run(current_runtime(), "reprice", first, last, options).go()


class _Run:
    """One command: look, show, ask, change, tell."""

    def __init__(
        self,
        runtime: Runtime,
        command: Command,
        first: date | None,
        last: date | None,
        options: dict[str, str | int | bool | None],
    ) -> None:
        if last is not None and first is None:
            raise click.UsageError("--to needs --from, as in --from 2026-11-01 --to 2026-11-22.")
        self._runtime = runtime
        self._command = command
        self._days = (first, last)
        self._options = options
        self._output: Format = str(options["output"])  # type: ignore[assignment]  # click's choice
        if self._output != "table" and not (options["dry_run"] or options["yes"]):
            raise click.UsageError(
                f"--format {self._output} asks no question: give it --dry-run or --yes as well."
            )

    def go(self) -> None:
        with one_sentence_errors(self._runtime):
            ledger = require_ledger(self._runtime)
            self._runtime.flush_quietly()
            work = self._work()
            if self._options["dry_run"] or not self._options["yes"]:
                planned = self._run(ledger, work, dry_run=True)
                self._print(planned)
                if self._options["dry_run"] or not planned.changed:
                    if self._output == "table":
                        click.echo("Nothing was changed.")
                    return
                ask_whether(f"Change the price of {plural(planned.changed, 'call')}?")
            done = self._run(ledger, work, dry_run=False)
            self._print(done)
            reconciled(self._runtime)  # budgets are made of the same costs

    def _work(self) -> Repricing:
        options, span = self._options, None
        first, last = self._days
        if first is not None:
            calls = self._runtime.calls
            span = calls.days(first, last or calls.now().astimezone(calls.zone).date()).range
        start, end = span or (None, None)
        provider, model = (str(options[name]).strip() if options[name] else None for name in _NARROWED)
        unpriced = self._command == "backfill"
        return Repricing(
            command=self._command,
            selection=Selection(start=start, end=end, provider=provider, model=model, unpriced=unpriced),
            catalog=self._runtime.catalog,
            changed_by=str(options["changed_by"] or system_user()),
            reason=str(options["reason"]) if options["reason"] else None,
            batch_size=int(options["batch_size"] or BATCH_SIZE),
        )

    def _run(self, ledger: Ledger, work: Repricing, *, dry_run: bool) -> RepricingResult:
        label = "Looking at calls" if dry_run else "Pricing calls"
        with progress(count_selected(ledger, work.selection), label) as reached:
            return work.run(ledger, dry_run=dry_run, on_progress=reached)

    def _print(self, result: RepricingResult) -> None:
        if self._output == "json":
            _echo_document(self._command, result)
        elif self._output == "csv":
            echo_csv([column.name for column in _COLUMNS], _rows(result))
        else:
            _echo_text(result, unpriced=self._command == "backfill")


_NARROWED = ("provider", "model")


_COLUMNS = (
    Column("provider", "Provider"),
    Column("model", "Model"),
    Column("changed", "Calls", words.count, number=True),
    Column("newly_priced", "Had no cost", words.count, number=True),
    Column("old_cost", "Old cost", words.money, number=True),
    Column("new_cost", "New cost", words.money, number=True),
    Column("difference", "Difference", words.signed_money, number=True),
)


def _rows(result: RepricingResult) -> Sequence[dict[str, Cell]]:
    return [{column.name: getattr(model, column.name) for column in _COLUMNS} for model in result.by_model()]


def _echo_document(command: Command, result: RepricingResult) -> None:
    echo_json(
        {
            "command": command,
            "dry_run": result.dry_run,
            "run_id": None if result.dry_run else result.run_id,
            "currency": "USD",
            "calls": result.calls,
            "changed": result.changed,
            "difference": exact(result.difference),
            "left": {reason: result.left[reason] for reason in LEFT},
            "models": [{name: exact(value) for name, value in row.items()} for row in _rows(result)],
        }
    )


def _echo_text(result: RepricingResult, *, unpriced: bool) -> None:
    if not result.calls:
        click.echo("No call lacks a price." if unpriced else "No calls match.")
        return
    if result.models:
        echo_table(Table("models", "", _COLUMNS, _rows(result)))
        click.echo()
    would = "would change" if result.dry_run else "changed"
    click.echo(
        f"{plural(result.calls, 'call')} looked at, {result.changed:,} {would}: "
        f"{words.signed_money(result.difference)} in all."
    )
    for reason, sentence in LEFT.items():
        if result.left[reason]:
            click.echo(f"Left as they are: {result.left[reason]:,}, because {sentence}.")
    if result.changed and not result.dry_run:
        click.echo(f"The old prices are in llm_cost_repricings, run {result.run_id}.")
