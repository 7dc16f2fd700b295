"""The options that say what a made-up call uses, for the commands that price one."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal

import click

from ..usage import TOKEN_FIELDS
from ..usage import Usage
from .options import charge as read_charge

_COUNTS = tuple(name for name in TOKEN_FIELDS if name != "total_tokens")
#: What is priced where no count is given.
EXAMPLE = Usage(input_tokens=1_000, output_tokens=1_000)


def quantity_options(command: Callable[..., None]) -> Callable[..., None]:
    """One option per token count, named like the ledger's columns, and one for everything else."""
    command = click.option(
        "--charge",
        "charges",
        type=read_charge,
        multiple=True,
        metavar="COMPONENT=N",
        help="Other billed quantities, such as web_search_request=2. Can be repeated.",
    )(command)
    for name in reversed(_COUNTS):
        flag = f"--{name.replace('_', '-')}"
        words_of = name.removesuffix("_tokens").replace("_", " ")
        command = click.option(
            flag, type=click.IntRange(0, 10**12), metavar="N", help=f"Tokens: {words_of}."
        )(command)
    return command


def read_usage(counts: Mapping[str, int | None], charges: Sequence[tuple[str, Decimal]]) -> Usage:
    """What was typed in, or the example.

    :raises click.UsageError: the counts contradict each other, or a component is unknown.
    """
    told = {name: count for name, count in counts.items() if count is not None}
    if not told and not charges:
        return EXAMPLE
    try:
        return Usage(**told, charges=dict(charges))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
