"""The ``llm-cost`` group. The extension adds it to ``app.cli``, so only apps that track calls show it."""

from __future__ import annotations

import click
from flask.cli import AppGroup
from werkzeug.utils import import_string

#: Each command's name, and where it is defined in this room.
_COMMANDS = {
    "backfill": "repricing:backfill",
    "budgets": "budgets:budgets",
    "doctor": "doctor:doctor",
    "export": "export:export",
    "flush": "flush:flush",
    "forget": "forget:forget",
    "migrations": "migrations:migrations",
    "prices": "prices:prices",
    "prune": "prune:prune",
    "rebuild-rollups": "rollups:rebuild_rollups",
    "reconcile": "reconcile:reconcile",
    "report": "report:report",
    "reprice": "repricing:reprice",
    "verify-capture": "verify:verify_capture",
}


class _LateGroup(AppGroup):
    """Imports a command's file when the command is asked for: an app that serves requests needs none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        command = import_string(f"{__package__}.{place}")
        assert isinstance(command, click.Command), "the table names commands only"  # noqa: S101
        return command


llm_cost = _LateGroup(
    "llm-cost",
    help="What this app spends on LLM APIs, and on what.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
