"""``flask llm-cost migrations``: put the reviewed revisions on top of the app's own."""

from __future__ import annotations

from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from ..ledger.revisions import LedgerRevision
from ..ledger.revisions import missing_revisions
from .options import dry_run_option
from .state import current_runtime
from .state import one_sentence_errors


@click.command("migrations", short_help="Copy reviewed revisions for flask db upgrade.")
@click.option(
    "-d",
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="The migrations directory.  [default: that of Flask-Migrate, else migrations]",
)
@dry_run_option
@with_appcontext
def migrations(directory: Path | None, dry_run: bool) -> None:
    """Copy the revisions of the ledger's tables that the app lacks into its migrations/versions.

    They were written and reviewed by hand, and continue from the app's head. Read and commit them like your
    own, then run flask db upgrade. Not needed where flask db migrate or db.create_all() made the tables.
    """
    runtime = current_runtime()
    place = directory or migrations_directory()
    with one_sentence_errors(runtime):
        missing = missing_revisions(place, bind_key=runtime.config.bind_key)
    if not missing:
        click.echo(f"{place} has all revisions of the ledger's tables.")
        return
    for found in missing:
        if dry_run:
            click.echo(f"Would write {found.path}, after {_head(found)}.")
        else:
            write_revision(found)
            click.echo(f"Wrote {found.path}, after {_head(found)}.")
    click.echo("Nothing was changed." if dry_run else "Read it, commit it, then run: flask db upgrade")


def migrations_directory() -> Path:
    """Flask-Migrate's directory, as ``flask db`` finds it: from where the command is run."""
    migrate = current_app.extensions.get("migrate")
    return Path(getattr(migrate, "directory", "migrations"))


def write_revision(revision: LedgerRevision) -> None:
    """Put a revision in its place.

    :raises click.ClickException: the directory cannot be written to.
    """
    try:
        revision.write()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise click.ClickException(
            f"{revision.path} cannot be written: {reason}. Run it as a user who may write there."
        ) from error


def _head(revision: LedgerRevision) -> str:
    return f"the head {revision.down_revision}" if revision.down_revision else "nothing (the first revision)"
