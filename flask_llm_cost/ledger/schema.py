"""Does the live database have the tables this version writes to, and what mends it if not."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column
from sqlalchemy import Connection
from sqlalchemy import Engine
from sqlalchemy import MetaData
from sqlalchemy import String
from sqlalchemy import Table
from sqlalchemy import column as plain_column
from sqlalchemy import func
from sqlalchemy import inspect
from sqlalchemy import select
from sqlalchemy import table as plain_table
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import SQLAlchemyError

from .attach import copy_with_stock_types
from .failures import reason_of
from .meta import SCHEMA_VERSION_KEY
from .meta import read_meta
from .models import SCHEMA_VERSION
from .models import Base
from .structure import missing_structure
from .types import BINARY_COLLATION

_ALEMBIC = "alembic_version"
_COLUMNS = plain_table(
    "columns",
    *(plain_column(name) for name in ("table_schema", "table_name", "column_name", "collation_name")),
    schema="information_schema",
)

_CREATE = "flask llm-cost setup, or db.create_all() in an app context"
_MIGRATE = "flask db migrate && flask db upgrade"
_BEGIN_MIGRATIONS = f"flask db init && {_MIGRATE}, with Flask-Migrate"
_UPGRADE = "flask llm-cost migrations && flask db upgrade"
_UPGRADE_PACKAGE = "pip install --upgrade flask-llm-cost"


@dataclass(frozen=True, slots=True)
class SchemaReport:
    """What :meth:`Ledger.check_schema` found.

    :param problems: one sentence each; empty where all is well.
    :param fix: the command that mends it, or ``None``.
    :param reachable: whether the database answered at all.
    :param is_migrated: whether Alembic keeps a note of its revisions there.
    """

    missing_tables: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    fix: str | None = None
    reachable: bool = True
    is_migrated: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether not one of the tables is there, as in a database that has just been made."""
        return len(self.missing_tables) == len(Base.metadata.tables)

    @property
    def ok(self) -> bool:
        """Whether calls can be written and read."""
        return not self.problems


def check_schema(engine: Engine) -> SchemaReport:
    """Compare the tables in the database with the models. Never raises; takes some milliseconds."""
    try:
        with engine.connect() as connection:
            live = _live_columns(connection)
            collations = _collations(connection)
            version = read_meta(connection, SCHEMA_VERSION_KEY) if "llm_cost_meta" in live else None
    except SQLAlchemyError as error:
        problem = f"The ledger's database cannot be read ({reason_of(error)})."
        return SchemaReport(problems=(problem,), reachable=False)
    missing = tuple(name for name in sorted(Base.metadata.tables) if name not in live)
    problems = [f"Table {name} is missing." for name in missing]
    for table in Base.metadata.sorted_tables:
        if table.name in live:
            problems += _column_problems(table, live[table.name])
            problems += _collation_problems(table, collations)
    if version is not None and int(version) > SCHEMA_VERSION:
        problems.append(
            f"The database has version {version} of the ledger's tables; this version of flask-llm-cost "
            f"knows version {SCHEMA_VERSION}."
        )
        return SchemaReport(missing, tuple(problems), _UPGRADE_PACKAGE, is_migrated=_ALEMBIC in live)
    fix = _fix(live, version, len(problems) > len(missing)) if problems else None
    return SchemaReport(missing, tuple(problems), fix, is_migrated=_ALEMBIC in live)


def create_tables(engine: Engine) -> None:
    """Create those of the ledger's tables that are missing, none of the host's, and indexes that are missing.

    ``db.create_all()`` would do the first; it never adds an index to a table that is there.

    :raises SQLAlchemyError: the database refuses, or another process creates them at the same time.
    """
    metadata = MetaData()
    for table in Base.metadata.sorted_tables:
        copy_with_stock_types(table, metadata)
    with engine.begin() as connection:
        metadata.create_all(connection)
    missing = missing_structure(engine).indexes
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            for index in table.indexes:
                if index.name in missing:
                    index.create(connection)


def _fix(live: Mapping[str, object], version: str | None, columns_differ: bool) -> str:
    """The command: our own revisions where the tables are older than this version, else a generated one."""
    if _ALEMBIC in live:
        return _UPGRADE if version is None or int(version) < SCHEMA_VERSION else _MIGRATE
    return _BEGIN_MIGRATIONS if columns_differ else _CREATE


def _live_columns(connection: Connection) -> dict[str, dict[str, Mapping[str, Any]]]:
    names = [*Base.metadata.tables, _ALEMBIC]
    found = inspect(connection).get_multi_columns(filter_names=names)
    return {
        name: {str(column["name"]): column for column in columns}
        for (_, name), columns in found.items()
        if columns
    }


def _column_problems(table: Table, live: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for column in table.columns:
        place = f"{table.name}.{column.name}"
        present = live.get(column.name)
        if present is None:
            yield f"Column {place} is missing."
            continue
        if column.nullable and not present["nullable"]:
            yield f'Column {place} must allow NULL, which stands for "not told".'
        if (width := _missing_width(column, present["type"])) is not None:
            yield f"Column {place} holds {width} characters; {_length(column)} are needed."
    for name, present in live.items():
        if name not in table.columns and not _fills_itself(present):
            yield f"Column {table.name}.{name} is unknown to this version and has no default."


def _missing_width(column: Column[Any], present: object) -> int | None:
    """How wide a text column is, where that is too narrow."""
    wanted = _length(column)
    width = present.length if isinstance(present, String) else None
    return width if wanted and width and width < wanted else None


def _length(column: Column[Any]) -> int | None:
    return column.type.length if isinstance(column.type, String) else None


def _collations(connection: Connection) -> Mapping[tuple[str, str], str]:
    """The collation of each text column on MySQL and MariaDB; reflection leaves out a table's default one."""
    if connection.dialect.name not in ("mysql", "mariadb"):
        return {}
    found = connection.execute(
        select(_COLUMNS.c.table_name, _COLUMNS.c.column_name, _COLUMNS.c.collation_name).where(
            _COLUMNS.c.table_schema == func.database(), _COLUMNS.c.table_name.in_(Base.metadata.tables)
        )
    )
    return {(row[0], row[1]): row[2] for row in found if row[2] is not None}


def _collation_problems(table: Table, collations: Mapping[tuple[str, str], str]) -> Iterator[str]:
    for column in table.columns:
        collation = collations.get((table.name, column.name))
        if collation and _is_key(column) and not collation.endswith("_bin"):
            yield (
                f"Column {table.name}.{column.name} has the collation {collation}, which takes 'Acme' and "
                f"'acme' for one value; {BINARY_COLLATION} is needed."
            )


def _is_key(column: Column[Any]) -> bool:
    return getattr(column.type.dialect_impl(mysql.dialect()), "collation", None) is not None


def _fills_itself(column: Mapping[str, Any]) -> bool:
    return column["nullable"] or column.get("default") is not None or column.get("autoincrement") is True
