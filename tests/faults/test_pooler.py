"""The ledger behind PgBouncer in transaction mode."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.servers import PgBouncer
from tests.faults.servers import PostgreSQL
from tests.faults.servers import ServerMissing
from tests.faults.servers import pooled
from tests.faults.servers import running
from tests.faults.test_seeds import passes

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pooler() -> Iterator[PgBouncer]:
    try:
        with running(PostgreSQL) as server, pooled(server) as pooler:
            yield pooler
    except ServerMissing as missing:
        pytest.skip(f"{missing}: apt-get install pgbouncer")


def test_no_session_meets_what_another_one_has_prepared(pooler: PgBouncer) -> None:
    table = passes("pooler", "--seeds", "2")
    assert "sessions are shared" in table
    assert "the pooler is restarted" in table


def test_the_write_path_works_as_on_the_server_itself(pooler: PgBouncer) -> None:
    # What ends the session it asks in cannot be asked through a pooler.
    chosen = "postgresql and not a_connection_that_the_server_closed"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen]
    done = subprocess.run(
        [*command, "tests/ledger/test_writer.py", "tests/ledger/test_concurrency.py"],
        cwd=ROOT,
        env={**os.environ, "LLM_COST_TEST_POSTGRESQL_URL": pooler.url},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
