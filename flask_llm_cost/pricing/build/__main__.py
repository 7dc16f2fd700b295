"""``python -m flask_llm_cost.pricing.build``: make, or check, the bundled table."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click

from ..parse import parse_entries
from ..published.genai import PROVIDERS as GENAI_PROVIDERS
from ..published.genai import read_genai
from ..published.litellm import candidates
from ..published.litellm import read_litellm
from ..published.litellm import regional_multipliers
from ..published.litellm import retirements
from ..render import entry_body
from ..render import render
from ..sanity import broken_rules
from ..table_body import table_body
from .merge import Merged
from .merge import Second
from .merge import merge
from .report import report
from .sources import GENAI_PRICES
from .sources import LITELLM
from .sources import BuildError
from .sources import fetch
from .sources import genai_data
from .sources import litellm_rows

BUNDLE = Path(__file__).parent.parent / "prices.json"
REPORT = Path(__file__).parents[3] / "docs" / "price-sources.md"
#: What the table says once: most of its entries come from there.
DEFAULTS = {"source": "genai-prices", "confidence": "single"}


@click.command(help=__doc__)
@click.option("--output", type=click.Path(path_type=Path), default=BUNDLE, help="Where to write the table.")
@click.option(
    "--report",
    "report_path",
    type=click.Path(path_type=Path),
    default=REPORT,
    help="Where to write what was decided.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 1 if the files are not what the sources give."
)
def main(output: Path, report_path: Path, check: bool) -> None:
    try:
        table, decided = build()
    except BuildError as error:
        raise click.ClickException(str(error)) from error
    wrong = False
    for path, text in ((output, table), (report_path, decided)):
        if check:
            same = path.is_file() and path.read_text("utf-8") == text
            click.echo(f"{path.name} is {'up to date' if same else 'not what the sources give'}")
            wrong = wrong or not same
        else:
            path.write_text(text, "utf-8")
            click.echo(f"{path.name}: {len(text.encode()):,} bytes")
    if wrong:
        sys.exit(1)


def build() -> tuple[str, str]:
    """The table's text and the report of what was decided.

    :raises BuildError: a source cannot be had, or its data breaks a rule.
    """
    with tempfile.TemporaryDirectory(prefix="prices-") as name:
        directory = Path(name)
        rows = litellm_rows(fetch(LITELLM, directory))
        theirs = {there: here for there, here in GENAI_PROVIDERS.items()}
        names = candidates(rows)
        wanted = {there: names.get(here, []) for there, here in theirs.items()}
        data = genai_data(fetch(GENAI_PRICES, directory), directory, wanted)
    first = read_genai(data)
    second = Second(read_litellm(rows), retirements(rows), regional_multipliers(rows))
    merged = merge(first, second)
    broken = broken_rules(merged.entries)
    if broken:
        raise BuildError("These prices break a rule (see sanity.py):\n" + "\n".join(broken))
    bodies = {key: entry_body(entry) for key, entry in merged.entries.items()}
    sources = [pin.as_source() for pin in (GENAI_PRICES, LITELLM)]
    text = render(bodies, sources, first.generated_at, DEFAULTS)
    _read_back(text, merged)
    return text, report(merged, sources, first.generated_at)


def _read_back(text: str, merged: Merged) -> None:
    """The rendered table, read by the parser that apps use, must say what was merged."""
    read = parse_entries("prices.json", table_body("prices.json", json.loads(text)).entries)
    for key, entry in merged.entries.items():
        if read[key].sheet != entry.sheet or len(read[key].periods) != len(entry.periods):
            raise BuildError(f"{key} reads back as something else.")


if __name__ == "__main__":
    main()
