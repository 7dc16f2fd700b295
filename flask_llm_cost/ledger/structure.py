"""Does the live database hold what tables are made of besides columns: keys, indexes, and transactions.

Calls are stored without them, which is why nobody notices: twice, where a unique key is missing, and half,
where a storage engine knows no transactions. Without an index answers are right and slow.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import Engine
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy import PrimaryKeyConstraint
from sqlalchemy import Table
from sqlalchemy import UniqueConstraint
from sqlalchemy import inspect

from .models import Base

Columns = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Structure:
    """What is missing, by the name that it has in a new database.

    :param keys: primary and unique keys: what makes a call one row.
    :param engines: tables of MySQL whose storage engine knows no transactions, with its name.
    """

    keys: tuple[str, ...] = ()
    foreign_keys: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()


def missing_structure(engine: Engine) -> Structure:
    """Compare keys and indexes with the models, by their columns: a host may have named them otherwise.

    :raises SQLAlchemyError: the database cannot be read.
    """
    with engine.connect() as connection:
        live = _Live(connection)
    return Structure(
        keys=tuple(str(key.name) for table in _tables() for key in _keys(table) if not live.has_key(key)),
        foreign_keys=tuple(
            str(key.name)
            for table in _tables()
            for key in sorted(table.foreign_key_constraints, key=lambda key: str(key.name))
            if not live.has_foreign_key(key)
        ),
        indexes=tuple(
            str(index.name)
            for table in _tables()
            for index in sorted(table.indexes, key=lambda index: str(index.name))
            if not live.has_index(table.name, tuple(index.columns.keys()))
        ),
        engines=tuple(live.without_transactions()),
    )


def _tables() -> Sequence[Table]:
    return Base.metadata.sorted_tables


def _keys(table: Table) -> Iterator[PrimaryKeyConstraint | UniqueConstraint]:
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint):
            yield constraint


class _Live:
    """What the database has, by table."""

    def __init__(self, connection: Connection) -> None:
        found, names = inspect(connection), list(Base.metadata.tables)
        self._primary = {
            name: tuple(key["constrained_columns"]) if key else ()
            for (_, name), key in found.get_multi_pk_constraint(filter_names=names).items()
        }
        indexes = _by_table(found.get_multi_indexes(filter_names=names))
        uniques = _by_table(found.get_multi_unique_constraints(filter_names=names))
        self._uniques = {
            name: {
                *(frozenset(each["column_names"]) for each in uniques.get(name, ())),
                *(frozenset(each["column_names"]) for each in indexes.get(name, ()) if each["unique"]),
                frozenset(self._primary.get(name, ())),
            }
            for name in names
        }
        self._leading = {
            name: [
                self._primary.get(name, ()),
                *(tuple(each["column_names"]) for each in indexes.get(name, ())),
                *(tuple(each["column_names"]) for each in uniques.get(name, ())),
            ]
            for name in names
        }
        self._foreign = _by_table(found.get_multi_foreign_keys(filter_names=names))
        # Only MySQL and MariaDB have engines; SQLAlchemy before 2.1 knows no options of SQLite's tables.
        has_engines = connection.dialect.name in ("mysql", "mariadb")
        options = found.get_multi_table_options(filter_names=names) if has_engines else {}
        self._options = {name: each for (_, name), each in options.items()}

    def has_key(self, key: PrimaryKeyConstraint | UniqueConstraint) -> bool:
        return frozenset(key.columns.keys()) in self._uniques[key.table.name]

    def has_foreign_key(self, key: ForeignKeyConstraint) -> bool:
        return any(
            each["constrained_columns"] == key.column_keys
            and each["referred_table"] == key.referred_table.name
            for each in self._foreign.get(key.table.name, ())
        )

    def has_index(self, table: str, columns: Columns) -> bool:
        """Whether one begins with these columns: a longer one serves as well."""
        return any(leading[: len(columns)] == columns for leading in self._leading[table])

    def without_transactions(self) -> Iterator[str]:
        for name, options in sorted(self._options.items()):
            for option in ("mysql_engine", "mariadb_engine"):
                engine = options.get(option)
                if engine is not None and str(engine).lower() != "innodb":
                    yield f"{name} ({engine})"


def _by_table(found: Mapping[Any, Iterable[Any]]) -> dict[str, list[Any]]:
    return {name: list(items) for (_, name), items in found.items()}
