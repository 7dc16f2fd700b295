"""``flask llm-cost rebuild-rollups``: make the sums equal to the calls again."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..maintenance import rebuild_rollups as rebuild
from ..wording import plural
from .options import dry_run_option
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger


@click.command("rebuild-rollups", short_help="Correct the sums per hour from the calls.")
@dry_run_option
@with_appcontext
def rebuild_rollups(dry_run: bool) -> None:
    """Correct every sum per hour, provider and model that differs from its calls, from the last prune on.

    Needed only after something else than this package has written to the ledger; doctor --deep tells. Calls
    may arrive meanwhile. Run one rebuild at a time.
    """
    runtime = current_runtime()
    with one_sentence_errors(runtime):
        found = rebuild(require_ledger(runtime), dry_run=dry_run)
    if not found:
        click.echo("The rollups equal the calls.")
    elif dry_run:
        click.echo(f"Would correct {plural(len(found), 'rollup')}. Nothing was changed.")
    else:
        click.echo(f"Corrected {plural(len(found), 'rollup')}.")
