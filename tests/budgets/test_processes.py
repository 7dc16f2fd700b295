"""Real processes at one limit, on each database."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import DATABASES
from tests.conftest import REQUIRED
from tests.conftest import SERVER_URLS


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATABASES)
def test_no_number_of_processes_crosses_a_hard_limit(kind: str) -> None:
    """The benchmark exits with a failure where one is crossed, or where a window does not equal its calls."""
    if kind != "sqlite" and not SERVER_URLS[kind]:
        assert not REQUIRED
        pytest.skip(f"set LLM_COST_TEST_{kind.upper()}_URL to run this test on {kind}")
    benchmark = [sys.executable, "-m", "tests.benchmarks.bench_budgets"]
    asked = ["--workers", "8", "--modes", "reserve", "--databases", kind, "--shared"]

    done = subprocess.run([*benchmark, *asked], capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    columns, line = (row.split() for row in done.stdout.splitlines()[-2:])
    told = dict(zip(columns, line, strict=True))
    assert (told["overshoot"], told["exact"]) == ("0", "yes")
    assert int(told["sent"]) > 100
