"""A bar for work that takes a while: on standard error, and only where somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

T = TypeVar("T")


@contextmanager
def progress(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """Show progress towards ``length``; call what is yielded with how far the work has come."""
    if not sys.stderr.isatty():
        yield _ignore
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield lambda reached: bar.update(reached - bar.pos)


def watched(work: Iterable[T], label: str) -> list[T]:
    """Do work whose length nobody knows, showing that it goes on."""
    if not sys.stderr.isatty():
        return list(work)
    with click.progressbar(work, label=label, file=sys.stderr) as bar:
        return list(bar)


def _ignore(reached: int) -> None:
    """Nobody watches."""
