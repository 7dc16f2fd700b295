"""``flask llm-cost doctor``: is tracking set up, and does what is stored add up."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click
from flask import current_app
from flask.cli import ScriptInfo

from ..doctor import Check
from ..doctor import cannot_start
from ..doctor import examine
from ..doctor import healthy
from ..doctor import not_tracked
from ..errors import LLMCostError
from ..runtime import runtime_of
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

_COLUMNS = (Column("status", "Status"), Column("check", "Check"), Column("evidence", "What was seen"))


@click.command("doctor", short_help="Check set-up, database, prices and sums.")
@click.option(
    "--deep", is_flag=True, help="Add up all calls and compare all rollups; reads the whole ledger."
)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@format_option
@click.pass_context
def doctor(context: click.Context, deep: bool, strict: bool, output: Format) -> None:
    """Check configuration, SDKs, database, prices, access and whether the numbers add up.

    Each check says what was seen and, where something is wrong, the command that mends it. Warnings are
    about numbers that are too low or too old; only errors make the exit code 1, unless --strict is given.
    """
    checks = watched(_checks(context, deep), "Checking")
    ok = healthy(checks, strict=strict)
    if output == "json":
        counts = {"errors": _count(checks, "error"), "warnings": _count(checks, "warn")}
        echo_json({"ok": ok, **counts, "checks": [_row(check) for check in checks]})
    elif output == "csv":
        echo_csv(("check", "status", "evidence", "fix"), [_row(check) for check in checks])
    else:
        _echo_text(checks)
    if not ok:
        sys.exit(1)


def _checks(context: click.Context, deep: bool) -> Iterator[Check]:
    """What is found; of an app that cannot start, or tracks nothing, that this is so."""
    try:
        app = current_app if current_app else context.ensure_object(ScriptInfo).load_app()
    except LLMCostError as problem:
        yield cannot_start(problem)
        return
    with app.app_context():
        runtime = runtime_of(app)
        if runtime is None:
            yield not_tracked()
        else:
            yield from examine(runtime, deep=deep, debug=app.debug)


def _count(checks: list[Check], status: str) -> int:
    return sum(check.status == status for check in checks)


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
    errors, warnings = _count(checks, "error"), _count(checks, "warn")
    click.echo()
    click.echo(f"{plural(len(checks), 'check')}: {plural(errors, 'error')}, {plural(warnings, 'warning')}.")
