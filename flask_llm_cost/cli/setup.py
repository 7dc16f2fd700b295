"""``flask llm-cost setup``: from an app with a tracker to one whose calls are stored, and again at will."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from flask import Flask
from flask import current_app
from flask.cli import with_appcontext

from ..doctor import Check
from ..doctor import examine
from ..doctor import healthy
from ..runtime import Runtime
from ..runtime import runtime_of
from ..wording import plural
from .options import dry_run_option
from .output import plain
from .progress import watched
from .setup_prices import named_in_config
from .setup_prices import prices_step
from .setup_step import Step
from .setup_tables import table_steps
from .state import one_sentence_errors

_WITH_FLASK_LOGIN = "authorize=lambda: current_user.is_authenticated and current_user.is_admin"
_BY_HAND = "authorize=may_see_costs"
_INDENT = "    "


@click.command("setup", short_help="Create the tables and say what is missing.")
@click.option(
    "-d",
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="The migrations directory.  [default: that of Flask-Migrate, else migrations]",
)
@click.option(
    "--upgrade", is_flag=True, help="Apply the migrations too, as flask db upgrade does: all that wait."
)
@click.option(
    "--no-migrations", is_flag=True, help="Create the tables directly, although the app has migrations."
)
@click.option(
    "--prices",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Begin a prices file of your own: .yml, .yaml or .json.",
)
@dry_run_option
@with_appcontext
def setup(
    directory: Path | None, upgrade: bool, no_migrations: bool, prices: Path | None, dry_run: bool
) -> None:
    """Create the ledger's tables, and say what the app still needs.

    With Flask-Migrate the reviewed revisions are copied into its migrations; otherwise the tables are
    created. Whatever is there already stays as it is, so it can be run again at any time, also after an
    upgrade of this package. It ends with what flask llm-cost doctor finds.
    """
    if no_migrations and (upgrade or directory):
        raise click.UsageError("--no-migrations goes with neither --upgrade nor --directory.")
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    runtime = runtime_of(app)
    if runtime is None:
        _echo_beginning(app)
        sys.exit(1)
    with one_sentence_errors(runtime):
        steps = [*_prices(app, prices), *table_steps(runtime, directory, upgrade, not no_migrations)]
    for step in steps:
        with one_sentence_errors(runtime):
            click.echo(plain(step.tell(dry_run)))
    if dry_run:
        click.echo("Nothing was changed.")
        return
    left = [command for step in steps for command in step.left]
    checks = watched(_verdict(runtime, app, waits=bool(left)), "Checking")
    _echo_checks(checks)
    _echo_lines(app, runtime, prices)
    _echo_next(left)
    if not healthy(checks):
        sys.exit(1)


def _prices(app: Flask, path: Path | None) -> Iterator[Step]:
    if path is not None:
        yield prices_step(path)


def _echo_beginning(app: Flask) -> None:
    """What an app without a tracker needs first."""
    click.echo("This app does not track its calls yet. Where it is created, add:")
    click.echo()
    if "sqlalchemy" not in app.extensions:
        _echo_code("from flask_sqlalchemy import SQLAlchemy", "", "db = SQLAlchemy()", "db.init_app(app)", "")
    _echo_code(*_tracker_lines(app))
    click.echo()
    click.echo("authorize says who may see the dashboard, /llm-costs/: those for whom it returns True.")
    click.echo("Then run it again: flask llm-cost setup. Nothing was changed.")


def _tracker_lines(app: Flask) -> tuple[str, ...]:
    return (
        "from flask_llm_cost import LLMCostTracker",
        "",
        "tracker = LLMCostTracker()",
        f"tracker.init_app(app, {_authorize(app)})",
    )


def _authorize(app: Flask) -> str:
    return _WITH_FLASK_LOGIN if hasattr(app, "login_manager") else _BY_HAND


def _echo_code(*lines: str) -> None:
    for line in lines:
        click.echo(f"{_INDENT}{line}".rstrip())


def _verdict(runtime: Runtime, app: Flask, *, waits: bool) -> Iterator[Check]:
    """What doctor finds; without the tables that are missing until the migrations are applied."""
    for check in examine(runtime, debug=app.debug):
        if not (waits and check.name == "schema"):
            yield check


def _echo_checks(checks: list[Check]) -> None:
    click.echo()
    errors = sum(check.status == "error" for check in checks)
    warnings = sum(check.status == "warn" for check in checks)
    told = f"{plural(len(checks), 'check')}, {plural(errors, 'error')}, {plural(warnings, 'warning')}."
    click.secho(f"Doctor: {told}", bold=True)
    for check in checks:
        if check.status != "ok":
            click.echo(plain(f"  {check.status}: {check.name}: {check.evidence}"))
            click.echo(plain(f"{_INDENT}{check.fix}"))


def _echo_lines(app: Flask, runtime: Runtime, prices: Path | None) -> None:
    """What of our lines the app has, and what it lacks."""
    click.echo()
    click.secho("In your app", bold=True)
    click.echo("  The tracker is there.")
    if runtime.config.dashboard and runtime.authorize is None:
        click.echo("  Say in its line who may see the dashboard, which is shut outside of debugging:")
        _echo_code(f"tracker.init_app(app, {_authorize(app)})")
    elif runtime.config.dashboard:
        click.echo(f"  The dashboard is at {runtime.config.url_prefix}/, for whom authorize lets in.")
    if prices is not None:
        value = named_in_config(app.root_path, prices)
        if runtime.config.prices_file is None:
            click.echo("  Name the prices file, before the tracker's init_app:")
            _echo_code(f'app.config["LLM_COST_PRICES_FILE"] = "{value}"')
        elif Path(app.root_path, runtime.config.prices_file).resolve() != prices.resolve():
            click.echo(f"  LLM_COST_PRICES_FILE names another file: {runtime.config.prices_file}")


def _echo_next(commands: list[str]) -> None:
    click.echo()
    click.secho("Next", bold=True)
    for command in commands or ["flask llm-cost verify-capture"]:
        click.echo(f"  {command}")
    if commands:
        click.echo("  flask llm-cost doctor")
