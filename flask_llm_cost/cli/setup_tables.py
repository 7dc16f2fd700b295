"""The tables in ``setup``: by the app's migrations, or created at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
from flask import current_app
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ..doctor import cure
from ..doctor import place
from ..doctor import problems
from ..ledger import Ledger
from ..ledger import SchemaReport
from ..ledger import missing_structure
from ..ledger.revisions import LedgerRevision
from ..ledger.revisions import missing_revisions
from ..ledger.revisions import unapplied_revisions
from ..runtime import Runtime
from ..wording import plural
from .migrations import migrations_directory
from .migrations import write_revision
from .setup_step import Step

_NOTHING_CHANGED = "Nothing was changed."
_WITHOUT = "flask llm-cost setup --no-migrations"
_FIND_DIFFERENCE = "Let Alembic find the difference: flask db migrate && flask db upgrade."


def table_steps(runtime: Runtime, directory: Path | None, upgrade: bool, migrate: bool) -> list[Step]:
    """What makes the tables those that this version needs. Nothing is changed yet.

    :param directory: of the migrations, where it was named.
    :param upgrade: whether the migrations are to be applied too.
    :param migrate: whether migrations are to be used where the app has them.
    :raises click.ClickException: the database is away, or in a state that needs a decision.
    :raises ConfigurationError: the migrations do not take our revisions.
    """
    ledger = runtime.ledger
    if ledger is None:
        return [Step(f"No tables are needed: {runtime.ingest.reason}.")]
    report = ledger.check_schema()
    if not report.reachable:
        raise _refused(ledger, f"{problems(report)} {cure(report)}")
    if _is_in_memory(ledger.engine):
        told = "is in memory: its tables are gone with the process. Let the app begin with db.create_all()."
        return [Step(f"{place(ledger.engine)} {told}")]
    answers = Step(f"{place(ledger.engine)} answers.")
    found = _migrations(directory) if migrate else None
    if found is not None:
        missing = missing_revisions(found, bind_key=runtime.config.bind_key)
        with ledger.engine.connect() as connection:
            waiting = unapplied_revisions(found, connection, _version_table())
        return [answers, *_migrated(ledger, report, found, (waiting, missing), upgrade)]
    if migrate and report.is_migrated:
        raise _refused(
            ledger,
            f"It has Alembic's table alembic_version, but there are no migrations in "
            f"{migrations_directory().resolve()}. Run it where flask db is run, name them with --directory, "
            f"or create the tables beside them: {_WITHOUT}",
        )
    if upgrade:
        raise click.UsageError("--upgrade applies migrations, and this app has none.")
    return [answers, _created(ledger, report)]


def _refused(ledger: Ledger, why: str) -> click.ClickException:
    return click.ClickException(f"{place(ledger.engine)}: {why} {_NOTHING_CHANGED}")


def _is_in_memory(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite" and engine.url.database in (None, "", ":memory:")


def _migrations(directory: Path | None) -> Path | None:
    if directory is not None:
        return directory
    found = migrations_directory()
    if (found / "env.py").is_file():
        return found
    if "migrate" in current_app.extensions:
        raise click.ClickException(
            f"This app uses Flask-Migrate, but there are no migrations in {found.resolve()}. Begin them with "
            f"flask db init, run it where flask db is run, or create the tables without: {_WITHOUT}"
        )
    return None


def _version_table() -> str:
    """Where Alembic notes what is applied: ``Migrate(app, db, version_table=...)`` may say so."""
    migrate = current_app.extensions.get("migrate")
    return str(getattr(migrate, "configure_args", {}).get("version_table", "alembic_version"))


def _migrated(
    ledger: Ledger,
    report: SchemaReport,
    directory: Path,
    outstanding: tuple[Sequence[LedgerRevision], Sequence[LedgerRevision]],
    upgrade: bool,
) -> list[Step]:
    """The revisions that are missing, and what is left to do with them.

    :param outstanding: those that are there and not applied, and those that are missing.
    """
    waiting, missing = outstanding
    revisions = [*waiting, *missing]
    if not revisions:
        return [_all_applied(ledger, report, directory)]
    created = [table for revision in revisions for table in revision.creates]
    are_there = [table for table in created if table not in report.missing_tables]
    if are_there and not report.ok:
        raise _refused(ledger, _half_made(report, are_there))
    # What db.create_all() has made must not be created again: the revisions are noted as applied.
    before = revisions[0].down_revision if are_there else "head"
    actions = [("upgrade", before)] if before else []
    if are_there:
        actions.append(("stamp", "head"))
    steps = [_copied(directory, missing)]
    if upgrade:
        return [*steps, *(_applied(directory, *action) for action in actions)]
    left = [
        f"flask db {action}{'' if to == 'head' and action == 'upgrade' else f' {to}'}"
        for action, to in actions
    ]
    return [
        *steps,
        Step("The migrations are not applied yet.", "leave it to you to apply them", left=tuple(left)),
    ]


def _copied(directory: Path, missing: Sequence[LedgerRevision]) -> Step:
    if not missing:
        return Step(f"{directory} has all revisions of the ledger's tables.")
    what = f"{plural(len(missing), 'revision')} into {missing[0].path.parent}: "
    what += ", ".join(revision.path.name for revision in missing)

    def copy() -> None:
        for revision in missing:
            write_revision(revision)

    return Step(f"Copied {what}. Read and commit them.", f"copy {what}", copy)


def _applied(directory: Path, action: str, to: str) -> Step:
    command = f"flask db {action} {to}"
    if "migrate" not in current_app.extensions:
        raise click.ClickException(
            "--upgrade needs Flask-Migrate in the app: Migrate(app, db). Without it apply the migrations as "
            f"you apply your own. {_NOTHING_CHANGED}"
        )
    return Step(f"Applied: {command}", f"run {command}", partial(_alembic, directory, action, to))


def _alembic(directory: Path, action: str, to: str) -> None:
    import flask_migrate

    try:
        getattr(flask_migrate, action)(directory=str(directory), revision=to)
    except SQLAlchemyError as error:
        raise click.ClickException(
            f"flask db {action} {to} failed: {_ddl_trouble(error)}. The revisions are in {directory}; when "
            "that is mended, run flask llm-cost setup --upgrade again."
        ) from error


def _all_applied(ledger: Ledger, report: SchemaReport, directory: Path) -> Step:
    if report.ok:
        return Step(f"{directory} has all revisions of the ledger's tables, and they are applied.")
    raise _refused(
        ledger, f"All revisions in {directory} are applied, and yet: {problems(report)} {_FIND_DIFFERENCE}"
    )


def _half_made(report: SchemaReport, are_there: Sequence[str]) -> str:
    told = f"It has {', '.join(are_there)}, which no applied revision has made. {problems(report)} "
    if len(report.problems) == len(report.missing_tables):
        return f"{told}Create the rest with {_WITHOUT}, then run flask llm-cost setup again."
    return f"{told}{_FIND_DIFFERENCE}"


def _created(ledger: Ledger, report: SchemaReport) -> Step:
    if report.ok:
        return _indexed(ledger)
    if len(report.problems) > len(report.missing_tables):
        raise _refused(ledger, f"Its tables are of another version. {problems(report)} {cure(report)}")
    what = f"{plural(len(report.missing_tables), 'table')}: {', '.join(report.missing_tables)}"
    return Step(f"Created {what}.", f"create {what}", partial(create_missing, ledger))


def _indexed(ledger: Ledger) -> Step:
    """Indexes that a newer version added to tables that are there."""
    missing = missing_structure(ledger.engine).indexes
    if not missing:
        return Step("The tables are there, as this version expects.")
    what = f"{plural(len(missing), 'index', 'indexes')}: {', '.join(missing)}"
    return Step(f"Created {what}.", f"create {what}", partial(create_missing, ledger))


def create_missing(ledger: Ledger) -> None:
    """Create what is missing. Of several processes at once, one that is too late goes on after the others."""
    before = None
    while before != (missing := _missing(ledger)) and any(missing):
        before = missing
        try:
            ledger.create_tables()
        except SQLAlchemyError as error:
            failure = error
    if any(missing):
        raise click.ClickException(
            f"{place(ledger.engine)} did not take the tables: {_ddl_trouble(failure)}. Run it as a database "
            "user who may create tables."
        ) from failure


def _missing(ledger: Ledger) -> tuple[tuple[str, ...], ...]:
    return ledger.check_schema().missing_tables, missing_structure(ledger.engine).indexes


def _ddl_trouble(error: SQLAlchemyError) -> str:
    """The driver's own words: statements that create tables hold no values of anybody's."""
    return str(getattr(error, "orig", None) or type(error).__name__).partition("\n")[0]
