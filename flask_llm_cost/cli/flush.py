"""``flask llm-cost flush``: write what waits, for deploys and for machines that go."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..wording import plural
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger


@click.command("flush", short_help="Write the calls that wait in the journal.")
@click.option(
    "--timeout", type=click.FloatRange(0), default=60.0, show_default=True, help="Seconds to try for."
)
@with_appcontext
def flush(timeout: float) -> None:
    """Write the calls that processes which are gone have left in this machine's journal.

    Running processes write theirs themselves. Exits with 1 where some still wait afterwards.
    """
    runtime = current_runtime()
    with one_sentence_errors(runtime):
        require_ledger(runtime)
        before = runtime.counters["written"]
        clean = runtime.flush(timeout)
    click.echo(f"{plural(runtime.counters['written'] - before, 'call')} written.")
    if not clean:
        raise click.ClickException("Some calls still wait. Run flask llm-cost doctor, which says why.")
