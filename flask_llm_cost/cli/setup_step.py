"""One step of ``setup``: what is there already, or what is to be done, and how that is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _nothing() -> None:
    """There is nothing to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that an app needs.

    :param done: told once it is done, or of what is there already.
    :param plan: what would be done, told of a dry run; empty where it is there already.
    :param left: the commands that are left to whoever runs it.
    """

    done: str
    plan: str = ""
    act: Callable[[], None] = _nothing
    left: tuple[str, ...] = ()

    def tell(self, dry_run: bool) -> str:
        """Do it, unless it is a dry run, and say so."""
        if dry_run:
            return f"Would {self.plan}." if self.plan else self.done
        self.act()
        return self.done
