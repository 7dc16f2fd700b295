"""What the database's own processes have computed: on a busy machine only that time is a question's own."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy import text


def database_seconds(engine: Engine) -> float:
    """Of the processes that serve this database, on this machine; 0 where that cannot be told.

    SQLite computes in the process that asks. PostgreSQL's parallel workers, which come and go, are missing.
    """
    if engine.dialect.name != "postgresql":
        return 0
    with engine.connect() as connection:
        here = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        pids = connection.execute(here).scalars().all()
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
