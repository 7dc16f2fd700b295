"""``make test-stacks``: libraries that stand on each other's clients, each in an environment of its own. How
often is what they send recorded with the SDKs tapped, with the HTTP packages tapped, and with both?
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: By stack: what is installed for it, the newest versions that go together.
REQUIREMENTS = {
    "langchain": ["langchain-openai", "langchain-anthropic"],
    "litellm": ["litellm"],
    "pydantic-ai": ["pydantic-ai-slim[openai,anthropic,google]"],
    "instructor": ["instructor"],
    "llama-index": ["llama-index-llms-openai"],
    "boto3": ["boto3"],
}
INSTRUMENTS = ("auto", "http", "auto,http")
_SECONDS = 600


def main(stacks: list[str]) -> int:
    """Print the table; the exit code is the number of shapes that are not recorded once per request."""
    print(f"{'stack':<12} {'shape':<32} {'sent':>4}  rows by LLM_COST_INSTRUMENT: {', '.join(INSTRUMENTS)}")
    wrong = 0
    for stack in stacks or REQUIREMENTS:
        with tempfile.TemporaryDirectory() as folder:
            python = _environment(Path(folder), REQUIREMENTS[stack])
            for line, is_right in _lines(stack, python):
                wrong += not is_right
                print(line, flush=True)
            for line, is_right in _documented(stack, python):
                wrong += not is_right
                print(line, flush=True)
    return min(wrong, 100)


def _environment(folder: Path, requirements: list[str]) -> Path:
    """The Python of a fresh environment."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=_SECONDS)
    python = folder / "bin" / "python"
    command = [
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        ROOT,
        "trustme",
        *requirements,
    ]
    subprocess.run(command, check=True, timeout=_SECONDS, stderr=subprocess.DEVNULL)
    return python


def _lines(stack: str, python: Path) -> Iterator[tuple[str, bool]]:
    """A line per shape, and whether each of its requests was recorded once where HTTP packages are tapped,
    and once or not at all where only SDKs are.
    """
    found = [_run(python, "tests.stacks.scenarios", stack, instrument) for instrument in INSTRUMENTS]
    for shapes in zip(*found, strict=True):
        sent = shapes[0]["sent"]
        rows = [len(shape["rows"]) for shape in shapes]
        is_right = sent > 0 and rows[0] in (0, sent) and rows[1] == rows[2] == sent
        failure = next((shape["failure"] for shape in shapes if shape["failure"]), "")
        counts = " ".join(f"{count:>4}" for count in rows)
        remark = ("" if is_right else "  WRONG") + (f"  {failure}" if failure else "")
        yield f"{stack:<12} {shapes[0]['shape']:<32} {sent:>4}  {counts}{remark}", is_right


def _documented(stack: str, python: Path) -> Iterator[tuple[str, bool]]:
    """A line per program of the documentation, and whether each of its requests was recorded once."""
    for shape in _run(python, "tests.stacks.documented", stack):
        rows = len(shape["rows"])
        is_right = rows == shape["sent"] > 0 and not shape["failure"]
        remark = "" if is_right else f"  WRONG  {shape['failure']}"
        yield f"{stack:<12} {shape['shape']:<32} {shape['sent']:>4}  {rows:>4} documented{remark}", is_right


def _run(python: Path, module: str, stack: str, *more: str) -> list[dict[str, Any]]:
    command = [python, "-m", module, stack, *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode:
        raise SystemExit(f"{stack} could not be run:\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
