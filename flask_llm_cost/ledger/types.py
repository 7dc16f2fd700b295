"""Column types that keep money exact and time in UTC on SQLite, PostgreSQL and MySQL / MariaDB."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import JSON
from sqlalchemy import BigInteger
from sqlalchemy import DateTime
from sqlalchemy import Dialect
from sqlalchemy import Integer
from sqlalchemy import Numeric
from sqlalchemy import String
from sqlalchemy import TypeDecorator
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from ..money import EXACT
from ..money import MONEY_SCALE
from ..money import QUANTITY_SCALE
from ..money import to_scale

#: Compares byte for byte. (It ignores trailing spaces all the same; the writer strips them.)
BINARY_COLLATION = "utf8mb4_bin"

#: Without spaces, of which a call's two JSON columns would have some twenty.
compact_json = partial(json.dumps, separators=(",", ":"))


def decimal_column(scale: int) -> TypeEngine[Any]:
    """The stock type of money and quantities: exact NUMERIC, or integers of 10**-scale on SQLite."""
    return Numeric(24, scale).with_variant(BigInteger(), "sqlite")


def time_column() -> TypeEngine[Any]:
    """The stock type of a moment: UTC without a zone, microseconds everywhere."""
    return DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def key_column(length: int) -> TypeEngine[Any]:
    """The stock type of text that is compared or grouped by: byte for byte, also on MySQL.

    MySQL's default collation takes 'Acme', 'acme ' and 'ácme' for one value.
    """
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation=BINARY_COLLATION)
    return String(length).with_variant(binary, "mysql", "mariadb")


def id_column() -> TypeEngine[Any]:
    """The stock type of a surrogate key; SQLite only counts up an INTEGER PRIMARY KEY by itself."""
    return BigInteger().with_variant(Integer(), "sqlite")


class _Exact(TypeDecorator[Decimal]):
    """A ``Decimal`` that stays exact under SUM: NUMERIC, or scaled integers on SQLite.

    Compare, add and subtract in SQL; multiply and divide in Python, where the result is exact.
    """

    impl = Numeric
    cache_ok = True
    scale: int

    class Comparator(TypeDecorator.Comparator[Decimal]):
        def operate(self, op: Callable[..., Any], *other: Any, **kwargs: Any) -> Any:
            if op in _INEXACT:
                raise TypeError(
                    f"{op.__name__} is not exact in SQL: fetch the exact sum and compute in Python."
                )
            return super().operate(op, *other, **kwargs)

        reverse_operate = operate

    comparator_factory = Comparator

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(decimal_column(self.scale).dialect_impl(dialect))

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        return self

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if not Decimal(value).is_finite():
            raise ValueError("an amount must be a finite number")  # PostgreSQL would store NaN
        amount = to_scale(Decimal(value), self.scale)
        return int(amount.scaleb(self.scale, context=EXACT)) if dialect.name == "sqlite" else amount

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return Decimal(value).scaleb(-self.scale, context=EXACT)
        return Decimal(value)


class Money(_Exact):
    """US dollars, and rates in US dollars, to twelve digits behind the point."""

    cache_ok = True
    scale = MONEY_SCALE


class Quantity(_Exact):
    """Tokens, requests, characters, minutes, to six digits behind the point."""

    cache_ok = True
    scale = QUANTITY_SCALE


_INEXACT = {operator.mul, operator.truediv, operator.floordiv, operator.mod}


class UTCDateTime(TypeDecorator[datetime]):
    """An aware ``datetime`` in Python, UTC without a zone in the database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(time_column().dialect_impl(dialect))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time zone is missing: pass an aware datetime")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def stock_type(declared: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type of SQLAlchemy's own that stores what ``declared`` does, for the host's metadata.

    A migration generated from it needs no import from this package.
    """
    if isinstance(declared, _Exact):
        return decimal_column(declared.scale)
    if isinstance(declared, UTCDateTime):
        return time_column()
    if isinstance(declared, JSON):
        return JSON()
    return declared
