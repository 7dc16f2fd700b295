"""The Python code of the README and the documentation runs as it stands, against a loopback provider."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback import LoopbackProvider
from tests.loopback import loopback_provider

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^<!-- run(?P<how>: new|: continue)? -->\n```python\n(?P<code>.*?)^```$", re.M | re.S)


def _programs(page: Path) -> list[str]:
    """The programs of a page: a marked block, with the blocks that continue it."""
    programs: list[str] = []
    for match in _BLOCK.finditer(page.read_text("utf-8")):
        if match["how"] == ": continue":
            programs[-1] += match["code"]
        else:
            programs.append(match["code"])
    return programs


PROGRAMS = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, code in enumerate(_programs(page), start=1)
]


@pytest.fixture(scope="module")
def provider() -> Iterator[LoopbackProvider]:
    with loopback_provider() as server:
        yield server


@pytest.mark.parametrize("code", PROGRAMS)
def test_documented_code_runs(code: str, provider: LoopbackProvider, tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(code, "utf-8")
    environment = {
        **os.environ,
        "OPENAI_API_KEY": "loopback",
        "OPENAI_BASE_URL": f"{provider.url}/v1",
        "ANTHROPIC_API_KEY": "loopback",
        "ANTHROPIC_BASE_URL": provider.url,
        "FLASK_SQLALCHEMY_DATABASE_URI": "sqlite:///app.sqlite",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", str(program)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_shows_a_program_that_runs() -> None:
    assert _programs(ROOT / "README.md")
