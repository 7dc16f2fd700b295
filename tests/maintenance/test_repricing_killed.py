"""A run that is killed at any statement leaves whole batches behind, and a second one does the rest."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func
from sqlalchemy import select

from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger import Repricing
from tests.made_events import NOON
from tests.maintenance.priced_calls import assert_consistent
from tests.maintenance.priced_calls import priced
from tests.maintenance.priced_calls import repricing
from tests.maintenance.priced_calls import total

OLD = {"house/m": {"input": "1", "output": "10"}}
NEW = {"house/m": {"input": "2", "output": "10"}}

RUN = """
import os, signal, sys
from sqlalchemy import create_engine, event
from flask_llm_cost.ledger import Ledger, create_ledger_engine
from tests.maintenance.priced_calls import repricing

url, table, occasion = sys.argv[1:]
engine = create_ledger_engine(create_engine(url))
seen = []

@event.listens_for(engine, "after_cursor_execute")
def die(connection, cursor, statement, *rest):
    if statement.startswith(("UPDATE", "INSERT")) and table in statement.split("(")[0].split(" SET ")[0]:
        seen.append(statement)
        if len(seen) == int(occasion):
            os.kill(os.getpid(), signal.SIGKILL)

repricing({new!r}, batch_size=3).run(Ledger(engine))
""".replace("{new!r}", repr(NEW))


@pytest.mark.parametrize(
    ("table", "occasion", "changed"),
    [("llm_cost_calls", 1, 0), ("llm_cost_repricings", 2, 3), ("llm_cost_rollups", 3, 6)],
    ids=["at the first call", "at the trail", "at the sums"],
)
def test_a_killed_run_is_continued_exactly(
    ledger: Ledger, database_url: str, table: str, occasion: int, changed: int
) -> None:
    ledger.write([priced(OLD, "m", at=NOON + timedelta(seconds=n), tags={"n": str(n)}) for n in range(8)])
    killed = subprocess.run(
        [sys.executable, "-c", RUN, database_url, table, str(occasion)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert total(ledger) == Decimal("0.016") + changed * Decimal("0.001")
    assert_consistent(ledger)
    assert repricing(NEW, batch_size=3).run(ledger).changed == 8 - changed
    assert total(ledger) == Decimal("0.024")
    with ledger.session() as session:
        assert session.scalar(select(func.count()).select_from(Repricing)) == 8
    assert_consistent(ledger)
