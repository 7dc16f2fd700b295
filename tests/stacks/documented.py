"""The documented programs of a stack, run as they stand in an environment of its own.

``python -m tests.stacks.documented litellm`` prints a line of JSON for each, as :mod:`tests.stacks.scenarios`
does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.docs.blocks import PAGES
from tests.docs.blocks import programs
from tests.docs.internet import internet
from tests.loopback import loopback_provider
from tests.wire_formats import chat_completion

#: What the pages say once, for all of their programs.
SETTING = """
from flask import Flask

from flask_llm_cost import LLMCostTracker, with_tags

app = Flask(__name__)
app.config["LLM_COST_STORAGE"] = "log"
app.config["LLM_COST_INSTRUMENT"] = ["auto", "http"]
LLMCostTracker(app)
app.app_context().push()
"""
KEYS = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY"), "loopback")


def main(stack: str) -> None:
    """Run every program of a stack and print how many requests arrived and what was recorded."""
    for program in [found for page in PAGES for found in programs(page) if found.stack == stack]:
        with tempfile.TemporaryDirectory() as name, loopback_provider() as provider:
            folder = Path(name)
            if stack == "instructor":
                provider.answer(chat_completion("gpt-5-mini", '{"berths": 7}'))
            with internet(folder, provider.port) as net:
                (folder / "program.py").write_text(SETTING + program.code, "utf-8")
                done = subprocess.run(
                    [sys.executable, "program.py"],
                    cwd=folder,
                    env={**os.environ, **net.environment, **KEYS},
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )
            rows = [line for line in done.stderr.splitlines() if "llm call " in line]
            sent = sum(request.method == "POST" for request in provider.requests)
        failure = done.stderr[-300:] if done.returncode else None
        shape = f"{program.blocks[0].page.stem}:{program.blocks[0].line}"
        print(json.dumps({"shape": shape, "sent": sent, "rows": rows, "failure": failure}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
