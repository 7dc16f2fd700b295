"""``python -m flask_llm_cost.pricing.build``: make, or check, the bundled table."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click

from ..parse import parse_entries
from ..parse import table_body
from ..published.genai import PROVIDERS as GENAI_PROVIDERS
from ..published.genai import read_genai
from ..published.litellm import candidates
from ..published.litellm import read_litellm
from ..render import entry_body
from ..render import render
from ..sanity import broken_rules
from ..sanity import warnings
from .merge import Merged
from .merge import merge
from .sources import GENAI_PRICES
from .sources import LITELLM
from .sources import BuildError
from .sources import fetch
from .sources import genai_data
from .sources import litellm_rows

BUNDLE = Path(__file__).parent.parent / "prices.json"


@click.command(help=__doc__)
@click.option("--output", type=click.Path(path_type=Path), default=BUNDLE, help="Where to write the table.")
@click.option("--report", type=click.Path(path_type=Path), help="Where to write the report; else to stdout.")
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 1 if the table is not what the sources give."
)
def main(output: Path, report: Path | None, check: bool) -> None:
    try:
        text, findings = build()
    except BuildError as error:
        raise click.ClickException(str(error)) from error
    if report is None:
        click.echo(findings)
    else:
        report.write_text(findings, "utf-8")
    if check:
        same = output.is_file() and output.read_text("utf-8") == text
        click.echo(f"{output.name} is {'up to date' if same else 'not what the sources give'}", err=True)
        sys.exit(0 if same else 1)
    output.write_text(text, "utf-8")
    click.echo(f"{output.name}: {len(text):,} bytes", err=True)


def build() -> tuple[str, str]:
    """The table's text and the report.

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
    merged = merge(first, read_litellm(rows))
    broken = broken_rules(merged.entries)
    if broken:
        raise BuildError("These prices break a rule (see sanity.py):\n" + "\n".join(broken))
    bodies = {key: entry_body(entry) for key, entry in merged.entries.items()}
    text = render(bodies, [pin.as_source() for pin in (GENAI_PRICES, LITELLM)], first.generated_at)
    _read_back(text, merged)
    return text, findings(merged)


def _read_back(text: str, merged: Merged) -> None:
    """The rendered table, read by the parser that apps use, must say what was merged."""
    read = parse_entries("prices.json", table_body("prices.json", json.loads(text)).entries)
    for key, entry in merged.entries.items():
        if read[key].sheet != entry.sheet or len(read[key].periods) != len(entry.periods):
            raise BuildError(f"{key} reads back as something else.")


def findings(merged: Merged) -> str:
    """The report: how many records there are, where the sources disagree, what was left out."""
    kinds: dict[str, int] = {}
    for entry in merged.entries.values():
        label = f"{entry.provenance['source']}, {entry.provenance['confidence']}"
        kinds[label] = kinds.get(label, 0) + 1
    parts = [
        f"{len(merged.entries)} models, {merged.agreed} names confirmed by both sources",
        *(f"  {label}: {count}" for label, count in sorted(kinds.items())),
    ]
    for title, lines in (
        ("Disagreements (the first source stands)", merged.disagreements),
        ("Remarks", merged.remarks),
        ("Unusual", warnings(merged.entries)),
    ):
        parts += ["", f"{title}: {len(lines)}", *(f"  {line}" for line in sorted(lines))]
    return "\n".join(parts)


if __name__ == "__main__":
    main()
