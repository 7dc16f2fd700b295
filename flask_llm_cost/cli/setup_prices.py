"""The prices file in ``setup``: an empty one to begin with."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ..errors import ConfigurationError
from ..pricing.tables import file_table
from .setup_step import Step

_YAML = """\
# Prices of your own: USD per million tokens, as text. They win over the bundled ones, each as a whole.
#
# openai/our-model:
#   input: "1.25"
#   cache_read_input: "0.125"
#   output: "10"
#
# `flask llm-cost prices refresh` adds newer ones from a published list. It writes the file anew, as JSON.
# An entry takes the place of this line:
{}
"""
_BEGINNINGS = {".json": "{}\n", ".yml": _YAML, ".yaml": _YAML}


def prices_step(path: Path) -> Step:
    """Begin a prices file; one that is there is read and left as it is.

    :raises click.UsageError: it is not named as YAML or JSON. :raises click.ClickException: its directory is
        missing, or the file that is there is malformed.
    """
    beginning = _BEGINNINGS.get(path.suffix.lower())
    if beginning is None:
        raise click.BadParameter(
            f"{str(path)!r} does not end in .yml, .yaml or .json.", param_hint="--prices"
        )
    if path.exists():
        try:
            table = file_table(path)
        except ConfigurationError as error:
            raise click.ClickException(f"{error} Mend or remove it first. Nothing was changed.") from error
        return Step(f"The prices file {path} is there, with {len(table):,} entries.")
    if not path.parent.is_dir():
        raise click.ClickException(
            f"There is no directory {path.parent}: make it first. Nothing was changed."
        )
    return Step(
        f"Wrote {path}, a prices file without entries.",
        f"write {path}, a prices file without entries",
        partial(_write, path, beginning),
    )


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise click.ClickException(f"{path} cannot be written: {reason}. Name another place.") from error


def named_in_config(root_path: str, path: Path) -> str:
    """How ``LLM_COST_PRICES_FILE`` names the file: from the app's root on, where it is below that."""
    found, root = path.resolve(), Path(root_path).resolve()
    return found.relative_to(root).as_posix() if found.is_relative_to(root) else str(found)
