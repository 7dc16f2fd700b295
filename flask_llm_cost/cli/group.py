"""The ``llm-cost`` group.

An entry point of the package gives it to every ``flask``, so that ``setup`` and ``doctor`` answer although
an app tracks no calls yet, or cannot start. The extension adds it to ``app.cli`` too, which is what the
command runner of an app knows.
"""

from __future__ import annotations

import click
from flask.cli import AppGroup
from werkzeug.utils import import_string

from ..errors import LLMCostError

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
    "setup": "setup:setup",
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

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. An app that cannot start with its settings is one sentence, not a traceback."""
        try:
            return super().invoke(ctx)
        except LLMCostError as error:
            raise click.ClickException(str(error)) from error


llm_cost = _LateGroup(
    "llm-cost",
    help="What this app spends on LLM APIs, and on what.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
