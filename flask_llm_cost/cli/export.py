"""``flask llm-cost export``: calls, line items or tags as a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from typing import Any

import click
from flask.cli import with_appcontext

from ..analytics import CallQuery
from ..maintenance import WRITERS
from ..maintenance import Extent
from ..maintenance import FileFormat
from ..maintenance import What
from ..maintenance import batches
from ..maintenance import columns_of
from ..maintenance import extent
from ..wording import plural
from .narrowing import Narrowing
from .narrowing import narrowing
from .progress import progress
from .state import current_runtime
from .state import one_sentence_errors
from .state import require_ledger


@click.command("export", short_help="Write calls, line items or tags to a file.")
@click.argument("what", type=click.Choice(["calls", "line-items", "tags"]), default="calls")
@click.option(
    "--format",
    "output",
    type=click.Choice(list(WRITERS)),
    default="csv",
    show_default=True,
    help="Parquet needs pyarrow: pip install 'flask-llm-cost[parquet]'.",
)
@click.option(
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; it must not be there yet.  [default: standard output]",
)
@click.option(
    "--after",
    type=click.IntRange(0),
    default=0,
    metavar="ID",
    help="Only calls behind this id: goes on with an export that ended, in the same file if it is there.",
)
@narrowing("all time")
@with_appcontext
def export(what: What, output: FileFormat, path: Path | None, after: int, **given: Any) -> None:
    """Write calls, or the line items or tags of calls, in the order of the calls' ids.

    Calls may arrive meanwhile; those that were there at the beginning are written. Days are those of
    LLM_COST_TIMEZONE, times in the file are UTC, and every amount is exact.
    """
    wanted = Narrowing.of(given)
    if output == "parquet" and path is None:
        raise click.UsageError("Parquet needs --output FILE.")
    runtime = current_runtime()
    with one_sentence_errors(runtime):
        require_ledger(runtime)
        query = wanted.applied_to(runtime.calls, None)
        found = extent(query, after)
        with _opened(path, output, goes_on=after > 0) as (file, header):
            rows = _Export(query, what, output, found).write(file, header=header)
    click.echo(_told(what, rows, found, query, path), err=True)


class _Export:
    """One run: which batch has been written, and what to say where it ends early."""

    def __init__(self, query: CallQuery, what: What, output: FileFormat, found: Extent) -> None:
        self._query = query
        self._what = what
        self._output = output
        self._found = found
        self._written: int | None = None

    def write(self, file: IO[bytes], *, header: bool) -> int:
        """Write all rows and count them.

        :raises click.ClickException: it was interrupted, or the file takes no more.
        """
        rows = 0
        try:
            writer = WRITERS[self._output](file, columns_of(self._what), header=header)
            try:
                rows = self._write_batches(writer, file)
            finally:
                writer.close()
        except KeyboardInterrupt:
            raise click.ClickException(f"Interrupted. {self._how_to_go_on()}") from None
        except BrokenPipeError:
            raise
        except OSError as error:
            raise click.ClickException(
                f"The file takes no more ({error.strerror or type(error).__name__}). {self._how_to_go_on()}"
            ) from None
        except Exception:
            click.echo(self._how_to_go_on(), err=True)
            raise
        return rows

    def _write_batches(self, writer: Any, file: IO[bytes]) -> int:
        rows = calls = 0
        with progress(self._found.calls, f"Exporting {self._what}") as reached:
            for batch in batches(self._query, self._what, self._found):
                with _whole(file, self._output):
                    writer.write(batch.rows)
                    file.flush()
                self._written = batch.last_id
                rows, calls = rows + len(batch.rows), calls + batch.calls
                reached(calls)
        return rows

    def _how_to_go_on(self) -> str:
        if self._written is None:
            return "Nothing was written: start again."
        return f"Everything up to call {self._written} is written: go on with --after {self._written}."


@contextmanager
def _whole(file: IO[bytes], output: FileFormat) -> Iterator[None]:
    """Leave no part of a batch behind in a file of lines."""
    start = file.tell() if output != "parquet" and file.seekable() else None
    try:
        yield
    except BaseException:
        if start is not None:
            os.ftruncate(file.fileno(), start)
        raise


@contextmanager
def _opened(path: Path | None, output: FileFormat, *, goes_on: bool) -> Iterator[tuple[IO[bytes], bool]]:
    """Standard output, a new file, or the end of one that ended early; and whether it needs a header.

    :raises click.ClickException: it cannot be written to. :raises click.UsageError: it is there already.
    """
    if path is None:
        yield sys.stdout.buffer, not goes_on
        return
    is_there = path.exists()
    if is_there and (not goes_on or output == "parquet"):
        hint = "Parquet cannot be continued" if goes_on else "--after ID goes on with one that ended early"
        raise click.UsageError(f"{path} is there already: give another name. {hint}.")
    if is_there and not _ends_with_a_line(path):
        raise click.UsageError(f"The last line of {path} is not whole: delete that line, then go on.")
    try:
        file = path.open("ab" if is_there else "xb")
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror or type(error).__name__}.") from None
    with file:
        yield file, file.tell() == 0


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return size == 0 or file.read() == b"\n"


def _told(what: What, rows: int, found: Extent, query: CallQuery, path: Path | None) -> str:
    if not found.calls:
        return "No calls match."
    counted = plural(rows, {"calls": "call", "line-items": "line item", "tags": "tag"}[what])
    where = "" if path is None else f" to {path}"
    span = f"all time ({query.zone})"
    if query.range is not None:
        span = f"{query.range[0]:%Y-%m-%d %H:%M} to {query.range[1]:%Y-%m-%d %H:%M} ({query.zone})"
    return f"Exported {counted}{where}: {span}, times in UTC. The last call is {found.last}."
