"""Insert-or-ignore and insert-or-add for the three families of databases, and buckets of time on all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement
from sqlalchemy import Insert
from sqlalchemy import SQLColumnExpression
from sqlalchemy import Table
from sqlalchemy import case
from sqlalchemy import literal_column
from sqlalchemy.dialects import mysql

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.dialects import sqlite

_MYSQL = ("mysql", "mariadb")


@cache
def insert_ignoring(table: Table, key: str | tuple[str, ...], dialect: str) -> Insert:
    """Insert rows, leaving those alone whose ``key``, one column or several, is there already.

    Never ``INSERT IGNORE``: it would also store what does not fit, mended as MySQL sees fit.
    """
    if dialect in _MYSQL:
        first = next(iter(table.primary_key.columns))
        return mysql.insert(table).on_duplicate_key_update({first.name: first})
    columns = [key] if isinstance(key, str) else list(key)
    return _insert(table, dialect).on_conflict_do_nothing(index_elements=columns)


@cache
def insert_replacing(table: Table, key: str, value: str, dialect: str) -> Insert:
    """Insert a row, or replace column ``value`` of the one whose ``key`` is there already."""
    if dialect in _MYSQL:
        statement = mysql.insert(table)
        return statement.on_duplicate_key_update({value: statement.inserted[value]})
    upsert = _insert(table, dialect)
    return upsert.on_conflict_do_update(index_elements=[key], set_={value: upsert.excluded[value]})


@cache
def insert_adding(table: Table, sums: Sequence[str], dialect: str) -> Insert:
    """Insert rows, or add their ``sums`` to the row with the same primary key."""
    if dialect in _MYSQL:
        statement = mysql.insert(table)
        return statement.on_duplicate_key_update(
            {name: table.columns[name] + statement.inserted[name] for name in sums}
        )
    key = [column.name for column in table.primary_key.columns]
    upsert = _insert(table, dialect)
    return upsert.on_conflict_do_update(
        index_elements=key, set_={name: table.columns[name] + upsert.excluded[name] for name in sums}
    )


def bucket_number(moment: SQLColumnExpression[datetime], edges: Sequence[datetime]) -> ColumnElement[int]:
    """Between which two of ``edges`` a row is, counted from 0: the edges are searched in halves."""
    return _between(moment, edges, 0, len(edges) - 1)


def _between(
    moment: SQLColumnExpression[datetime], edges: Sequence[datetime], low: int, high: int
) -> ColumnElement[int]:
    if high - low <= 1:
        return literal_column(str(low))
    middle = (low + high) // 2
    return case(
        (moment < edges[middle], _between(moment, edges, low, middle)),
        else_=_between(moment, edges, middle, high),
    )


def _insert(table: Table, dialect: str) -> postgresql.Insert | sqlite.Insert:
    # Dialects are slow to import, and the engine of an app has brought its own.
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
