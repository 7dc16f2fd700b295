"""``flask llm-cost reconcile diff``: the ledger beside the provider's bill."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from decimal import InvalidOperation

import click
from flask.cli import with_appcontext

from ..errors import ConfigurationError
from ..reconciliation import THRESHOLD
from ..reconciliation import TOLERANCE
from ..reconciliation import Thresholds
from ..reconciliation import compare
from .options import format_option
from .output import Format
from .reconcile_answer import echo_comparison
from .reconcile_period import first_day
from .reconcile_period import last_day
from .reconcile_period import period_of
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger

#: Exit code where a difference is over the thresholds, or nothing was compared of what should be: for cron.
DIFFERS = 1


def _number(text: str) -> Decimal:
    try:
        found = Decimal(text.strip().removesuffix("%"))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found < 0:
        raise click.BadParameter(f"{text!r} is not a number from 0 on, such as 5 or 0.50.")
    return found


@click.command("diff", short_help="Hold the ledger against what was imported.")
@first_day
@last_day
@click.option(
    "--provider", "providers", multiple=True, metavar="NAME", help="Only this provider. Can be repeated."
)
@click.option(
    "--by",
    multiple=True,
    metavar="DIMENSION",
    help="Split by day, model, project (or workspace, account), key, line_item or mode; provider and "
    "currency always are. Can be repeated.",
)
@click.option(
    "--threshold",
    type=_number,
    metavar="PERCENT",
    help=f"Drift is a difference of more per cent of the bill.  [default: {THRESHOLD}]",
)
@click.option(
    "--threshold-amount",
    type=_number,
    metavar="AMOUNT",
    help="And of more than this, in the currency's unit.  [default: 0]",
)
@click.option(
    "--tolerance",
    type=_number,
    metavar="AMOUNT",
    help=f"What is taken for rounding.  [default: {TOLERANCE}, more where the bill has fewer digits]",
)
@click.option("--unmatched", is_flag=True, help="Show also what one side has and the other has not.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Rows of --unmatched, the largest first.",
)
@format_option
@with_appcontext
def diff(
    first: date | None,
    last: date | None,
    providers: Sequence[str],
    by: Sequence[str],
    threshold: Decimal | None,
    threshold_amount: Decimal | None,
    tolerance: Decimal | None,
    unmatched: bool,
    limit: int,
    output: Format,
) -> None:
    """Compare what calls have cost with what providers say they billed, of the days that are imported whole.

    Exits 1 where a total or a row differs by more than the thresholds, which must all be passed, and where
    nothing could be compared, of all or of a --provider. Nothing is fetched and nothing is changed; import
    first. Quantities are compared too, without a verdict.
    """
    runtime = current_runtime()
    wanted = Thresholds(
        THRESHOLD if threshold is None else threshold,
        Decimal(0) if threshold_amount is None else threshold_amount,
        TOLERANCE if tolerance is None else tolerance,
    )
    with one_sentence_errors(runtime):
        runtime.flush_quietly()
        ledger = require_ledger(runtime)
        try:
            found = compare(
                ledger,
                period_of(first, last),
                by=by,
                providers=providers,
                thresholds=wanted,
                unmatched=limit,
            )
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from error
    echo_comparison(found, output, unmatched=unmatched)
    # What is missing is among the remarks.
    if found.drifts or not found.days or not found.days.keys() >= {*providers}:
        raise click.exceptions.Exit(DIFFERS)
