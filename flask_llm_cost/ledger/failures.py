"""What a failed write means: try again now, keep the events for later, or never."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from sqlalchemy.exc import DataError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import NotSupportedError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import StatementError

from ..errors import LLMCostError

T = TypeVar("T")

#: How often a write is tried when it meets another one (deadlock, serialization failure).
ATTEMPTS = 6
#: Seconds before the second attempt; doubled, with jitter, for each further one.
BACKOFF = 0.01


class LedgerUnavailable(LLMCostError):
    """The database cannot take or answer now: connection, lock or missing table. Keep the events, try again.

    :param reason: the error's class and code; never its message, which can quote the row.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the ledger cannot be used now ({reason}); flask llm-cost doctor says more")
        self.reason = reason


class EventRefused(LLMCostError):
    """The database, or the ledger itself, will never accept a row of this batch. Nothing of it is stored.

    :param reason: the error's class and code, without values.
    :param by_database: whether it was the database, whose tables may be at fault as well as the event.
    """

    def __init__(self, reason: str, *, by_database: bool = False) -> None:
        super().__init__(f"an event of the batch cannot be stored ({reason})")
        self.reason = reason
        self.by_database = by_database


class Failure(Enum):
    """Kinds of failed writes."""

    REFUSED = "the data is at fault"
    CONFLICT = "another transaction won; the next attempt can succeed at once"
    LOCKED = "somebody held a lock for too long"
    LOST = "the connection broke"
    UNAVAILABLE = "the database is not there, full, read-only, or has not our tables"


#: 0A000 of PostgreSQL: a column has changed its type under a prepared statement, which is forgotten by then.
_CONFLICTS = {"40001", "40P01", "0A000", 1213, 1020}
_LOCKS = {"55P03", 1205, "SQLITE_BUSY", "SQLITE_LOCKED"}
#: MySQL: column cannot be null, incorrect value, packet too large, invalid JSON, failed CHECK.
_REFUSALS = {1048, 1153, 1366, 3140, 3819, 4025, "SQLITE_TOOBIG", "SQLITE_MISMATCH"}

#: What a driver may raise from a write; anything else is a mistake of ours and must not look like an outage.
WRITE_ERRORS = (SQLAlchemyError, UnicodeError, OverflowError)


def classify(error: BaseException) -> Failure:
    """What kind of failure ``error`` is."""
    if not isinstance(error, DBAPIError):
        values_at_fault = isinstance(error, StatementError | UnicodeError | OverflowError)
        return Failure.REFUSED if values_at_fault else Failure.UNAVAILABLE
    if error.connection_invalidated:
        return Failure.LOST
    code = error_code(error.orig)
    if code in _CONFLICTS:
        return Failure.CONFLICT
    if code in _LOCKS:
        return Failure.LOCKED
    if code in _REFUSALS or isinstance(error, DataError | IntegrityError | NotSupportedError):
        return Failure.REFUSED
    return Failure.UNAVAILABLE


def error_code(original: BaseException | None) -> str | int | None:
    """The number (MySQL), SQLSTATE (PostgreSQL) or result code's name (SQLite) of a driver's error."""
    first = original.args[0] if original is not None and original.args else None
    if isinstance(first, int):  # MySQL's SQLSTATE is HY000 for most of what matters here
        return first
    for attribute in ("sqlstate", "pgcode"):
        if code := getattr(original, attribute, None):
            return str(code)
    if name := getattr(original, "sqlite_errorname", None):
        return "_".join(str(name).split("_")[:2])  # SQLITE_BUSY_SNAPSHOT is a SQLITE_BUSY
    return None


def reason_of(error: BaseException) -> str:
    """The error's class and code, which say what happened without quoting any value."""
    original = error.orig if isinstance(error, StatementError) and error.orig is not None else error
    code = error_code(original)
    name = type(original).__name__
    return name if code is None else f"{name} {code}"


def retrying(attempt: Callable[[], T], lock_wait: float) -> T:
    """Run ``attempt``, again where another transaction was in the way or the connection broke.

    :param lock_wait: seconds after which a lock that is still held is no longer waited for.
    :raises LedgerUnavailable: it still fails, or trying again makes no sense now.
    :raises EventRefused: the data is at fault.
    """
    started = time.monotonic()
    tries = 0
    while True:
        tries += 1
        try:
            return attempt()
        except WRITE_ERRORS as error:
            failure = classify(error)
            if failure is Failure.REFUSED:
                # Not chained: a driver's message can quote the row.
                raise EventRefused(reason_of(error), by_database=True) from None
            if not _worth_trying(failure, tries, time.monotonic() - started < lock_wait):
                raise LedgerUnavailable(reason_of(error)) from error
        time.sleep(BACKOFF * 2 ** (tries - 1) * random.uniform(0.5, 1.5))  # noqa: S311


def _worth_trying(failure: Failure, tries: int, in_time: bool) -> bool:
    if failure is Failure.CONFLICT:
        return tries < ATTEMPTS
    if failure is Failure.LOCKED:
        return in_time
    return failure is Failure.LOST and tries < 2
