"""A call that returned is in the ledger once, wherever its process is killed.

A short form of ``make test-faults``, which prints the table of ``docs/reliability.md``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.crash import POINTS

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_killed_processes_lose_no_acknowledged_call(database_url: str) -> None:
    database = "sqlite" if database_url.startswith("sqlite") else database_url
    command = [sys.executable, "-m", "tests.faults.crash", database, "--seeds", str(len(POINTS))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(point.__name__.replace("_", " ") in done.stdout for point in POINTS)
