"""Each call is in a file before it returns; a thread writes the file to the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..config import Config
from ..counters import Counters
from ..counters import count_failure
from ..counters import log
from ..counters import log_failure
from ..errors import LLMCostError
from ..events import Event
from ..journal import BadRecord
from ..journal import Journal
from ..journal import NewerRecord
from ..journal import Segment
from ..journal import Slice
from ..journal import decode
from ..journal import encode
from ..journal import encode_sighting
from ..journal import frame
from ..ledger import LedgerSource
from ..providers import Sighting
from .inline import InlineIngest
from .writer import Writer

BATCH = 500
#: Seconds between two looks for what dead processes left.
ADOPT_SECONDS = 60.0

_Recorded = tuple[bytes, Event]


class JournalIngest:
    """Appends events to the journal and has them written, those of dead processes included.

    What the disk does not take waits in memory, as in inline mode.

    :param catch_up: called before each round: brings along what finalizers have left.
    :param judge: makes the event of what was kept unjudged.
    """

    mode = "journal"

    def __init__(
        self,
        config: Config,
        journal: Journal,
        source: LedgerSource,
        counters: Counters,
        overflow: InlineIngest,
        *,
        catch_up: Callable[[], None],
        judge: Callable[[Sighting], Event],
        reason: str,
    ) -> None:
        self.reason = reason
        self.journal = journal
        self._config = config
        self._source = source
        self._counters = counters
        self._overflow = overflow
        self._catch_up = catch_up
        self._judge = judge
        self._writer = Writer(self._round)
        self._hurried = 0
        self._judged: tuple[tuple[Path, int], tuple[Slice, list[_Recorded], list[bytes]]] | None = None
        self._adopt_next = 0.0
        self._closed = False

    @property
    def pending(self) -> int:
        return self.journal.pending + self._overflow.pending

    def accept(self, event: Event) -> bool:
        try:
            self.journal.append(encode(event))
        except Exception as error:
            what = "A call waits in memory: the journal does not take it"
            log_failure(self._counters, "journal_errors", what, error)
            return self._overflow.accept(event)
        self._writer.wake()
        return True

    def postpone(self, sighting: Sighting) -> bool:
        try:
            record = encode_sighting(sighting)
            if record is None:
                return False
            self.journal.append(record)
        except Exception:
            return False  # its event takes the same way again, and is kept elsewhere if that fails
        self._writer.wake()
        return True

    def hurry(self) -> None:
        """Other processes want to see what was accepted: write it now."""
        self._hurried = self._writer.next_round
        self._writer.hurry()

    def seen_by_others(self, timeout: float) -> bool:
        """Wait until what was in a hurry is written, for at most ``timeout`` seconds; whether it is."""
        began = time.monotonic()
        written = self._writer.stored(self._hurried, timeout)
        left = max(0.0, timeout - (time.monotonic() - began))
        return written and (not self._overflow.pending or self._overflow.seen_by_others(left))

    @property
    def is_crowded(self) -> bool:
        """Whether what the disk did not take fills the memory."""
        return self._overflow.is_crowded

    def make_room(self) -> None:
        self._overflow.make_room()

    def flush(self, timeout: float | None = None) -> bool:
        """Have everything written that was accepted so far; what fails is tried again until the time is over.

        :raises StorageError: calls wait in memory, the database refuses them, and the host asked to be told.
        """
        began = time.monotonic()
        written = self._writer.run_until(timeout)
        if self._overflow.pending:
            left = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
            return self._overflow.flush(left) and written
        return written

    def context_ended(self) -> None:
        """Write what the disk did not take, if that disturbs nobody."""
        if self._overflow.pending:
            self._overflow.context_ended()

    def close(self, timeout: float) -> None:
        self._closed = True
        began = time.monotonic()
        over = self._writer.stop(timeout)
        if waiting := self.journal.pending:
            log.warning("%d calls wait in %s; the next process writes them", waiting, self.journal.folder)
        if over:
            self.journal.close()  # else the thread still reads: the end of the process closes the files
        if self._overflow.pending:
            self._overflow.close(max(0.0, timeout - (time.monotonic() - began)))

    def forked(self) -> None:
        """In a forked child: this is the parent's. The child has one of its own made when it needs it."""
        self.journal.forget()

    def _round(self) -> bool:
        """Store what waits; whether all of it is stored. In one thread at a time."""
        try:
            self._catch_up()
            for segment in self.journal.waiting():
                self._store_all(segment)
            self._adopt_if_due()
        except Exception as error:
            self._failed(error.__cause__ or error)
            self._sync()
            return False
        return True

    def _failed(self, error: BaseException) -> None:
        if self._config.storage_error == "ignore":
            count_failure(self._counters, "storage_errors", error)
        else:
            what = "Calls wait in the journal; flask llm-cost doctor says why"
            log_failure(self._counters, "storage_errors", what, error)

    def _sync(self) -> None:
        """The database does not answer: what waits may have to wait for long."""
        try:
            self.journal.sync()
        except OSError as error:
            log_failure(self._counters, "journal_errors", "The journal could not be synced", error)

    def _adopt_if_due(self) -> None:
        now = time.monotonic()
        if now < self._adopt_next and not self._closed:
            return
        if not self._closed:
            self.journal.retire()
            for segment in self.journal.orphans():
                self._adopt(segment)
        self._adopt_next = now + ADOPT_SECONDS

    def _adopt(self, segment: Segment) -> None:
        try:
            self._store_all(segment)
            segment.remove()
            self._counters.add("journal_adopted")
        except NewerRecord:
            self.journal.leave(segment.path)
        except OSError as error:
            self.journal.leave(segment.path)
            log_failure(self._counters, "journal_errors", f"{segment.path} cannot be read", error)
        finally:
            segment.close()

    def _store_all(self, segment: Segment) -> None:
        """Commit, then move the checkpoint: what happens in between is stored twice, and counts once.

        What is appended meanwhile gathers for the next round: else each transaction would hold the few calls
        that have come during the one before, and cost as much as one of 500.
        """
        there = segment.end
        while segment.checkpoint < there:
            found, events, unread = self._next(segment)
            refused = self._store(events)
            self._counters.add("written", len(events) - len(refused))
            pieces = [data for _, data in found.damage]
            pieces += [frame(record) for record in (*unread, *refused)]
            self._keep_aside(segment, pieces)
            self._advance(segment, found)
            self._judged = None

    def _next(self, segment: Segment) -> tuple[Slice, list[_Recorded], list[bytes]]:
        """What is to be stored next. It is judged once, however often the database refuses it."""
        place = (segment.path, segment.checkpoint)
        if self._judged is None or self._judged[0] != place:
            found = segment.read(BATCH)
            self._judged = (place, (found, *self._decoded(found.records)))
        return self._judged[1]

    def _decoded(self, records: list[bytes]) -> tuple[list[_Recorded], list[bytes]]:
        """The events with their records, and the records that are no events.

        :raises NewerRecord: a later version has written this.
        """
        events: list[_Recorded] = []
        unread: list[bytes] = []
        for record in records:
            try:
                told = decode(record)
                events.append((record, told if isinstance(told, Event) else self._judge(told)))
            except NewerRecord:
                raise
            except Exception as error:
                if not isinstance(error, BadRecord):
                    log_failure(self._counters, "journal_errors", "A call could not be judged", error)
                unread.append(record)
        return events, unread

    def _store(self, events: list[_Recorded]) -> list[bytes]:
        """Write a batch; the records that no attempt can write come back.

        :raises LLMCostError: the database cannot take any now.
        """
        try:
            self._write([event for _, event in events])
        except LLMCostError:
            raise
        except Exception:
            # Not an outage as far as we know them. If it is, single calls fail as well, all of them.
            refused = [record for record, event in events if not self._written_alone(event)]
            if len(refused) == len(events):
                raise
            return refused
        return []

    def _written_alone(self, event: Event) -> bool:
        try:
            self._write([event])
        except LLMCostError:
            raise
        except Exception:
            return False
        return True

    def _write(self, events: list[Event]) -> None:
        if events:
            self._source.get().write_or_quarantine(events)

    def _keep_aside(self, segment: Segment, pieces: list[bytes]) -> None:
        if not pieces:
            return
        self._counters.add("journal_damaged", len(pieces))
        log.warning("%d records of %s cannot be read or stored and are set aside", len(pieces), segment.path)
        try:
            segment.keep_aside(b"".join(pieces))
        except OSError as error:
            log_failure(self._counters, "journal_errors", "They could not be kept beside it", error)

    def _advance(self, segment: Segment, stored: Slice) -> None:
        try:
            segment.advance(stored)
        except OSError as error:
            log_failure(self._counters, "journal_errors", "A checkpoint could not be written", error)
