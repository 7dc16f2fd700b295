"""``flask llm-cost budgets``: where budgets stand, whether a limit is reached, other limits, and mending."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import click
from flask.cli import AppGroup
from flask.cli import with_appcontext

from ..budgets import BudgetStatus
from ..errors import ConfigurationError
from ..wording import plural
from . import words
from .budget_alerts import alerts
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
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger
from .system_user import system_user

if TYPE_CHECKING:
    from ..budgets import Budget
    from ..budgets.keeper import BudgetKeeper
    from ..budgets.reconciling import Reconciled
    from ..runtime import Runtime

#: Exit code where a limit is reached, for cron.
REACHED = 1
_NONE = "This app declares no budgets. Give LLMCostTracker budgets=[Budget(...)], or set LLM_COST_BUDGETS."

budgets = AppGroup(
    "budgets",
    help="Where budgets stand, whether a limit is reached, and other limits.",
    short_help="Show, check and mend budgets.",
)
budgets.add_command(alerts)


def _percent(value: Cell) -> str:
    return f"{value * 100:.1f} %" if isinstance(value, Decimal) else ""


def _until(value: Cell) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else "never"


_STATUS = (
    Column("budget", "Budget"),
    Column("scope", "Value"),
    Column("period", "Period"),
    Column("enforcement", "Enforcement"),
    Column("limit", "Limit", words.money, number=True),
    Column("spent", "Spent", words.money, number=True),
    Column("reserved", "Reserved", words.money, number=True),
    Column("unpriced", "Without a price", words.money, number=True),
    Column("remaining", "Left", words.money, number=True),
    Column("share", "Used", _percent, number=True),
    Column("calls", "Calls", number=True),
    Column("blocked_calls", "Blocked", number=True),
    Column("excess", "Over estimate", words.money, number=True),
    Column("window_end", "Until", _until),
)
_RECONCILED = (
    Column("budget", "Budget"),
    Column("scope", "Value"),
    Column("window_start", "Window", lambda value: f"{value:%Y-%m-%d %H:%M} UTC"),
    Column("spent_before", "Spent was", words.money, number=True),
    Column("spent", "Spent is", words.money, number=True),
    Column("reserved_before", "Reserved was", words.money, number=True),
    Column("reserved", "Reserved is", words.money, number=True),
    Column("expired", "Expired", number=True),
    Column("kept", "Left as it was"),
)

#: Columns that people are shown only where they tell something.
_RARE = ("scope", "unpriced", "excess", "kept")


@budgets.command("status", short_help="Show where the budgets stand.")
@click.option(
    "--top", default=20, show_default=True, type=click.IntRange(1, 10_000), help="Values of each budget."
)
@format_option
@with_appcontext
def status(top: int, output: Format) -> None:
    """Show every budget in the window of now: its limit, what is spent and what is set aside.

    Of a budget with a limit for each value, the values that have spent the most.
    """
    runtime, keeper = _keeper(output, _STATUS)
    if keeper is not None:
        rows = [_cells(each) for each in _statuses(runtime, keeper, top)]
        _print("budgets", "Budgets", _STATUS, rows, output)


@budgets.command("check", short_help="Exit 1 when a limit is reached.")
@format_option
@with_appcontext
def check(output: Format) -> None:
    """Exit 1 when any budget has reached its limit in the window of now, and show which; for cron."""
    runtime, keeper = _keeper(output, _STATUS)
    if keeper is None:
        return
    found = _statuses(runtime, keeper, 10_000)
    reached = [each for each in found if each.period != "call" and each.is_reached]
    empty = f"No limit is reached, of {plural(len(found), 'budget')}."
    title = "Limits that are reached" if reached else ""
    _print("reached", title, _STATUS, [_cells(each) for each in reached], output, empty)
    if reached:
        raise click.exceptions.Exit(REACHED)


@budgets.command("set", short_help="Set another limit, without a new release.")
@click.argument("name")
@click.argument("limit", required=False)
@click.option("--for", "scope", default="", metavar="VALUE", help="Of one user, tenant or tag value.")
@click.option("--declared", is_flag=True, help="Let the limit that the app declares stand again.")
@with_appcontext
def set_budget(name: str, limit: str | None, scope: str, declared: bool) -> None:
    """Set the limit of budget NAME to LIMIT in USD, at once and in every process, until it is set again.

    It goes before what the app declares. Of a budget with a limit for each value, --for names whose.
    """
    from ..budgets.declaration import amount
    from ..budgets.limits import set_limit

    runtime = current_runtime()
    keeper = runtime.budgets
    budget = _named(keeper, name)
    if declared == (limit is not None):
        raise click.UsageError("Give either a LIMIT such as 250, or --declared.")
    if scope and budget.per is None:
        raise click.UsageError(f"Budget {name!r} has one limit for all its calls: leave --for out.")
    if budget.per is not None and not scope:
        raise click.UsageError(
            f"Budget {name!r} has a limit for each {budget.per}: name one with --for VALUE."
        )
    with one_sentence_errors(runtime):
        try:
            wanted = None if limit is None else amount(name, "limit", limit)
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from error
        require_ledger(runtime).transaction(
            partial(set_limit, budget=budget.name, scope=scope, limit=wanted, by=system_user())
        )
    whose = f" of {scope}" if scope else ""
    told = "the declared one again" if wanted is None else words.money(wanted)
    click.echo(f"The limit of budget {name}{whose} is {told}.")


@budgets.command("reconcile", short_help="Hold the budgets against the calls, and mend them.")
@dry_run_option
@format_option
@with_appcontext
def reconcile(dry_run: bool, output: Format) -> None:
    """Make every open window equal to its calls and its reservations, and take back what has expired.

    Needed after calls were written by a version of the app that did not know the budget. Calls may arrive
    meanwhile. With --dry-run the exit code is 1 where something would change.
    """
    runtime, keeper = _keeper(output, _RECONCILED)
    if keeper is None:
        return
    found = reconciled(runtime, dry_run=dry_run)
    changed = [each for each in found if each.is_changed or each.expired or each.kept]
    empty = f"{plural(len(found), 'window')} looked at: every one equals its calls."
    title = "" if not changed else "Windows that would change" if dry_run else "Windows that were mended"
    _print("windows", title, _RECONCILED, [_cells_of(each) for each in changed], output, empty)
    if dry_run and any(each.is_changed for each in found):
        raise click.exceptions.Exit(1)


def reconciled(runtime: Runtime, *, dry_run: bool = False) -> Sequence[Reconciled]:
    """The windows of an app's budgets, mended; nothing where it has none."""
    from ..budgets.reconciling import reconcile as mend

    if runtime.budgets is None:
        return ()
    with one_sentence_errors(runtime):
        runtime.flush_quietly()
        return mend(require_ledger(runtime), runtime.budgets.budgets, dry_run=dry_run)


def _keeper(output: Format, columns: Sequence[Column]) -> tuple[Runtime, BudgetKeeper | None]:
    runtime = current_runtime()
    if runtime.budgets is None:
        _print("budgets", "", columns, [], output, _NONE)
    return runtime, runtime.budgets


def _named(keeper: BudgetKeeper | None, name: str) -> Budget:
    known = keeper.budgets if keeper is not None else ()
    for budget in known:
        if budget.name == name:
            return budget
    names = ", ".join(budget.name for budget in known)
    raise click.UsageError(f"There is no budget {name!r}. " + (f"There are: {names}." if names else _NONE))


def _statuses(runtime: Runtime, keeper: BudgetKeeper, most: int) -> list[BudgetStatus]:
    with one_sentence_errors(runtime):
        runtime.flush_quietly()
        return keeper.statuses(datetime.now(UTC), most)


def _cells(status: BudgetStatus) -> dict[str, Cell]:
    return {column.name: getattr(status, column.name) for column in _STATUS}


def _cells_of(window: Reconciled) -> dict[str, Cell]:
    return {column.name: getattr(window, column.name) for column in _RECONCILED}


def _print(
    name: str,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[dict[str, Cell]],
    output: Format,
    empty: str = "none",
) -> None:
    if output == "json":
        echo_json({name: [{key: exact(value) for key, value in row.items()} for row in rows]})
    elif output == "csv":
        echo_csv([column.name for column in columns], rows)
    else:
        shown = tuple(column for column in columns if _tells(column, rows))
        echo_table(Table(name, title, shown, rows, empty))


def _tells(column: Column, rows: Sequence[dict[str, Cell]]) -> bool:
    return column.name not in _RARE or any(row[column.name] for row in rows)
