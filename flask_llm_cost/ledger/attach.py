"""The ledger's tables in the host's metadata, so that ``db.create_all()`` and ``flask db migrate`` just work.

What is attached are copies with SQLAlchemy's stock types and our own names: the host's migrations import
nothing from this package and a naming convention of the host does not rename anything.
"""

from __future__ import annotations

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Column
from sqlalchemy import Constraint
from sqlalchemy import FetchedValue
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy import Index
from sqlalchemy import MetaData
from sqlalchemy import PrimaryKeyConstraint
from sqlalchemy import Table
from sqlalchemy import UniqueConstraint
from sqlalchemy.schema import DefaultClause
from sqlalchemy.schema import conv

from ..errors import ConfigurationError
from .models import Base
from .types import stock_type


def attach_tables(db: SQLAlchemy, bind_key: str | None) -> None:
    """Put the ledger's tables into the metadata that ``db`` keeps for ``bind_key``. Doing so twice is fine.

    :raises ConfigurationError: ``db`` does not know the bind key (yet), its metadata has a default schema,
        or the host has another table of one of our names.
    """
    metadata = _host_metadata(db, "LLM_COST_BIND_KEY", bind_key)
    for table in Base.metadata.sorted_tables:
        present = metadata.tables.get(table.name)
        if present is None:
            copy_with_stock_types(table, metadata)
        elif missing := set(table.columns.keys()) - set(present.columns.keys()):
            raise ConfigurationError(
                f"The app has a table {table.name!r} of its own, without the columns "
                f"{', '.join(sorted(missing))}. Rename it, or give the ledger another database with "
                "LLM_COST_BIND_KEY."
            )


def check_read_bind(db: SQLAlchemy, bind_key: str | None) -> None:
    """Whether ``db`` knows the replica. Its tables come from the other database: none are attached.

    :raises ConfigurationError: it does not.
    """
    if bind_key is not None:
        _host_metadata(db, "LLM_COST_READ_BIND_KEY", bind_key)


def _host_metadata(db: SQLAlchemy, key: str, bind_key: str | None) -> MetaData:
    metadata = db.metadatas.get(bind_key)
    if metadata is None:
        raise ConfigurationError(
            f"{key} is {bind_key!r}, which the database does not know: add it to "
            "SQLALCHEMY_BINDS and call db.init_app(app) before the tracker's init_app."
        )
    if metadata.schema:
        raise ConfigurationError(
            f"The metadata of the app's database has the default schema {metadata.schema!r}; the ledger's "
            "tables have none. Give the ledger a bind key of its own with LLM_COST_BIND_KEY, or set the "
            "schema on the app's tables instead."
        )
    return metadata


def copy_with_stock_types(table: Table, metadata: MetaData) -> Table:
    """A copy of one of our tables that refers to no class of this package."""
    columns = [
        Column(
            column.name,
            stock_type(column.type),
            nullable=column.nullable,
            autoincrement=column.autoincrement,
            server_default=_server_default(column.server_default),
        )
        for column in table.columns
    ]
    constraints = [_copied(constraint) for constraint in _in_order(table.constraints)]
    copy = Table(table.name, metadata, *columns, *constraints, **dict(table.dialect_kwargs))
    for index in sorted(table.indexes, key=lambda item: str(item.name)):
        Index(conv(str(index.name)), *(copy.columns[column.name] for column in index.columns))
    return copy


def _server_default(default: FetchedValue | None) -> str | None:
    return str(default.arg) if isinstance(default, DefaultClause) else None


def _in_order(constraints: set[Constraint]) -> list[Constraint]:
    return sorted(constraints, key=lambda item: str(item.name))


def _copied(constraint: Constraint) -> Constraint:
    # `conv` marks a name as final: a naming convention of the host must not touch it.
    name = conv(str(constraint.name))
    if isinstance(constraint, PrimaryKeyConstraint):
        return PrimaryKeyConstraint(*constraint.columns.keys(), name=name)
    if isinstance(constraint, UniqueConstraint):
        return UniqueConstraint(*constraint.columns.keys(), name=name)
    if isinstance(constraint, ForeignKeyConstraint):
        targets = [element.target_fullname for element in constraint.elements]
        return ForeignKeyConstraint(constraint.column_keys, targets, name=name, ondelete=constraint.ondelete)
    raise TypeError(f"no way to copy {constraint!r}")
