"""The ``llm-cost`` group. The extension adds it to ``app.cli``, so only apps that track calls show it."""

from __future__ import annotations

from flask.cli import AppGroup

from .doctor import doctor
from .migrations import migrations
from .prices import prices
from .prune import prune
from .report import report
from .rollups import rebuild_rollups
from .verify import verify_capture

llm_cost = AppGroup(
    "llm-cost",
    help="What this app spends on LLM APIs, and on what.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _command in (doctor, verify_capture, report, prune, prices, migrations, rebuild_rollups):
    llm_cost.add_command(_command)
