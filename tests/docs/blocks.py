"""The code blocks of a documentation page, and the programs that those in Python make.

A comment before a block says what is special about it; readers do not see it:

``<!-- new program -->``
    The block does not go on where the one before it on the page ended.
``<!-- output -->``
    What the program prints; ``...`` stands for anything.
``<!-- stack: litellm -->``
    The block needs packages of that stack and is run by ``make test-stacks``.
``<!-- hidden``, ``<!-- new program`` or ``<!-- output``, with lines up to ``-->``
    Code that belongs to the program, or what it prints, that would only distract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MARKS = ("new program", "hidden", "output")
STACK = "stack: "


@dataclass(frozen=True)
class Block:
    """A fenced block, or a comment with hidden code; ``language`` is what follows the fence."""

    page: Path
    line: int
    language: str
    code: str
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass
class Program:
    """Blocks in Python that are run one after the other, in one process."""

    blocks: list[Block]
    outputs: list[str] = field(default_factory=list)

    @property
    def code(self) -> str:
        return "\n".join(block.code for block in self.blocks)

    @property
    def stack(self) -> str:
        """The stack that it needs, or ``""``."""
        marks = [block.mark for block in self.blocks if block.mark.startswith(STACK)]
        return marks[0].removeprefix(STACK) if marks else ""


def blocks(page: Path) -> Iterator[Block]:
    """Every block of a page, from the top down.

    :raises ValueError: a mark that stands alone, or that nobody knows.
    """
    lines = iter(enumerate(page.read_text("utf-8").splitlines(), start=1))
    mark = ""
    for number, line in lines:
        fence = re.match(r"(?P<fence>`{3,}|~{3,})(?P<language>.*)$", line)
        comment = re.match(r"<!-- (?P<mark>.*?)(?P<whole> -->)?$", line)
        if mark and (_is_known(mark) != bool(fence)):
            raise ValueError(f"{page}:{number}: the comment {mark!r} before a block is none of {MARKS}")
        if fence:
            yield Block(page, number, fence["language"].strip(), _until(lines, fence["fence"]), mark)
        elif comment and not comment["whole"] and _is_known(comment["mark"]):
            language = "text" if comment["mark"] == "output" else "python"
            yield Block(page, number, language, _until(lines, "-->"), comment["mark"])
        mark = comment["mark"] if comment and comment["whole"] else ""


def _is_known(mark: str) -> bool:
    return mark in MARKS or mark.startswith(STACK)


def _until(lines: Iterator[tuple[int, str]], end: str) -> str:
    found = []
    for _, line in lines:
        if line == end:
            break
        found.append(f"{line}\n")
    return "".join(found)


def programs(page: Path) -> list[Program]:
    """The programs of a page."""
    found: list[Program] = []
    for block in blocks(page):
        if block.language == "python":
            if block.mark == "new program" or block.mark.startswith(STACK) or not found:
                found.append(Program([]))
            found[-1].blocks.append(block)
        elif block.mark == "output":
            found[-1].outputs.append(block.code)
    return found
