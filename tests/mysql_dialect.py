"""What the suite runs on MariaDB, held against MySQL 8: its dialect, and the SQL that only MariaDB knows.

MySQL itself is not among the test databases. So every statement that a test runs on MariaDB is compiled for
MySQL as well, and MariaDB runs it in MySQL's default ``sql_mode``.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import Engine
from sqlalchemy import event
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.elements import ClauseElement

#: What MySQL 8 sets by itself. MariaDB lets a SELECT name columns that are not grouped by; MySQL does not.
SQL_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION"
)

#: Found out in MariaDB's documentation of what it has beyond MySQL.
_MARIADB_ONLY = re.compile(
    r"""
      \bRETURNING\b
    | \bCREATE\s+OR\s+REPLACE\s+(?:TABLE|INDEX|SEQUENCE)\b
    | \b(?:ADD|DROP|MODIFY|CHANGE)\s+(?:COLUMN|INDEX|KEY|CONSTRAINT|FOREIGN\s+KEY)\s+IF\s+(?:NOT\s+)?EXISTS\b
    | \b(?:CREATE|DROP)\s+(?:UNIQUE\s+)?INDEX\s+IF\s+(?:NOT\s+)?EXISTS\b
    | \bNEXT\s+VALUE\s+FOR\b | \bNEXTVAL\s*\( | \bCREATE\s+SEQUENCE\b
    | \bFOR\s+(?:SYSTEM_TIME|PORTION\s+OF)\b | \bWITH\s+SYSTEM\s+VERSIONING\b | \bWITHOUT\s+OVERLAPS\b
    | \bFOR\s+UPDATE\s+WAIT\b | \bROWS\s+EXAMINED\b | \bEXECUTE\s+IMMEDIATE\b | /\*M!
    | \b(?:MEDIAN|PERCENTILE_CONT|PERCENTILE_DISC|ADD_MONTHS|TO_CHAR)\s*\(
    | \b(?:JSON_DETAILED|JSON_EXISTS|JSON_QUERY)\s*\(
    | \b(?:UUID|INET4|INET6|XMLTYPE)\s+(?:NOT\s+)?NULL\b | \bPAGE_COMPRESSED\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
_TARGET = re.compile(r"^\s*(?:DELETE\s+FROM|UPDATE)\s+`?(\w+)`?", re.IGNORECASE)


def _dialect(*version: int) -> Any:
    # Untyped: the version is what a dialect learns when it connects.
    dialect: Any = mysql.dialect()
    dialect.server_version_info = version
    dialect.is_mariadb = False
    dialect._requires_alias_for_on_duplicate_key = version >= (8, 0, 20)
    return dialect


#: Before and after upserts got an alias for their values.
MYSQL = {"8.0.13": _dialect(8, 0, 13), "8.4.6": _dialect(8, 4, 6)}


def objections(sql: str) -> list[str]:
    """What MySQL 8 would not take of a statement, in words."""
    found = [f"{match[0]!r} is MariaDB's own" for match in _MARIADB_ONLY.finditer(sql)]
    target = _TARGET.match(sql)
    if target and re.search(rf"\b(?:FROM|JOIN)\s+`?{target[1]}\b", sql[target.end() :], re.IGNORECASE):
        found.append(f"it changes {target[1]} and reads it in a subquery (error 1093)")
    return found


class MySQLWatch:
    """Collects what MySQL would not take of the statements that are run while it watches."""

    def __init__(self) -> None:
        self.seen: dict[str, list[str]] = {}
        self._known: set[object] = set()  # what was compiled before, by SQLAlchemy's own key for its cache

    @property
    def refused(self) -> dict[str, list[str]]:
        """The statements with an objection, each with its own."""
        return {sql: found for sql, found in self.seen.items() if found}

    def forget(self) -> None:
        """Look at everything anew."""
        self.seen.clear()
        self._known.clear()

    def begin(self) -> None:
        event.listen(Engine, "before_execute", self._before_execute)
        event.listen(Engine, "before_cursor_execute", self._before_cursor_execute)

    def end(self) -> None:
        event.remove(Engine, "before_execute", self._before_execute)
        event.remove(Engine, "before_cursor_execute", self._before_cursor_execute)

    def _before_execute(self, connection: Connection, statement: Any, *rest: Any) -> None:
        if connection.dialect.name not in ("mysql", "mariadb") or not isinstance(statement, ClauseElement):
            return
        made = statement._generate_cache_key() if hasattr(statement, "_generate_cache_key") else None
        if made is not None:
            if made.key in self._known:
                return
            self._known.add(made.key)
        for version, dialect in MYSQL.items():
            try:
                sql = str(statement.compile(dialect=dialect))
            except SQLAlchemyError as error:
                self.seen[f"{type(statement).__name__} on {version}"] = [str(error)]
            else:
                self.seen.setdefault(sql, objections(sql))

    def _before_cursor_execute(
        self, connection: Connection, cursor: Any, sql: str, parameters: Any, context: Any, many: bool
    ) -> None:
        """Statements that are written by hand: what is compiled was looked at before."""
        if connection.dialect.name in ("mysql", "mariadb") and getattr(context, "compiled", None) is None:
            self.seen.setdefault(sql, objections(sql))
