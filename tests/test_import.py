"""What ``import flask_llm_cost`` loads: every worker of every host pays for it when it starts."""

from __future__ import annotations

import subprocess
import sys

#: Needed by some apps, commands or requests only, and slow to import.
LATER = (
    "celery",
    "rich",
    "yaml",
    "flask_llm_cost.analytics",
    "flask_llm_cost.cli.report",
    "flask_llm_cost.dashboard",
    "flask_llm_cost.doctor",
    "flask_llm_cost.maintenance",
    "sqlalchemy.dialects.postgresql",
)


def test_an_import_loads_nothing_that_not_every_worker_needs() -> None:
    code = "import sys, flask_llm_cost; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines())

    assert "flask_llm_cost.extension" in loaded
    assert not loaded & set(LATER)
