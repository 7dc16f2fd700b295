"""``flask llm-cost budgets alerts``: what was told of budgets, and whether telling works."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import click
from flask.cli import with_appcontext

from . import words
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

if TYPE_CHECKING:
    from ..budgets.alerting.history import PastAlert
    from ..budgets.alerting.message import Message
    from ..runtime import Runtime


def _moment(value: Cell) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else ""


def _percent(value: Cell) -> str:
    return f"{value * 100:.0f} %" if isinstance(value, Decimal) else ""


_COLUMNS = (
    Column("reached_at", "Reached", _moment),
    Column("budget", "Budget"),
    Column("scope", "Value"),
    Column("threshold", "Threshold", _percent, number=True),
    Column("spent", "Spent", words.money, number=True),
    Column("limit", "Limit", words.money, number=True),
    Column("told", "Told"),
)


@click.command("alerts", short_help="Show what was told of budgets; try the channels.")
@click.option("--last", default=20, show_default=True, type=click.IntRange(1, 10_000), help="So many alerts.")
@click.option("--test", is_flag=True, help="Send an alert over every channel now, instead.")
@format_option
@with_appcontext
def alerts(last: int, test: bool, output: Format) -> None:
    """Show the thresholds that were reached last, and what became of each on every channel.

    With --test a made-up alert is sent over every channel that is configured; the exit code is 1 where one
    does not take it, or where there is none.
    """
    runtime = current_runtime()
    if test:
        _try_channels(runtime)
        return
    from ..budgets.alerting.history import past_alerts  # with the tables of budgets, which few commands need

    with one_sentence_errors(runtime):
        found = require_ledger(runtime).reading(partial(past_alerts, most=last))
    rows = [_cells(each) for each in found]
    if output == "json":
        echo_json({"alerts": [{name: exact(value) for name, value in row.items()} for row in rows]})
    elif output == "csv":
        echo_csv([column.name for column in _COLUMNS], rows)
    else:
        echo_table(Table("alerts", "Alerts", _COLUMNS, rows, "No threshold was reached yet."))


def _cells(alert: PastAlert) -> dict[str, Cell]:
    told = "; ".join(each.words for each in alert.told)
    return {column.name: getattr(alert, column.name, None) for column in _COLUMNS} | {"told": told}


def _try_channels(runtime: Runtime) -> None:
    from ..budgets.alerting.channel import NotDelivered
    from ..budgets.alerting.channels import channels_of

    channels = channels_of(runtime.config)
    if not channels:
        raise click.ClickException(
            "No channel is configured: set LLM_COST_ALERT_WEBHOOK_URL, or LLM_COST_ALERT_EMAIL_TO."
        )
    message, failed = _made_up(runtime), False
    for channel in channels:
        try:
            channel.send(message)
        except NotDelivered as error:
            failed = True
            click.echo(f"{channel.name}: not delivered ({error.reason})")
        else:
            click.echo(f"{channel.name}: delivered")
    if failed:
        raise click.exceptions.Exit(1)


def _made_up(runtime: Runtime) -> Message:
    from ..budgets.alerting.message import Message

    now = datetime.now(UTC)
    return Message(
        key=f"llm-cost-test-{uuid4().hex}",
        service=runtime.config.service or "this is a test",
        budget="test",
        scope="",
        threshold=Decimal(1),
        limit=Decimal(1),
        spent=Decimal(1),
        window_start=now,
        window_end=None,
        reached_at=now,
    )
