"""Every acknowledged call is in the ledger once, and the sums are those of the calls, whatever happens.

One run of each fault of ``make test-faults`` and ``make test-servers``; see ``docs/reliability.md``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REQUIRED
from tests.faults import crash
from tests.faults import replay
from tests.faults import rivals
from tests.faults.processes import Run
from tests.faults.rivals import kind_of

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


def passes(module: str, *arguments: str) -> str:
    """Run a module of this folder; its table."""
    command = [sys.executable, "-m", f"tests.faults.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def names_all(table: str, faults: list[Run]) -> bool:
    return all(fault.__name__.replace("_", " ") in table for fault in faults)


def given(database_url: str) -> str:
    return "sqlite" if database_url.startswith("sqlite") else database_url


def test_processes_that_are_killed(database_url: str) -> None:
    assert names_all(passes("crash", given(database_url)), list(crash.FAULTS))


def test_processes_that_write_against_somebody_else(database_url: str) -> None:
    table = passes("rivals", given(database_url))
    assert names_all(table, list(rivals.FAULTS[kind_of(database_url)]))
    assert "seen:" in table, "nobody was in the way"


def test_journals_that_are_replayed_by_many(database_url: str) -> None:
    assert names_all(passes("replay", given(database_url)), list(replay.FAULTS))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_whose_workers_are_killed_under_load(database_url: str) -> None:
    assert "workers are killed, preloaded" in passes("serving", given(database_url), "--seeds", "1")


def test_two_machines_that_write_to_one_database() -> None:
    if os.geteuid() or not (shutil.which("ip") and shutil.which("unshare")):
        pytest.skip("network namespaces need root and iproute2")
    assert "two machines, one of them cut off" in passes("machines", "--seeds", "1")


@pytest.mark.parametrize(
    ("kind", "program"), [("postgresql", "initdb"), ("mariadb", "mariadb-install-db")], ids=str
)
def test_a_server_that_crashes_and_is_started_again(kind: str, program: str) -> None:
    installed = shutil.which(program) or list(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    if not installed and not REQUIRED:
        pytest.skip(f"{program} is not installed: no server can be started here")
    assert "the server crashes" in passes("outage", "--seconds", "2", "--seeds", "1", kind)
