"""``flask llm-cost doctor``: is tracking set up, and does what is stored add up."""

from __future__ import annotations

import sys

import click
from flask import current_app
from flask.cli import with_appcontext

from ..doctor import Check
from ..doctor import examine
from ..doctor import healthy
from ..wording import plural
from .options import format_option
from .output import Column
from .output import Format
from .output import Table
from .output import echo_csv
from .output import echo_json
from .output import echo_table
from .output import plain
from .progress import watched
from .state import current_runtime
from .state import one_sentence_errors

_COLUMNS = (Column("status", "Status"), Column("check", "Check"), Column("evidence", "What was seen"))


@click.command("doctor", short_help="Check set-up, database, prices and sums.")
@click.option(
    "--deep", is_flag=True, help="Add up all calls and compare all rollups; reads the whole ledger."
)
@format_option
@with_appcontext
def doctor(deep: bool, output: Format) -> None:
    """Check configuration, SDKs, database, prices, access and whether the numbers add up.

    Each check says what was seen and, where something is wrong, the command that mends it. Warnings are
    about numbers that are too low or too old; only errors make the exit code 1.
    """
    runtime = current_runtime()
    with one_sentence_errors(runtime):
        checks = watched(examine(runtime, deep=deep, debug=current_app.debug), "Checking")
    if output == "json":
        echo_json({"ok": healthy(checks), "checks": [_row(check) for check in checks]})
    elif output == "csv":
        echo_csv(("check", "status", "evidence", "fix"), [_row(check) for check in checks])
    else:
        _echo_text(checks)
    if not healthy(checks):
        sys.exit(1)


def _row(check: Check) -> dict[str, str]:
    return {"check": check.name, "status": check.status, "evidence": check.evidence, "fix": check.fix}


def _echo_text(checks: list[Check]) -> None:
    echo_table(Table("checks", "", _COLUMNS, [_row(check) for check in checks], status="status"))
    wrong = [check for check in checks if check.fix]
    if wrong:
        click.echo()
        click.secho("What to do", bold=True)
        for check in wrong:
            click.echo(plain(f"  {check.name}: {check.fix}"))
    errors = sum(check.status == "error" for check in checks)
    warnings = sum(check.status == "warn" for check in checks)
    click.echo()
    click.echo(f"{plural(len(checks), 'check')}: {plural(errors, 'error')}, {plural(warnings, 'warning')}.")
