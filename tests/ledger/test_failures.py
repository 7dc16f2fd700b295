"""Errors of the real drivers, and what a writer does about each."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import create_engine
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import IntegrityError

from flask_llm_cost.ledger import EventRefused
from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import LedgerUnavailable
from flask_llm_cost.ledger.failures import ATTEMPTS
from flask_llm_cost.ledger.failures import Failure
from flask_llm_cost.ledger.failures import classify
from flask_llm_cost.ledger.failures import reason_of
from flask_llm_cost.ledger.failures import retrying


class DriverError(Exception):
    """Stands in for a driver's exception: a number first (MySQL) or a SQLSTATE attribute (PostgreSQL)."""

    def __init__(self, *args: object, sqlstate: str | None = None) -> None:
        super().__init__(*args)
        self.sqlstate = sqlstate


def _wrapped(original: Exception, *, lost: bool = False, kind: type[DBAPIError] = DBAPIError) -> DBAPIError:
    return kind("INSERT", {}, original, connection_invalidated=lost)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_wrapped(DriverError("serialization", sqlstate="40001")), Failure.CONFLICT),
        (_wrapped(DriverError("deadlock", sqlstate="40P01")), Failure.CONFLICT),
        (_wrapped(DriverError(1213, "deadlock", sqlstate="40001")), Failure.CONFLICT),
        (_wrapped(DriverError(1020, "changed since last read", sqlstate="HY000")), Failure.CONFLICT),
        (_wrapped(DriverError(1205, "lock wait timeout", sqlstate="HY000")), Failure.LOCKED),
        (_wrapped(DriverError("lock not available", sqlstate="55P03")), Failure.LOCKED),
        (_wrapped(DriverError(2013, "gone"), lost=True), Failure.LOST),
        (_wrapped(DriverError(1146, "no such table", sqlstate="42S02")), Failure.UNAVAILABLE),
        (_wrapped(DriverError("no such table", sqlstate="42P01")), Failure.UNAVAILABLE),
        (_wrapped(DriverError("disk full", sqlstate="53100")), Failure.UNAVAILABLE),
        (_wrapped(DriverError(1366, "incorrect string value")), Failure.REFUSED),
        (_wrapped(DriverError("null", sqlstate="23502"), kind=IntegrityError), Failure.REFUSED),
        (OverflowError("int too large"), Failure.REFUSED),
    ],
    ids=lambda value: reason_of(value) if isinstance(value, Exception) else value.name,
)
def test_driver_errors_are_told_apart(error: Exception, expected: Failure) -> None:
    assert classify(error) is expected


def test_conflicts_are_tried_again_a_few_times() -> None:
    attempts: list[int] = []

    def attempt() -> int:
        attempts.append(1)
        if len(attempts) < ATTEMPTS:
            raise _wrapped(DriverError("deadlock", sqlstate="40P01"))
        return len(attempts)

    assert retrying(attempt, lock_wait=0) == ATTEMPTS


def test_conflicts_without_end_give_up() -> None:
    def attempt() -> None:
        raise _wrapped(DriverError(1213, "deadlock; row ('Jane Roe')"))

    with pytest.raises(LedgerUnavailable, match="DriverError 1213") as caught:
        retrying(attempt, lock_wait=0)
    assert "Jane" not in str(caught.value)


def test_a_refusal_is_not_tried_again_and_quotes_nothing() -> None:
    attempts: list[int] = []

    def attempt() -> None:
        attempts.append(1)
        raise _wrapped(DriverError(1366, "bad value 'Jane Roe'"))

    with pytest.raises(EventRefused) as caught:
        retrying(attempt, lock_wait=5)
    assert attempts == [1]
    assert "Jane" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_real_lock_wait_timeout_is_a_lock(ledger: Ledger) -> None:
    """A row that somebody else holds: 1205 on MariaDB, 55P03 on PostgreSQL, SQLITE_BUSY on SQLite."""
    ledger.transaction(lambda c: c.execute(text("INSERT INTO llm_cost_meta VALUES ('k', '1')")))
    change = text("UPDATE llm_cost_meta SET value = '2'")
    holder = create_engine(ledger.engine.url)
    with holder.connect() as connection:
        connection.execute(change)
        started = time.monotonic()
        with pytest.raises(LedgerUnavailable, match=r"1205|55P03|SQLITE_BUSY"):
            ledger.transaction(lambda c: c.execute(change), lock_wait=0.1)
        assert time.monotonic() - started < 3
        connection.rollback()
    holder.dispose()
