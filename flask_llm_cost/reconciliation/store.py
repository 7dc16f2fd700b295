"""Writing what was imported: a page at a time, each with the place where the import goes on.

Lines that an earlier import told of the same days are replaced, those of a run that goes on are added to.
So the same period imported twice is the same rows, and a day that two imports share is in one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from functools import partial
from typing import Any
from typing import Literal
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy import and_
from sqlalchemy import delete
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy import update

from ..ledger import Base
from ..ledger import EventRefused
from ..ledger import Ledger
from ..ledger.statements import insert_adding
from ..ledger.statements import insert_ignoring
from .errors import ReconciliationError
from .line import Line
from .source import Bucket
from .source import Page
from .source import Period

IMPORTS = Base.metadata.tables["llm_cost_invoice_imports"]
LINES = Base.metadata.tables["llm_cost_invoice_lines"]

Status = Literal["running", "failed", "complete"]

_SUMS = ("amount", "rounding", "quantity")
_PERIOD_KEY = ("provider", "source", "period_start", "period_end")
#: Conditions on so many buckets in one statement.
_BUCKETS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Run:
    """An import under way, as its row tells.

    :param token: the provider's name of the page that is next; ``None`` where the first one is.
    :param resumed: whether an earlier run got this far.
    """

    import_id: int
    provider: str
    source: str
    period: Period
    run_id: str
    token: str | None = None
    pages: int = 0
    lines: int = 0
    resumed: bool = False


def begin(ledger: Ledger, provider: str, source: str, period: Period, *, anew: bool = False) -> Run:
    """Start an import, or go on with the one of the same period that broke off.

    :param anew: begin at the first page in any case.
    """
    return ledger.transaction(partial(_begin, provider=provider, source=source, period=period, anew=anew))


def _begin(connection: Connection, provider: str, source: str, period: Period, anew: bool) -> Run:
    now = datetime.now(UTC)
    fresh: dict[str, Any] = {
        "run_id": str(uuid4()),
        "status": "running",
        "page_token": None,
        "page_count": 0,
        "line_count": 0,
        "problem": None,
        "started_at": now,
        "changed_at": now,
    }
    place = dict(zip(_PERIOD_KEY, (provider, source, period.start, period.end), strict=True))
    connection.execute(insert_ignoring(IMPORTS, _PERIOD_KEY, connection.dialect.name), {**place, **fresh})
    found = (
        connection.execute(
            select(IMPORTS)
            .where(*(IMPORTS.columns[name] == value for name, value in place.items()))
            .with_for_update()
        )
        .mappings()
        .one()
    )
    if not anew and found["page_token"] is not None and found["status"] != "complete":
        return Run(
            found["id"], provider, source, period, found["run_id"], found["page_token"],
            found["page_count"], found["line_count"], resumed=True,
        )  # fmt: skip
    connection.execute(update(IMPORTS).where(IMPORTS.columns.id == found["id"]).values(**fresh))
    return Run(found["id"], provider, source, period, fresh["run_id"])


def store_page(ledger: Ledger, run: Run, page: Page) -> Run:
    """Write one page, and where the next one is, in one transaction; the last one completes the import.

    :raises ReconciliationError: another import of the same period has gone on meanwhile.
    """
    after = replace(
        run, token=page.next_token, pages=run.pages + 1, lines=run.lines + len(page.lines), resumed=False
    )
    try:
        ledger.transaction(partial(_store, run=run, after=after, page=page))
    except EventRefused as error:
        raise ReconciliationError(f"The database refuses a line of the page ({error.reason}).") from None
    return after


def _store(connection: Connection, run: Run, after: Run, page: Page) -> None:
    complete = page.next_token is None
    moved = connection.execute(
        update(IMPORTS)
        .where(
            IMPORTS.columns.id == run.import_id,
            IMPORTS.columns.run_id == run.run_id,
            IMPORTS.columns.page_count == run.pages,
        )
        .values(
            status="complete" if complete else "running",
            page_token=page.next_token,
            page_count=after.pages,
            line_count=after.lines,
            problem=None,
            changed_at=datetime.now(UTC),
        )
    )
    if moved.rowcount != 1:
        raise ReconciliationError(
            f"Another import of {run.source} from {run.period} goes on at the same time; let it finish."
        )
    for some in _chunks(page.buckets):
        spans = [
            and_(LINES.columns.bucket_start >= start, LINES.columns.bucket_start < end) for start, end in some
        ]
        connection.execute(_replaced(run).where(or_(*spans)))
    rows = [_row(line, run) for line in page.lines]
    if rows:
        connection.execute(insert_adding(LINES, _SUMS, connection.dialect.name), rows)
    if complete:
        # Days that the answer leaves out have nothing to tell any more.
        connection.execute(
            _replaced(run).where(
                LINES.columns.bucket_start >= run.period.start, LINES.columns.bucket_start < run.period.end
            )
        )


def _replaced(run: Run) -> Any:
    """The deletion of what other runs have told."""
    column = LINES.columns
    return delete(LINES).where(
        column.provider == run.provider, column.source == run.source, column.run_id != run.run_id
    )


def _row(line: Line, run: Run) -> dict[str, Any]:
    return {
        "line_key": line.key(run.provider, run.source),
        "run_id": run.run_id,
        "provider": run.provider,
        "source": run.source,
        **asdict(line),
    }


def note_failure(ledger: Ledger, run: Run, problem: BaseException) -> None:
    """Note that a run broke off, by the error's class; what it has stored stays."""
    ledger.transaction(partial(_note, run=run, problem=type(problem).__name__))


def _note(connection: Connection, run: Run, problem: str) -> None:
    connection.execute(
        update(IMPORTS)
        .where(IMPORTS.columns.id == run.import_id, IMPORTS.columns.run_id == run.run_id)
        .values(status="failed", problem=problem, changed_at=datetime.now(UTC))
    )


def _chunks(buckets: Sequence[Bucket]) -> Iterable[Sequence[Bucket]]:
    for start in range(0, len(buckets), _BUCKETS_AT_ONCE):
        yield buckets[start : start + _BUCKETS_AT_ONCE]
