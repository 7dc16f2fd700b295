"""Importing what a provider says it billed, from its admin API or from a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..ledger import Ledger
from ..ledger import LedgerUnavailable
from .admin_api import AdminApi
from .csv_file import read_csv
from .errors import PageTokenRefused
from .errors import ReconciliationError
from .source import Page
from .source import Period
from .source import Source
from .source import read_page
from .store import Run
from .store import begin
from .store import note_failure
from .store import store_page

CSV = "csv"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import has stored.

    :param resumed: whether it went on where an earlier one had stopped.
    :param unread: columns of a file that were not read.
    """

    provider: str
    source: str
    period: Period
    pages: int
    lines: int
    resumed: bool = False
    unread: tuple[str, ...] = ()


def import_source(
    ledger: Ledger,
    source: Source,
    api: AdminApi,
    period: Period,
    *,
    on_page: Callable[[int], object] | None = None,
) -> Imported:
    """Import one source's answer for a period, page by page; what was stored before a failure stays.

    :param on_page: called with the number of each page that is stored.
    :raises ReconciliationError: it broke off. Called again, it goes on there.
    :raises LedgerUnavailable: the database cannot be used now.
    """
    run = begin(ledger, source.provider, source.name, period)
    resumed = run.resumed
    try:
        while True:
            try:
                page = _page(source, api, run)
            except PageTokenRefused:
                if not run.resumed:  # it has named that page just now
                    raise
                run, resumed = begin(ledger, source.provider, source.name, period, anew=True), False
                page = _page(source, api, run)
            run = store_page(ledger, run, page)
            if on_page is not None:
                on_page(run.pages)
            if run.token is None:
                return Imported(source.provider, source.name, period, run.pages, run.lines, resumed)
    except (ReconciliationError, KeyboardInterrupt) as problem:
        _note_quietly(ledger, run, problem)
        raise


def _page(source: Source, api: AdminApi, run: Run) -> Page:
    answer = api.page(source.path, source.ask(run.period), token=run.token)
    try:
        return read_page(source, answer, run.token, run.period)
    except ReconciliationError as error:
        raise ReconciliationError(f"{api.place(source.path)}, page {run.pages + 1}: {error}") from None


def _note_quietly(ledger: Ledger, run: Run, problem: BaseException) -> None:
    try:
        note_failure(ledger, run, problem)
    except LedgerUnavailable:
        return  # it stays "running", which is gone on with in the same way


def import_csv(
    ledger: Ledger, provider: str, path: Path, *, columns: dict[str, str] | None = None, currency: str = "USD"
) -> Imported:
    """Import a CSV file whole or not at all. It stands for all days from its first to its last one.

    :param provider: as the ledger names it.
    :param columns: by our name of a column the file's, where it differs.
    :param currency: of amounts, where the file has no column for it.
    :raises InvoiceFileError: the file is not as described.
    :raises LedgerUnavailable: the database cannot be used now.
    """
    found = read_csv(path, columns=columns or {}, currency=currency)
    run = begin(ledger, provider, CSV, found.period, anew=True)
    page = Page([(found.period.start, found.period.end)], found.lines, None)
    run = store_page(ledger, run, page)
    return Imported(provider, CSV, found.period, run.pages, run.lines, unread=found.unread)
