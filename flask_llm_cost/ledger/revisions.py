"""The reviewed Alembic revisions, put on top of the host's own.

``migrations_template/`` holds one file per schema version. Those that a host lacks are filled in, one on top
of the other and the first on the host's head; the host reviews, commits and applies them like its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import Connection

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.script import Script
    from alembic.script import ScriptDirectory

#: The attribute by which a revision of ours is known in the host's directory.
MARKER = "llm_cost_revision"
_CREATE_TABLE = r"create_table\(\s*['\"]"
_TEMPLATE_NAME = re.compile(r"(?P<number>\d{4})_(?P<slug>\w+)\.py\.template")
#: By the number of each revision a table that it creates: `flask db migrate` may have done so instead.
_CREATED = {
    1: "llm_cost_calls",
    2: "llm_cost_repricings",
    3: "llm_cost_rollup_coverage",
    4: "llm_cost_budgets",
    5: "llm_cost_invoice_imports",
}


@dataclass(frozen=True, slots=True)
class LedgerRevision:
    """A revision that makes tables of ours, in the host's directory or ready to be written there.

    :param path: where it is, or goes.
    :param down_revision: the host's head, or ``None`` where it is the host's first revision.
    """

    path: Path
    revision: str
    down_revision: str | None
    source: str

    @property
    def creates(self) -> tuple[str, ...]:
        """The tables of ours that it creates."""
        return tuple(re.findall(rf"{_CREATE_TABLE}(llm_cost_\w+)['\"]", self.source))

    def write(self) -> None:
        """Write the file. :raises FileExistsError: somebody was faster."""
        with self.path.open("x", encoding="utf-8") as file:
            file.write(self.source)


def template_directory() -> Path:
    """Where the reviewed revisions are: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations_template"


def missing_revisions(directory: Path, *, bind_key: str | None = None) -> list[LedgerRevision]:
    """Those of our revisions that the host's migrations lack, in the order in which they follow each other.

    :param directory: the host's migrations directory, such as ``app.extensions["migrate"].directory``.
    :raises ConfigurationError: Alembic is not installed, there is no such directory, its history has several
        heads, or it is not made for the bind key.
    """
    script = _script_directory(directory)
    _check_bind(directory, bind_key)
    present = set(_numbers(script))
    names = [_TEMPLATE_NAME.fullmatch(path.name) for path in sorted(template_directory().iterdir())]
    missing = [name for name in names if name and int(name["number"]) not in present]
    head = _head(script) if missing else None
    found: list[LedgerRevision] = []
    for name in missing:
        found.append(_filled(name, Path(script.versions), head, bind_key))
        head = found[-1].revision
    return found


def unapplied_revisions(
    directory: Path, connection: Connection, version_table: str = "alembic_version"
) -> list[LedgerRevision]:
    """Those in the host's migrations that the database has not noted as applied, oldest first.

    :raises ConfigurationError: as :func:`missing_revisions`, or the database notes one that is not there.
    """
    script = _script_directory(directory)
    from alembic.migration import MigrationContext
    from alembic.util import CommandError

    context = MigrationContext.configure(connection, opts={"version_table": version_table})
    try:
        heads = context.get_current_heads()
        applied = {each.revision for head in heads for each in script.iterate_revisions(head, "base")}
    except CommandError as error:
        raise ConfigurationError(
            f"The database is at a revision that is not in {directory}: {', '.join(heads)}."
        ) from error
    waiting = [known for known in script.walk_revisions() if known.revision not in applied]
    return [_found(known) for known in reversed(waiting) if any(_numbers_of(known))]


def _found(known: Script) -> LedgerRevision:
    below = known.down_revision if isinstance(known.down_revision, str) else None
    return LedgerRevision(Path(known.path), known.revision, below, _source(known))


def _head(script: ScriptDirectory) -> str | None:
    heads = script.get_heads()
    if len(heads) > 1:
        raise ConfigurationError(
            f"The migrations have {len(heads)} heads ({', '.join(sorted(heads))}): join them first with "
            "`flask db merge heads`."
        )
    return heads[0] if heads else None


def _script_directory(directory: Path) -> ScriptDirectory:
    try:
        from alembic.config import Config
        from alembic.script import ScriptDirectory
    except ImportError as error:
        raise ConfigurationError(
            "Migrations need Flask-Migrate: pip install 'flask-llm-cost[migrate]'. Without it: "
            "flask llm-cost setup --no-migrations."
        ) from error
    if not (directory / "env.py").is_file():
        raise ConfigurationError(
            f"There are no migrations in {directory}: run flask db init first. "
            "Without Flask-Migrate there is nothing to copy: flask llm-cost setup creates the tables."
        )
    settings = Config(str(directory / "alembic.ini"))
    settings.set_main_option("script_location", str(directory).replace("%", "%%"))
    return ScriptDirectory.from_config(settings)


def _check_bind(directory: Path, bind_key: str | None) -> None:
    several = "engine_name" in (directory / "env.py").read_text("utf-8")
    if bind_key is not None and not several:
        raise ConfigurationError(
            f"LLM_COST_BIND_KEY is {bind_key!r}, but {directory} migrates the default database only. Create "
            "it with `flask db init --multidb`."
        )


def _numbers(script: ScriptDirectory) -> Iterator[int]:
    for known in script.walk_revisions():
        yield from _numbers_of(known)


def _numbers_of(known: Script) -> Iterator[int]:
    number = getattr(known.module, MARKER, None)
    if number is not None:
        yield int(number)
    else:
        yield from _generated(known)


def _generated(known: Script) -> Iterator[int]:
    """Which of our revisions one that `flask db migrate` generated stands for."""
    source = _source(known)
    for number, table in _CREATED.items():
        if re.search(rf"{_CREATE_TABLE}{table}['\"]", source):
            yield number


def _source(known: Script) -> str:
    return Path(known.path).read_text("utf-8", errors="replace")


def _filled(name: re.Match[str], versions: Path, head: str | None, bind_key: str | None) -> LedgerRevision:
    revision, slug = uuid4().hex[-12:], name["slug"]  # as Alembic makes them
    template = template_directory() / name.string
    source = Template(template.read_text("utf-8")).substitute(
        message=f"llm cost: {slug.replace('_', ' ')}",
        revision=revision,
        revises=head or "",
        create_date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        revision_literal=repr(revision),
        down_revision_literal=repr(head),
        bind_literal=repr(bind_key or ""),
    )
    path = versions / f"{revision}_llm_cost_{slug}.py"
    return LedgerRevision(path=path, revision=revision, down_revision=head, source=source)
