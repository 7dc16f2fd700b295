"""Insert-or-ignore and insert-or-add for the three families of databases."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Insert
from sqlalchemy import Table
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite

_MYSQL = ("mysql", "mariadb")


@cache
def insert_ignoring(table: Table, key: str, dialect: str) -> Insert:
    """Insert rows, leaving those alone whose ``key`` is there already.

    Never ``INSERT IGNORE``: it would also store what does not fit, mended as MySQL sees fit.
    """
    if dialect in _MYSQL:
        first = next(iter(table.primary_key.columns))
        return mysql.insert(table).on_duplicate_key_update({first.name: first})
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=[key])
    return sqlite.insert(table).on_conflict_do_nothing(index_elements=[key])


@cache
def insert_replacing(table: Table, key: str, value: str, dialect: str) -> Insert:
    """Insert a row, or replace column ``value`` of the one whose ``key`` is there already."""
    if dialect in _MYSQL:
        statement = mysql.insert(table)
        return statement.on_duplicate_key_update({value: statement.inserted[value]})
    if dialect == "postgresql":
        upsert = postgresql.insert(table)
        return upsert.on_conflict_do_update(index_elements=[key], set_={value: upsert.excluded[value]})
    replace = sqlite.insert(table)
    return replace.on_conflict_do_update(index_elements=[key], set_={value: replace.excluded[value]})


@cache
def insert_adding(table: Table, sums: Sequence[str], dialect: str) -> Insert:
    """Insert rows, or add their ``sums`` to the row with the same primary key."""
    key = [column.name for column in table.primary_key.columns]
    if dialect in _MYSQL:
        statement = mysql.insert(table)
        return statement.on_duplicate_key_update(
            {name: table.columns[name] + statement.inserted[name] for name in sums}
        )
    if dialect == "postgresql":
        upsert = postgresql.insert(table)
        return upsert.on_conflict_do_update(
            index_elements=key, set_={name: table.columns[name] + upsert.excluded[name] for name in sums}
        )
    adding = sqlite.insert(table)
    return adding.on_conflict_do_update(
        index_elements=key, set_={name: table.columns[name] + adding.excluded[name] for name in sums}
    )
