"""``flask llm-cost prune``: delete old calls and keep what they add up to."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta

import click
from flask.cli import with_appcontext

from ..ledger import Ledger
from ..maintenance import PruneResult
from ..maintenance import prune as prune_ledger
from ..wording import plural
from .options import age as read_age
from .options import days as read_days
from .options import dry_run_option
from .progress import progress
from .questions import ask_whether
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger


@click.command("prune", short_help="Delete old calls, keep the sums.")
@click.option(
    "--older-than",
    "age",
    type=read_age,
    metavar="AGE",
    help="Delete calls older than this, such as 90d or 12w.",
)
@click.option("--days", type=read_days, metavar="N", help="The same in days, such as 90.")
@click.option(
    "--batch-size",
    type=click.IntRange(1, 50_000),
    default=5_000,
    show_default=True,
    help="How many calls to delete at a time.",
)
@click.option("--rollups", is_flag=True, help="Delete the sums of that time as well.")
@dry_run_option
@click.option("--yes", is_flag=True, help="Do not ask before deleting.")
@with_appcontext
def prune(
    age: int | None, days: int | None, batch_size: int, rollups: bool, dry_run: bool, yes: bool
) -> None:
    """Delete calls older than an age, with their line items, tags and old prices, and the windows and alerts
    of budgets that had ended by then.

    Sums per hour, provider and model stay unless --rollups is given. Calls of that time which arrive later
    are put aside in llm_cost_quarantine. Calls may arrive meanwhile; interrupted, it can simply be started
    again. flask llm-cost export keeps a copy. Many places require records to be kept for a while
    (the EU AI Act: six months); nothing is ever deleted unless this command is run.
    """
    if (age is None) == (days is None):
        raise click.UsageError("Say how old: either --older-than 90d or --days 90.")
    runtime = current_runtime()
    before = datetime.now(UTC) - timedelta(days=age or days or 0)
    with one_sentence_errors(runtime):
        ledger = require_ledger(runtime)
        planned = prune_ledger(ledger, before, batch_size=batch_size, keep_rollups=not rollups, dry_run=True)
        if dry_run:
            click.echo(f"Would delete {_told(planned)}. Nothing was changed.")
            return
        if not (
            planned.calls
            or planned.quarantined
            or planned.rollups
            or planned.budget_windows
            or planned.alerts
        ):
            click.echo(f"There is nothing from before {_moment(planned)}.")
            return
        if not yes:
            kept = (
                "What it cost per hour and model will be gone too"
                if rollups
                else "The sums per hour and model stay"
            )
            ask_whether(f"Delete {_told(planned)}? {kept}")
        click.echo(f"Deleted {_told(_delete(ledger, before, batch_size, rollups, planned.calls))}.")


def _delete(ledger: Ledger, before: datetime, batch_size: int, rollups: bool, count: int) -> PruneResult:
    with progress(count, "Deleting calls") as reached:
        return prune_ledger(
            ledger,
            before,
            batch_size=batch_size,
            keep_rollups=not rollups,
            on_progress=lambda deleted, total: reached(deleted),
        )


def _told(result: PruneResult) -> str:
    parts = [
        plural(result.calls, "call"),
        plural(result.line_items, "line item"),
        plural(result.tags, "tag"),
        *([plural(result.rollups, "sum")] if result.rollups else []),
        *([plural(result.quarantined, "quarantined event")] if result.quarantined else []),
        *([plural(result.budget_windows, "budget window")] if result.budget_windows else []),
        *([plural(result.alerts, "alert")] if result.alerts else []),
    ]
    return f"{', '.join(parts)} from before {_moment(result)}"


def _moment(result: PruneResult) -> str:
    return f"{result.before:%Y-%m-%d %H:%M} UTC"
