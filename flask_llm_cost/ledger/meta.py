"""Facts the ledger keeps about itself in ``llm_cost_meta``."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy import select

from .models import SCHEMA_VERSION
from .rows import META
from .statements import insert_replacing

SCHEMA_VERSION_KEY = "schema_version"
PRUNED_BEFORE_KEY = "pruned_before"


def read_meta(connection: Connection, key: str) -> str | None:
    """The stored value of ``key``, or ``None``."""
    return connection.execute(select(META.columns.value).where(META.columns.key == key)).scalar()


def write_meta(connection: Connection, key: str, value: str) -> None:
    """Store ``value`` under ``key``, whatever was there before."""
    connection.execute(
        insert_replacing(META, "key", "value", connection.dialect.name), {"key": key, "value": value}
    )


def tell_schema_version(connection: Connection) -> None:
    """Note that this version's tables are written to; a newer version that did so before stays."""
    told = read_meta(connection, SCHEMA_VERSION_KEY)
    if told is None or int(told) < SCHEMA_VERSION:
        write_meta(connection, SCHEMA_VERSION_KEY, str(SCHEMA_VERSION))


def pruned_before(connection: Connection) -> datetime | None:
    """The full UTC hour before which calls may have been deleted, or ``None`` where nothing was."""
    stored = read_meta(connection, PRUNED_BEFORE_KEY)
    return None if stored is None else datetime.fromisoformat(stored)
