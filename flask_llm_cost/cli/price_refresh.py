"""``flask llm-cost prices refresh`` and ``check``: a published price list against the prices in force."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Literal

import click
from flask import current_app
from flask.cli import with_appcontext

from ..pricing import Catalog
from ..pricing import PriceTable
from ..pricing.refresh import ADDRESSES
from ..pricing.refresh import FORMATS
from ..pricing.refresh import Change
from ..pricing.refresh import Format as SourceFormat
from ..pricing.refresh import Plan
from ..pricing.refresh import PriceList
from ..pricing.refresh import PricesFile
from ..pricing.refresh import RefreshError
from ..pricing.refresh import make_plan
from ..pricing.refresh import read_source
from ..pricing.refresh import write_whole
from ..pricing.render import render
from ..wording import plural
from .options import dry_run_option
from .options import format_option
from .output import Cell
from .output import Column
from .output import Format
from .output import JSONValue
from .output import Table
from .output import echo_csv
from .output import echo_json
from .output import echo_table
from .output import exact
from .output import plain
from .state import current_runtime

Outcome = Literal["written", "unchanged", "dry_run", "refused", "drift"]

_COLUMNS = (
    Column("kind", "Change"),
    Column("key", "Model"),
    Column("rate", "Rate"),
    Column("before", "In force", number=True),
    Column("after", "The list says", number=True),
    Column("factor", "Factor", lambda value: "" if value is None else f"{value:.2f}", number=True),
    Column("note", "Note"),
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A price list, held against what is in force; without a plan where the list is the one at hand."""

    source: str
    file: PricesFile
    listed: PriceList | None
    plan: Plan | None

    @property
    def changes(self) -> tuple[Change, ...]:
        return self.plan.changes if self.plan else ()


def _source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Where the list comes from, and its format."""
    for option in (
        click.option(
            "--source-format",
            type=click.Choice(FORMATS),
            help="The list's format; found out if not given. Without --source, that project's own list.",
        ),
        click.option("--source", metavar="URL|FILE", help="The list.  [default: that of genai-prices]"),
    ):
        command = option(command)
    return command


_strict_option = click.option(
    "--strict", is_flag=True, help="Refuse also what is left out, breaks a rule or is unusual."
)


@click.command("refresh", short_help="Take newer prices into the prices file.")
@_source_options
@dry_run_option
@click.option("--force", is_flag=True, help="Write in spite of suspicious changes, and fetch anew.")
@_strict_option
@format_option
@with_appcontext
def refresh_prices(
    source: str | None,
    source_format: SourceFormat | None,
    dry_run: bool,
    force: bool,
    strict: bool,
    output: Format,
) -> None:
    """Fetch a published price list, check it, show what it changes, and put it into LLM_COST_PRICES_FILE.

    Manual entries stay as they are. Entries that break a rule are left out. Suspicious changes (models
    missing, many rates moved, a rate moved by more than five times) are refused without --force. The file is
    replaced in one step; the one before stays beside it, with .previous at the end. Running apps notice
    within seconds.

    The exit code is 1 where nothing was written because of what the list says, or because it cannot be had.
    """
    path = _prices_path()
    now = datetime.now(UTC)
    found = _compare(path, source, source_format, now, fresh=force)
    reasons = _reasons(found, strict=strict, force=force)
    outcome: Outcome = "refused" if reasons else "dry_run" if dry_run else "written"
    if outcome == "written":
        outcome = _write(found, now)
    _echo(found, outcome, reasons, output)
    if reasons:
        sys.exit(1)


@click.command("check", short_help="Say whether a price list differs from the prices in force.")
@_source_options
@_strict_option
@format_option
@with_appcontext
def check_prices(
    source: str | None, source_format: SourceFormat | None, strict: bool, output: Format
) -> None:
    """Hold a published price list against the prices in force. Nothing is written.

    The exit code is 1 where they differ: for a nightly job that shall notice new prices.
    """
    path = _configured_path()
    found = _compare(path, source, source_format, datetime.now(UTC), fresh=True)
    drift = bool(found.plan and found.plan.drift)
    reasons = _reasons(found, strict=strict, force=True)
    _echo(found, "drift" if drift else "refused" if reasons else "unchanged", reasons, output)
    if drift or reasons:
        sys.exit(1)


def _configured_path() -> Path | None:
    told = current_runtime().config.prices_file
    return Path(current_app.root_path, told) if told else None


def _prices_path() -> Path:
    path = _configured_path()
    if path is None:
        raise click.ClickException(
            "There is no prices file to write. Set LLM_COST_PRICES_FILE to a path that the app may write, "
            "such as instance/prices.json, and start it with: echo '{}' > instance/prices.json"
        )
    return path


def _compare(
    path: Path | None, source: str | None, wanted: SourceFormat | None, now: datetime, *, fresh: bool
) -> Comparison:
    """Fetch and compare.

    :raises click.ClickException: the list or the file cannot be read.
    """
    place = source or ADDRESSES.get(wanted or "genai-prices")
    if place is None:
        raise click.UsageError("A list in our own format has no address of its own: name it with --source.")
    try:
        file = PricesFile.read(path) if path else PricesFile(Path())
        listed = read_source(place, wanted, {} if fresh else file.etags)
        if listed is None:
            return Comparison(place, file, None, None)
        plan = make_plan(listed, file, _bundled(current_runtime().catalog), now)
    except RefreshError as error:
        raise click.ClickException(plain(str(error))) from error
    return Comparison(place, file, listed, plan)


def _bundled(catalog: Catalog) -> PriceTable:
    return catalog.tables[-1]


def _reasons(found: Comparison, *, strict: bool, force: bool) -> list[str]:
    """Why nothing is to be written."""
    if found.plan is None:
        return []
    reasons = [] if force else list(found.plan.reasons)
    if strict:
        refused = found.plan.refused
        reasons += [f"{change.key} breaks a rule: {change.note}." for change in refused]
        reasons += [f"Unusual: {warning}." for warning in found.plan.warnings]
    return reasons


def _write(found: Comparison, now: datetime) -> Outcome:
    today = now.date().isoformat()
    file, plan = found.file, found.plan
    if found.listed is None or plan is None:
        text = render(file.bodies, file.sources, today)
    else:
        about = {**found.listed.about, "fetched_on": today}
        text = render(plan.bodies, file.sources_with(about), today)
    try:
        write_whole(file.path, text)
    except RefreshError as error:
        raise click.ClickException(plain(str(error))) from error
    return "written" if plan and plan.drift else "unchanged"


def _echo(found: Comparison, outcome: Outcome, reasons: Sequence[str], output: Format) -> None:
    if output == "json":
        echo_json(_document(found, outcome, reasons))
    elif output == "csv":
        echo_csv([column.name for column in _COLUMNS], _rows(found))
    else:
        _echo_text(found, outcome, reasons)


def _rows(found: Comparison) -> list[Mapping[str, Cell]]:
    return [{column.name: getattr(change, column.name) for column in _COLUMNS} for change in found.changes]


def _document(found: Comparison, outcome: Outcome, reasons: Sequence[str]) -> dict[str, JSONValue]:
    plan = found.plan
    return {
        "source": found.source,
        "source_format": found.listed.format if found.listed else None,
        "outcome": outcome,
        "reasons": list(reasons),
        "warnings": list(plan.warnings) if plan else [],
        "kept_manual": list(plan.kept) if plan else [],
        "changes": [{name: exact(value) for name, value in row.items()} for row in _rows(found)],
    }


def _echo_text(found: Comparison, outcome: Outcome, reasons: Sequence[str]) -> None:
    plan = found.plan
    if plan is None:
        click.echo(f"{plain(found.source)} has not changed since it was fetched.")
    else:
        title = f"{plain(found.source)} ({found.listed.format if found.listed else ''})"
        echo_table(Table("changes", title, _COLUMNS, _rows(found), empty="No price differs."))
        click.echo()
        click.echo(_counts(plan))
        for warning in plan.warnings:
            click.echo(plain(f"  {warning}"))
    click.echo(_ending(found, outcome))
    for reason in reasons:
        click.echo(plain(f"  {reason}"))


def _counts(plan: Plan) -> str:
    kinds = [change.kind for change in plan.changes]
    parts = [
        plural(kinds.count("new"), "new model"),
        plural(kinds.count("changed"), "changed rate"),
        f"{kinds.count('removed'):,} removed",
        plural(kinds.count("alias"), "moved alias", "moved aliases"),
        f"{len(plan.kept):,} kept (manual)",
        f"{kinds.count('refused'):,} refused (breaking a rule)",
    ]
    return f"{', '.join(parts)}; {plural(len(plan.warnings), 'remark')}."


def _ending(found: Comparison, outcome: Outcome) -> str:
    endings: Mapping[Outcome, str] = {
        "written": f"Written: {found.file.path}. The file before it is kept with .previous at the end.",
        "unchanged": "The prices in force are those of the list.",
        "dry_run": "Dry run: nothing was written.",
        "drift": "The list has other prices. Take them with: flask llm-cost prices refresh",
        "refused": "Nothing was written. If the changes are right, --force takes suspicious ones:",
    }
    return plain(endings[outcome])
