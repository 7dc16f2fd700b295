"""``flask llm-cost migrations``: put the reviewed revisions on top of the app's own."""

from __future__ import annotations

from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from ..ledger.revisions import NextRevision
from ..ledger.revisions import next_revision
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
    place = directory or _directory()
    with one_sentence_errors(runtime):
        found = next_revision(place, bind_key=runtime.config.bind_key)
        if found is None:
            click.echo(f"{place} has all revisions of the ledger's tables.")
            return
        if dry_run:
            click.echo(f"Would write {found.path}, after {_head(found)}. Nothing was changed.")
            return
        while found is not None:
            found.write()
            click.echo(f"Wrote {found.path}, after {_head(found)}.")
            found = next_revision(place, bind_key=runtime.config.bind_key)
    click.echo("Read it, commit it, then run: flask db upgrade")


def _directory() -> Path:
    migrate = current_app.extensions.get("migrate")
    return Path(getattr(migrate, "directory", "migrations"))


def _head(revision: NextRevision) -> str:
    return f"the head {revision.down_revision}" if revision.down_revision else "nothing (the first revision)"
