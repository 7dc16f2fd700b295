"""Checks of keys, indexes and storage engines: what nobody notices while it is missing."""

from __future__ import annotations

from collections.abc import Iterator

from ..ledger import Ledger
from ..ledger import missing_structure
from .check import Check
from .check import error
from .check import ok
from .check import warn

_MIGRATE = "flask db migrate && flask db upgrade"
_SETUP = "flask llm-cost setup"


def structure(ledger: Ledger) -> Iterator[Check]:
    """Whether the tables have their keys and indexes.

    :raises SQLAlchemyError: the database cannot be read.
    """
    found = missing_structure(ledger.engine)
    migrated = ledger.check_schema().is_migrated
    if found.engines:
        yield error(
            "keys",
            f"Tables whose storage engine knows no transactions: {', '.join(found.engines)}. A call can be "
            "stored in part.",
            f"ALTER TABLE {found.engines[0].partition(' ')[0]} ENGINE=InnoDB, and so on.",
        )
    if found.keys:
        yield error(
            "keys",
            f"Keys that are missing: {', '.join(found.keys)}. A call can be counted twice.",
            f"Delete what stands there twice, then: {_MIGRATE}",
        )
    elif found.foreign_keys:
        yield warn("keys", f"Foreign keys that are missing: {', '.join(found.foreign_keys)}.", _MIGRATE)
    elif not found.engines:
        yield ok("keys", "Every key is there.")
    if found.indexes:
        yield warn(
            "indexes",
            f"Indexes that are missing: {', '.join(found.indexes)}. Answers are right, but slow.",
            _MIGRATE if migrated else _SETUP,
        )
    else:
        yield ok("indexes", "Every index is there.")
