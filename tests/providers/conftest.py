"""Says how many cases the fuzz tests ran, for ``make fuzz``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers.fuzzing import RAN
from tests.providers.fuzzing import TIMES


def pytest_sessionfinish(session: pytest.Session) -> None:
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["fuzzed"] = dict(RAN)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist has finished."""
    RAN.update(getattr(node, "workeroutput", {}).get("fuzzed", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TIMES is not None:
        for test, cases in sorted(RAN.items()):
            terminalreporter.write_line(f"{cases:9,} {test}")
        terminalreporter.write_line(f"{RAN.total():9,} cases ran in total")
