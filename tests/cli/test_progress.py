"""Progress is for somebody who watches: on standard error, and only there."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from flask_llm_cost.cli.progress import progress
from flask_llm_cost.cli.progress import watched

SCRIPT = """
from flask_llm_cost.cli.progress import progress
with progress(4, "Deleting calls") as reached:
    for done in (2, 4):
        reached(done)
print("done")
"""


def test_nothing_is_printed_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(4, "Deleting calls") as reached:
        reached(2)
        reached(4)

    assert capsys.readouterr() == ("", "")


def test_work_of_unknown_length_is_done_whoever_watches(capsys: pytest.CaptureFixture[str]) -> None:
    assert watched(iter(range(3)), "Checking") == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_a_bar_that_leaves_standard_output_alone() -> None:
    leader, follower = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=follower, check=True, timeout=60
    )
    os.close(follower)
    watched = os.read(leader, 65536).decode()
    os.close(leader)

    assert done.stdout == b"done\n"
    assert "Deleting calls" in watched
    assert "100%" in watched
