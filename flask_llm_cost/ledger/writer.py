"""The ledger's write path: every event exactly once, with its line items, tags and rollups, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import contextmanager
from contextlib import nullcontext
from datetime import UTC
from datetime import datetime
from functools import partial
from itertools import islice
from secrets import token_urlsafe
from typing import Any
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy import Engine
from sqlalchemy import Select
from sqlalchemy import delete
from sqlalchemy import insert
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..events import Event
from .coverage import RollupChoice
from .coverage import begin_keeping
from .engine import LOCK_WAIT
from .engine import READERS
from .engine import WRITE_LOCK_WAIT
from .failures import EventRefused
from .failures import LedgerUnavailable
from .failures import retrying
from .listener import CallListener
from .meta import pruned_before
from .meta import tell_schema_version
from .patience import ANSWER_SECONDS
from .patience import answering_in_time
from .quarantine import PRUNED
from .quarantine import TOLD_DIFFERENTLY
from .quarantine import quarantine_row
from .rollups import TOKEN_SUMS
from .rollups import count_calls
from .rows import CALLS
from .rows import CHILDREN
from .rows import LINE_ITEMS
from .rows import QUARANTINE
from .rows import TAGS
from .rows import CallRows
from .rows import Row
from .rows import rows_of
from .schema import SchemaReport
from .schema import check_schema
from .schema import create_tables
from .statements import insert_ignoring
from .turns import Turns

T = TypeVar("T")

_ALL_CALLS = RollupChoice()

#: Seconds that a question waits for its turn.
READ_WAIT = 30.0

#: Ids in one ``IN (...)``: below every database's limit on parameters.
_IDS_AT_ONCE = 500

#: Twelve letters: no two batches have the same, and every call has a copy.
_BATCH_ID_BYTES = 9

#: What two events of the same call agree on. Tags, prices and times may have been told anew.
_SAID = ("provider", "model", "operation", "status", *TOKEN_SUMS)


class Ledger:
    """Writes calls to one database and answers whether its tables are as they should be.

    :param engine: from :func:`~flask_llm_cost.ledger.create_ledger_engine`. On a connection shared with the
        host the caller sees to it that the host has no transaction open.
    :param lock_wait: seconds a write waits for somebody else's lock.
    :param rollups: the daily sums that the app's configuration asks for.
    :param read_engine: of a replica of the database, from which questions are answered; ``None``: there is
        none, and ``engine`` answers them.
    :param listener: hears of the calls in the transactions that insert and delete them.
    :param in_time: break a connection on which no answer comes: somebody waits for it.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        lock_wait: float = LOCK_WAIT,
        rollups: RollupChoice = _ALL_CALLS,
        read_engine: Engine | None = None,
        listener: CallListener | None = None,
        in_time: bool = False,
    ) -> None:
        self.engine = engine
        self.read_engine = engine if read_engine is None else read_engine
        self.rollups = rollups
        self._lock_wait = lock_wait
        self._listener = listener
        self._in_time = in_time
        self._stamped = False
        self._readers = Turns(READERS)

    def write(self, events: Sequence[Event], *, lock_wait: float | None = None) -> int:
        """Store ``events`` in one transaction; those that are there already are left as they are.

        Events older than the last prune go to the quarantine: nobody can tell whether they were there. So
        do those whose id another call bears that is stored.

        :returns: how many calls were inserted.
        :raises LedgerUnavailable: nothing was stored; keep the events and try again.
        :raises EventRefused: nothing was stored, one of the events never can be.
        """
        rows = rows_of(events)
        if not rows:
            return 0
        if not self._stamped:
            self.transaction(lambda connection: begin_keeping(connection, self.rollups), lock_wait)
        inserted = self.transaction(lambda connection: self._insert(connection, rows), lock_wait)
        self._stamped = True
        if self._listener is not None:
            self._listener.committed()
        return inserted

    def write_or_quarantine(self, events: Sequence[Event], *, lock_wait: float | None = None) -> None:
        """Store ``events``; what can never be stored goes to the quarantine, without its personal parts.

        Where the tables are not as this version expects, nothing is said of the events by a refusal.

        :raises LedgerUnavailable: some may be stored, others not; write all of them again later.
        """
        try:
            self.write(events, lock_wait=lock_wait)
        except EventRefused as refusal:
            if refusal.by_database and not self.check_schema().ok:
                raise LedgerUnavailable(refusal.reason) from None
            if len(events) > 1:
                middle = len(events) // 2
                self.write_or_quarantine(events[:middle], lock_wait=lock_wait)
                self.write_or_quarantine(events[middle:], lock_wait=lock_wait)
            else:
                rows = [quarantine_row(events[0], refusal.reason)]
                self.transaction(lambda connection: _quarantine(connection, rows), lock_wait)

    def delete_calls(self, event_ids: Iterable[str], *, keep_rollups: bool) -> int:
        """Delete calls with their line items and tags, and unless ``keep_rollups`` their part of the sums.

        :returns: how many calls were deleted.
        :raises LedgerUnavailable: the calls of the failed and the following batches are still there.
        """
        deleted = 0
        for some in _chunks(dict.fromkeys(event_ids), _IDS_AT_ONCE):
            listener = None if keep_rollups else self._listener
            deleted += self.transaction(
                partial(_delete, event_ids=some, keep_rollups=keep_rollups, listener=listener)
            )
        return deleted

    def transaction(self, work: Callable[[Connection], T], lock_wait: float | None = None) -> T:
        """Run ``work`` in a transaction of its own that may write, again if another one was in the way.

        :raises LedgerUnavailable: it could not be committed for now.
        :raises EventRefused: the data is at fault.
        """
        seconds = self._lock_wait if lock_wait is None else lock_wait

        def attempt() -> T:
            with self.engine.connect() as connection:
                connection = connection.execution_options(**{WRITE_LOCK_WAIT: seconds})
                with self._answering(connection, seconds), connection.begin():
                    return work(connection)

        return retrying(attempt, seconds)

    def reading(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which only reads, on a connection of its own.

        :raises LedgerUnavailable: the database does not answer now.
        """

        def attempt() -> T:
            with self.engine.connect() as connection:
                if connection.dialect.name == "postgresql":  # without a transaction that is begun and ended
                    connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                with self._answering(connection, 0):
                    return work(connection)

        return retrying(attempt, 0)

    def _answering(self, connection: Connection, lock_wait: float) -> AbstractContextManager[None]:
        if not self._in_time:
            return nullcontext()
        return answering_in_time(connection, lock_wait + ANSWER_SECONDS)

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines that have connections of this ledger."""
        return tuple(dict.fromkeys((self.engine, self.read_engine)))

    def session(self) -> Session:
        """A session for reading what this database holds now, to be used in a ``with`` statement and closed
        soon.

        The engine has few connections: whoever keeps a session open for long holds up the writer.
        """
        return Session(self.engine, expire_on_commit=False)

    @contextmanager
    def read_session(self) -> Iterator[Session]:
        """A session for answering questions: on the replica, where there is one. It may be a little late.

        Few are open at a time, so that no number of readers holds up the writer; the others wait.

        :raises sqlalchemy.exc.TimeoutError: the turn did not come in half a minute.
        """
        with (
            self._readers.taken(READ_WAIT),
            Session(self.read_engine, expire_on_commit=False) as session,
        ):
            yield session

    def forked(self) -> None:
        """In a forked child: connections, and who reads on them, are the parent's."""
        self._readers = Turns(READERS)
        for engine in self.engines:
            engine.dispose(close=False)

    def check_schema(self) -> SchemaReport:
        """Compare the database with the models. Never raises; takes some milliseconds."""
        return check_schema(self.engine)

    def create_tables(self) -> None:
        """Create those of its tables, and of their indexes, that are missing.

        :raises SQLAlchemyError: the database refuses, or another process creates them at the same time.
        """
        create_tables(self.engine)

    def _insert(self, connection: Connection, rows: Sequence[CallRows]) -> int:
        # A fresh one for each attempt: after a commit that was answered with a broken connection the next
        # attempt must not take the rows of the first for its own.
        batch_id = token_urlsafe(_BATCH_ID_BYTES)
        now = datetime.now(UTC)
        dialect = connection.dialect.name
        first = {row.event_id: row for row in reversed(rows)}
        ours = [row for row in rows if row is first[row.event_id]]
        connection.execute(
            insert_ignoring(CALLS, "event_id", dialect),
            [{**row.call, "batch_id": batch_id, "created_at": now} for row in ours],
        )
        ids = {row.event_id: row.id for row in connection.execute(_of_batch(batch_id))}
        # Asked after the insert: what made the event insertable, a prune, had told so before.
        horizon = pruned_before(connection)
        new = [row for row in ours if row.event_id in ids]
        _put_aside(
            connection, [row for row in rows if row.event_id not in ids or row is not first[row.event_id]]
        )
        if horizon is not None:
            stale = [row for row in new if row.call["occurred_at"] < horizon]
            new = [row for row in new if row.call["occurred_at"] >= horizon]
            _send_away(connection, stale, ids)
        _insert_children(connection, new, ids)
        count_calls(connection, (row.call for row in new))
        if self._listener is not None:
            self._listener.inserted(connection, [row.call for row in new])
        if not self._stamped:
            tell_schema_version(connection)
        return len(new)


def _of_batch(batch_id: str) -> Select[int, str]:
    return select(CALLS.columns.id, CALLS.columns.event_id).where(CALLS.columns.batch_id == batch_id)


def _insert_children(connection: Connection, calls: Sequence[CallRows], ids: Mapping[str, int]) -> None:
    items = [{"call_id": ids[call.event_id], **item} for call in calls for item in call.line_items]
    tags = [{"call_id": ids[call.event_id], **tag} for call in calls for tag in call.tags]
    if items:
        connection.execute(insert(LINE_ITEMS), items)
    if tags:
        connection.execute(insert(TAGS), tags)


def _send_away(connection: Connection, stale: Sequence[CallRows], ids: Mapping[str, int]) -> None:
    """Events from before the last prune: whether they are replayed or new, nobody can tell."""
    if stale:
        connection.execute(delete(CALLS).where(CALLS.columns.id.in_([ids[row.event_id] for row in stale])))
        _quarantine(connection, [quarantine_row(row.event, PRUNED) for row in stale])


def _put_aside(connection: Connection, repeated: Sequence[CallRows]) -> None:
    """Of events whose call was there already: those that say something else than the call that is stored."""
    if repeated:
        stored = {row[0]: tuple(row[1:]) for row in connection.execute(_told(repeated))}
        different = [row for row in repeated if stored.get(row.event_id, said := _said_by(row)) != said]
        if different:
            _quarantine(connection, [quarantine_row(row.event, TOLD_DIFFERENTLY) for row in different])


def _told(rows: Sequence[CallRows]) -> Select[*tuple[Any, ...]]:
    said = (CALLS.columns[name] for name in _SAID)
    return select(CALLS.columns.event_id, *said).where(
        CALLS.columns.event_id.in_([row.event_id for row in rows])
    )


def _said_by(row: CallRows) -> tuple[Any, ...]:
    return tuple(row.call[name] for name in _SAID)


def _quarantine(connection: Connection, rows: Sequence[Row]) -> None:
    connection.execute(insert_ignoring(QUARANTINE, "event_id", connection.dialect.name), rows)


def _delete(
    connection: Connection, event_ids: Sequence[str], keep_rollups: bool, listener: CallListener | None
) -> int:
    # Locked, so that of two who delete the same call only one takes it out of the rollups.
    found = connection.execute(
        select(CALLS)
        .where(CALLS.columns.event_id.in_(event_ids))
        .order_by(CALLS.columns.id)
        .with_for_update()
    ).mappings()
    calls = found.all()
    ids = [call["id"] for call in calls]
    for table in CHILDREN:
        connection.execute(delete(table).where(table.columns.call_id.in_(ids)))
    connection.execute(delete(CALLS).where(CALLS.columns.id.in_(ids)))
    if not keep_rollups:
        count_calls(connection, calls, sign=-1)
    if listener is not None:
        listener.deleted(connection, [dict(call) for call in calls])
    return len(ids)


def _chunks(values: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    remaining = iter(values)
    while some := tuple(islice(remaining, size)):
        yield some
