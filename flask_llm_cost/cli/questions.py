"""Asking before something is changed."""

from __future__ import annotations

import sys

import click


def ask_whether(question: str) -> None:
    """Ask, and go on only after a yes.

    :raises click.Abort: the answer was no.
    :raises click.UsageError: nobody is there to answer, as in a nightly job.
    """
    try:
        agreed = click.confirm(question)
    except click.Abort:  # the end of the input, or Ctrl-C
        if sys.stdin.isatty():
            raise
        raise click.UsageError(
            "Nobody answered. Without a terminal give --yes, or --dry-run to look."
        ) from None
    if not agreed:
        raise click.Abort
