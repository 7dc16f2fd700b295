"""Real processes at one limit, on each database."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import DATABASES
from tests.conftest import REQUIRED
from tests.conftest import SERVER_URLS

pytestmark = pytest.mark.slow

WORKERS = 8


@pytest.fixture(params=DATABASES)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database, which is there."""
    kind: str = request.param
    if kind != "sqlite" and not SERVER_URLS[kind]:
        assert not REQUIRED
        pytest.skip(f"set LLM_COST_TEST_{kind.upper()}_URL to run this test on {kind}")
    return kind


def rush(kind: str, mode: str, *options: str) -> dict[str, str]:
    """What came of eight processes at one limit. Fails where a window does not equal its calls."""
    benchmark = [sys.executable, "-m", "tests.benchmarks.bench_budgets"]
    asked = ["--workers", str(WORKERS), "--modes", mode, "--databases", kind, "--shared", *options]

    done = subprocess.run([*benchmark, *asked], capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    columns, line = (row.split() for row in done.stdout.splitlines()[-2:])
    told = dict(zip(columns, line, strict=True))
    assert told["exact"] == "yes"
    return told


def test_no_number_of_processes_crosses_a_hard_limit(kind: str) -> None:
    told = rush(kind, "reserve")

    assert told["overshoot"] == "0"
    assert int(told["sent"]) > 100


@pytest.mark.parametrize("enforcement", ["block", "raise"])
def test_no_process_crosses_a_soft_limit_by_more_than_two_calls(kind: str, enforcement: str) -> None:
    """Not even while somebody holds the row in which all of them count: none sends what others cannot see."""
    told = rush(kind, enforcement, "--calls", "20", "--held", "1")

    assert int(told["overshoot"]) <= 2 * WORKERS
    assert int(told["sent"]) >= 20
