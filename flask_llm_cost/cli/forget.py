"""``flask llm-cost forget``: take out of the ledger what points at one person; what was spent stays."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime

import click
from flask.cli import with_appcontext

from ..ledger import Ledger
from ..maintenance import Forgetting
from ..maintenance import Forgotten
from ..maintenance import Person
from ..maintenance import Waiting
from ..maintenance import count_pointing
from ..maintenance import settle
from ..maintenance.forget import BATCH_SIZE
from ..wording import plural
from .options import dry_run_option
from .options import tag_value as read_tag
from .options import trackable as read_trackable
from .progress import progress
from .questions import ask_whether
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger
from .system_user import system_user


@click.command("forget", short_help="Take out what points at one person, keep what was spent.")
@click.option("--user", metavar="ID", help="The user's id, as in the ledger.")
@click.option(
    "--tag",
    "tags",
    type=read_tag,
    multiple=True,
    metavar="KEY=VALUE",
    help="A tag that stands for the person, such as email=ann@example.com. Can be repeated.",
)
@click.option(
    "--trackable",
    "trackables",
    type=read_trackable,
    multiple=True,
    metavar="TYPE:ID",
    help="An object that stands for the person, such as Customer:7. Can be repeated.",
)
@click.option("--reason", help="Why, for the audit trail. Do not name the person.")
@click.option("--by", "changed_by", help="Who, for the audit trail.  [default: the system's user]")
@click.option(
    "--batch-size",
    type=click.IntRange(1, 5_000),
    default=BATCH_SIZE,
    show_default=True,
    help="How many calls to change at a time.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Seconds to wait for calls that are in the journal still.",
)
@click.option(
    "--undeclared-budgets",
    is_flag=True,
    help="Also in budgets that this app does not declare, whatever their values stand for.",
)
@dry_run_option
@click.option("--yes", is_flag=True, help="Do not ask before changing anything.")
@with_appcontext
def forget(
    user: str | None,
    tags: tuple[tuple[str, str], ...],
    trackables: tuple[tuple[str, str], ...],
    reason: str | None,
    changed_by: str | None,
    batch_size: int,
    timeout: float,
    undeclared_budgets: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Take a person's user id, the tags and objects that stand for them, details, and the provider's ids of
    the answers out of their calls. The calls stay, with tokens and costs, and so does every total. Windows of
    budgets that were the person's own are added to those of calls without a value.

    On their own calls a tag whose value is the user id counts as theirs. Remove the person from your app
    first. Interrupted, it can simply be started again. Exits with 1 where something may still name them.
    """
    if not (user or tags or trackables):
        raise click.UsageError("Say whom: --user ID, --tag KEY=VALUE or --trackable TYPE:ID.")
    runtime = current_runtime()
    began = datetime.now(UTC)
    with one_sentence_errors(runtime):
        ledger = require_ledger(runtime)
        person = Person.named(user, tags, trackables)
        waiting = settle(runtime, began, timeout)
        work = Forgetting(
            person=person,
            changed_by=changed_by or system_user(),
            reason=reason,
            batch_size=batch_size,
            budgets=runtime.budgets.budgets if runtime.budgets is not None else (),
            also_undeclared=undeclared_budgets,
        )
        if dry_run or not yes:
            planned = _run(ledger, work, dry_run=True)
            click.echo(f"Would take the person out of {_told(planned)}; what they cost stays.")
            if not dry_run and not planned.is_nothing:
                ask_whether("Take this out of the ledger for good?")
        if dry_run:
            click.echo("Nothing was changed.")
            done = planned
        else:
            done = _run(ledger, work, dry_run=False)
            _tell(done)
    _warn(waiting, done)


def _run(ledger: Ledger, work: Forgetting, *, dry_run: bool) -> Forgotten:
    label = "Looking at calls" if dry_run else "Forgetting"
    with progress(count_pointing(ledger, work.person), label) as reached:
        return work.run(ledger, dry_run=dry_run, on_progress=reached)


def _told(result: Forgotten) -> str:
    calls = plural(result.calls, "call")
    told = f"{calls}, {plural(result.tags, 'tag')} and the details of {plural(result.details, 'call')}"
    if (found := result.budgets).rows:
        windows, alerts = plural(found.windows, "window"), plural(found.alerts, "alert")
        told += f", and {windows}, {alerts} and {plural(found.limits, 'limit')} of budgets"
    return told


def _tell(result: Forgotten) -> None:
    if not result.is_nothing:
        click.echo(f"The person is out of {_told(result)}; what they cost stays.")
        if result.sums:
            click.echo(f"So is {plural(result.sums, 'sum')} of calls that were pruned.")
        click.echo(f"llm_cost_meta keeps this run, {result.run_id}, without naming anybody.")
    else:
        click.echo("No call points at this person.")


def _warn(waiting: Waiting, done: Forgotten) -> None:
    if done.elsewhere:
        names = ", ".join(sorted(done.elsewhere))
        click.echo(
            f"This app does not declare these budgets, and what they keep may name the person: {names}. "
            "Run this in the app that declares them; where none does, add --undeclared-budgets.",
            err=True,
        )
    for path in waiting.aside:
        click.echo(f"Look at {path}: what was set aside there may name the person.", err=True)
    if waiting.calls:
        raise click.ClickException(
            f"{plural(waiting.calls, 'call')} of before still {'waits' if waiting.calls == 1 else 'wait'} in "
            "the journal and may name the person. Run flask llm-cost doctor, which says why, then this again."
        )
    if waiting.aside:
        raise click.ClickException("Delete what was set aside once you have looked at it.")
    if done.elsewhere:
        raise click.exceptions.Exit(1)
