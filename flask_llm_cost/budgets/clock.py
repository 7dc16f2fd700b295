"""The database's clock in SQL: the one clock that all processes share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class now_ms(FunctionElement[int]):
    """Milliseconds since 1970, as a whole number, at the moment the statement runs."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms)
def _postgresql(element: now_ms, compiler: Any, **_: Any) -> str:
    # now() would be the moment the transaction began, which may have waited for a lock since.
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(now_ms, "mysql")
@compiles(now_ms, "mariadb")
def _mysql(element: now_ms, compiler: Any, **_: Any) -> str:
    # In UTC: in a zone with summer time one hour a year is there twice.
    return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)"


@compiles(now_ms, "sqlite")
def _sqlite(element: now_ms, compiler: Any, **_: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
