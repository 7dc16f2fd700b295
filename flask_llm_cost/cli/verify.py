"""``flask llm-cost verify-capture``: a made-up call goes the whole way and is taken out again."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from flask.cli import with_appcontext

from ..doctor import Step
from ..doctor import verify_capture as verify
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

_COLUMNS = (
    Column("status", "Status"),
    Column("subject", "Way"),
    Column("step", "Step"),
    Column("evidence", "What was seen"),
)


@click.command("verify-capture", short_help="Prove that a call arrives in the ledger.")
@format_option
@with_appcontext
def verify_capture(output: Format) -> None:
    """Send a made-up call through each installed SDK and see it recorded, priced and stored.

    First its version is told, whether it keeps the contract of capture, and whether it is tapped. Then the
    SDK's own client calls, over a transport that answers in the provider's place: nothing leaves the machine,
    nothing is charged. The row bears the tag feature=llm_cost_verify and is removed again, together with its
    part of the rollups. The ways of http_transport() and requests_adapter() are proved as well.
    """
    runtime = current_runtime()
    with one_sentence_errors(runtime):
        steps = watched(verify(runtime), "Calling")
    passed = all(step.status != "error" for step in steps)
    rows = [_row(step) for step in steps]
    if output == "json":
        echo_json({"ok": passed, "steps": rows})
    elif output == "csv":
        echo_csv(("subject", "step", "status", "evidence", "fix"), rows)
    else:
        _echo_text(steps, rows)
    if not passed:
        sys.exit(1)


def _row(step: Step) -> dict[str, str]:
    return {
        "subject": step.subject,
        "step": step.name,
        "status": step.status,
        "evidence": step.evidence,
        "fix": step.fix,
    }


def _echo_text(steps: Sequence[Step], rows: Sequence[dict[str, str]]) -> None:
    echo_table(Table("steps", "", _COLUMNS, rows, status="status"))
    click.echo()
    failed = [step for step in steps if step.status == "error"]
    for step in failed:
        click.echo(plain(f"{step.subject}, {step.name}: {step.fix}"))
    proved = list(
        dict.fromkeys(step.subject for step in steps if step.name == "removed" and step.status == "ok")
    )
    if not failed and proved:
        click.echo(f"Calls arrive by way of {', '.join(proved)}.")
