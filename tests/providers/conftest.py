"""Says how many cases the fuzz tests ran, for ``make fuzz``."""

from __future__ import annotations

import pytest

from tests.providers.fuzzing import RAN
from tests.providers.fuzzing import TIMES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TIMES is not None:
        for test, cases in sorted(RAN.items()):
            terminalreporter.write_line(f"{cases:9,} {test}")
        terminalreporter.write_line(f"{RAN.total():9,} cases ran in total")
