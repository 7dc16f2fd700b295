"""A run that is killed at any statement names nobody more than before, and the next one ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from flask_llm_cost.ledger import Ledger
from flask_llm_cost.ledger.coverage import RollupChoice
from flask_llm_cost.maintenance import Person
from flask_llm_cost.maintenance import prune
from tests.made_events import NOON
from tests.made_events import event
from tests.maintenance.test_forget import ANN
from tests.maintenance.test_forget import everything_stored
from tests.maintenance.test_forget import forget
from tests.maintenance.test_forget import sums

RUN = """
import os, signal, sys
from sqlalchemy import create_engine, event
from flask_llm_cost.ledger import Ledger, create_ledger_engine
from flask_llm_cost.maintenance import Person
from tests.maintenance.test_forget import ANN, forget

url, begins, occasion = sys.argv[1:]
engine = create_ledger_engine(create_engine(url))
seen = []

def count(statement):
    if statement.startswith(begins):
        seen.append(statement)
        if len(seen) == int(occasion):
            os.kill(os.getpid(), signal.SIGKILL)

if begins == "COMMIT":
    event.listen(engine, "commit", lambda connection: count("COMMIT"))
else:
    event.listen(engine, "after_cursor_execute", lambda connection, cursor, text, *rest: count(text))
forget(Ledger(engine), Person.named(ANN), batch_size=2)
"""


@pytest.mark.parametrize(
    ("begins", "occasion"),
    [("INSERT INTO llm_cost_rollups", 2), ("DELETE FROM llm_cost_rollups", 1), ("COMMIT", 3)],
    ids=["at the sums", "at those of pruned calls", "behind the last batch"],
)
def test_a_killed_run_is_continued_to_its_end(
    ledger: Ledger, database_url: str, begins: str, occasion: int
) -> None:
    """The sums of Ann's pruned calls bear her user id, and so do those by a tag that nobody has named."""
    kept = Ledger(ledger.engine, rollups=RollupChoice(tags=("owner",)))
    days = [NOON + timedelta(days=day) for day in range(6)]
    kept.write([event(occurred_at=day, user_id=ANN, tags={"owner": ANN}) for day in days])
    kept.write([event(occurred_at=day, user_id="other", tags={"owner": "other"}) for day in days])
    prune(kept, NOON + timedelta(days=1, hours=12))
    before = sums(kept)

    killed = subprocess.run(
        [sys.executable, "-c", RUN, database_url, begins, str(occasion)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert sums(kept) == before

    forget(kept, Person.named(ANN))
    assert ANN not in everything_stored(kept)
    assert sums(kept) == before
