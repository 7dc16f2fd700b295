"""``flask llm-cost rebuild-rollups``: make the sums whole, and equal to the calls again."""

from __future__ import annotations

from collections.abc import Iterator

import click
from flask.cli import with_appcontext

from ..ledger.coverage import PERIODS
from ..ledger.coverage import Kind
from ..maintenance import RebuildResult
from ..maintenance import rebuild_rollups as rebuild
from ..wording import plural
from .options import dry_run_option
from .progress import progress
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger

#: The bar's length: how many weeks there are turns out on the way.
_PERCENT = 100
_DID = ("Dropped", "Keeping", "Filled in", "Corrected")
_WOULD = ("Would drop", "Would keep", "Would fill in", "Would correct")


@click.command("rebuild-rollups", short_help="Complete and correct the sums per hour, day and week.")
@dry_run_option
@with_appcontext
def rebuild_rollups(dry_run: bool) -> None:
    """Keep the sums that LLM_COST_TIMEZONE and LLM_COST_ROLLUP_TAGS ask for, and correct them from the calls.

    Sums of days and weeks in another zone, or of a tag that is no longer named, are dropped; new ones get
    their past filled in; every sum that differs from its calls is corrected, from the last prune on. Needed
    after one of these two settings was changed, or after something else than this package has written to the
    ledger; doctor tells. Calls may arrive meanwhile; interrupted, it can simply be started again.
    """
    runtime = current_runtime()
    with one_sentence_errors(runtime):
        ledger = require_ledger(runtime)
        with progress(_PERCENT, "Comparing" if dry_run else "Rebuilding") as reached:
            found = rebuild(
                ledger, dry_run=dry_run, on_progress=lambda done, all_: reached(_PERCENT * done // all_)
            )
    for line in _told(found, dry_run=dry_run):
        click.echo(line)


def _told(found: RebuildResult, *, dry_run: bool) -> Iterator[str]:
    dropped, begun, filled, corrected = _WOULD if dry_run else _DID
    yield from (f"{dropped} the sums {_name(kind)}." for kind in found.dropped)
    yield from (f"{begun} the sums {_name(kind)}." for kind in found.begun)
    if found.filled:
        yield f"{filled} {plural(found.filled, 'rollup')}."
    if found.corrected:
        yield f"{corrected} {plural(found.corrected, 'rollup')}."
    if not (found.dropped or found.begun or found.filled or found.corrected):
        yield "The rollups equal the calls."
    elif dry_run:
        yield "Nothing was changed."


def _name(kind: Kind) -> str:
    of = "by" if kind.tag_key else "of"
    return f"per {PERIODS[kind.grain]} {of} {kind.of}, in days of {kind.zone.key}"
