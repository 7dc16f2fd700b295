"""Take out of the ledger what points at a person. Costs, tokens and every total stay.

One batch is one transaction, which changes the calls, their tags, the sums and the windows of budgets
together. With the last call that has a name, the sums of pruned calls under that name go, too: a run that is
started again would not find a tag on the person's own calls any more. What is left of the names that the run
was given follows at the end. A run that was interrupted is simply started again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection
from sqlalchemy import bindparam
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import update

from ..budgets import Budget
from ..budgets.forgetting import Cleared
from ..errors import ConfigurationError
from ..ledger import Ledger
from ..ledger.meta import write_meta
from ..ledger.rollups import recount_calls
from ..ledger.rows import CALLS
from ..ledger.rows import TAGS
from ..ledger.rows import Row
from ..ledger.rows import storable_text
from ..wording import plural
from .forgotten_budgets import PersonalBudgets
from .forgotten_sums import USERS
from .forgotten_sums import forget_sums
from .forgotten_sums import move_sums
from .pace import LOCK_WAIT
from .pace import PAUSE
from .person import Pair
from .person import Person

#: Calls per transaction.
BATCH_SIZE = 200
#: ``llm_cost_meta`` has one row per run, under this and the run's id. It names nobody.
AUDIT_KEY = "forget "

_AUDIT_LENGTH = 255
_NAME = 100
_CHANGED = ("user_id", "tags", "trackable_type", "trackable_id", "details", "provider_response_id")


@dataclass(slots=True)
class Forgotten:
    """What a run took out, or with ``dry_run`` would take out.

    :param calls: how many calls pointed at the person; they are still there, with their costs.
    :param tags: how many of their tags stood for the person.
    :param details: how many of them had ``details``.
    :param sums: how many sums of pruned calls named the person; a dry run does not tell.
    :param found: the tags with the user id as their value.
    :param budgets: the windows, alerts and limits of budgets that named the person.
    :param elsewhere: budgets that the app does not declare, which may name the person still.
    """

    run_id: str
    dry_run: bool
    calls: int = 0
    tags: int = 0
    details: int = 0
    sums: int = 0
    found: frozenset[Pair] = frozenset()
    budgets: Cleared = field(default_factory=Cleared)
    elsewhere: frozenset[str] = frozenset()

    @property
    def is_nothing(self) -> bool:
        """Whether nothing pointed at the person."""
        return not (self.calls or self.sums or self.budgets.rows)

    def plus(self, batch: Forgotten) -> Forgotten:
        """Both together."""
        return replace(
            self,
            calls=self.calls + batch.calls,
            tags=self.tags + batch.tags,
            details=self.details + batch.details,
            found=self.found | batch.found,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """A run to be made: whom to forget, and who wants it why.

    :param reason: goes into the audit row, and must not name the person.
    :param budgets: those that the app declares.
    :param also_undeclared: a budget that is none of them and has the person's user id, or the value of a tag
        that stands for them, as a value with a limit of its own is about the person, too.
    """

    person: Person
    changed_by: str
    reason: str | None = None
    batch_size: int = BATCH_SIZE
    budgets: Sequence[Budget] = ()
    also_undeclared: bool = False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigurationError("forget: `batch_size` must be at least 1.")

    def run(
        self,
        ledger: Ledger,
        *,
        dry_run: bool = False,
        on_progress: Callable[[int], object] | None = None,
    ) -> Forgotten:
        """Go through the calls that are there now, batch by batch.

        :param on_progress: called with the number of calls so far, after each batch.
        :raises LedgerUnavailable: the database cannot be used now; what was forgotten so far stays so.
        """
        done = Forgotten(str(uuid4()), dry_run)
        with ledger.engine.connect() as connection:
            last = connection.execute(select(func.max(CALLS.columns.id))).scalar() or 0
        after = 0
        while True:
            with ledger.engine.connect() as connection:
                ids = _next_ids(connection, self.person, after, last, self.batch_size)
            if not ids:
                break
            after = ids[-1]
            done = self._batch(ledger, ids, done)
            if on_progress is not None:
                on_progress(done.calls)
            if not dry_run:
                time.sleep(PAUSE)
        if not dry_run:
            done = replace(done, sums=done.sums + forget_sums(ledger, sorted(self._sums(self.person.tags))))
        return self._budgets(ledger, done)

    def _sums(self, tags: Iterable[Pair]) -> set[Pair]:
        """The sums that name the person: those of the user and of ``tags``."""
        user = self.person.user_id
        return {*tags, *([] if user is None else [(USERS, user)])}

    def _budgets(self, ledger: Ledger, done: Forgotten) -> Forgotten:
        own, found = self._own_budgets, done.found
        cleared = own.count(ledger, found) if done.dry_run else own.forget(ledger, found)
        done = replace(done, budgets=done.budgets.plus(cleared), elsewhere=own.elsewhere(ledger))
        if (cleared.rows or done.sums) and not done.dry_run:
            ledger.transaction(partial(self._write_audit, done=done), LOCK_WAIT)
        return done

    @property
    def _own_budgets(self) -> PersonalBudgets:
        return PersonalBudgets(self.person, self.budgets, self.also_undeclared)

    def _batch(self, ledger: Ledger, ids: Sequence[int], done: Forgotten) -> Forgotten:
        if done.dry_run:
            with ledger.engine.connect() as connection:
                calls = _read(connection, ids, lock=False)
                return done.plus(self._count(connection, calls, done))
        # Nothing is added up twice where an attempt fails: `done` is only what was committed before.
        return ledger.transaction(partial(self._change, ids=ids, done=done), LOCK_WAIT)

    def _change(self, connection: Connection, ids: Sequence[int], done: Forgotten) -> Forgotten:
        before = _read(connection, ids, lock=True)
        done = done.plus(self._count(connection, before, done))
        after = [{**call, **self.person.forgotten(call)} for call in before]
        if before:
            _write(connection, after)
            connection.execute(delete(TAGS).where(self._tags(before)))
            self._write_audit(connection, done)
            recount_calls(connection, before, after)
            found = {pair for call in before for pair in self.person.own_tags(call)}
            moved = move_sums(connection, self._sums(self.person.tags | found))
            # The windows' rows come last: all processes share them, and they are held until the commit.
            own = self._own_budgets
            own.follow(connection, before, after)
            cleared = own.forget_found(connection, found)
            done = replace(done, sums=done.sums + moved, budgets=done.budgets.plus(cleared))
        return done

    def _count(self, connection: Connection, calls: Sequence[Row], done: Forgotten) -> Forgotten:
        theirs = select(func.count()).select_from(TAGS).where(self._tags(calls))
        tags = connection.execute(theirs).scalar_one()
        details = sum(call["details"] is not None for call in calls)
        found = frozenset(pair for call in calls for pair in self.person.own_tags(call))
        return Forgotten(done.run_id, done.dry_run, len(calls), tags, details, found=found)

    def _tags(self, calls: Sequence[Row]) -> Any:
        own = [call["id"] for call in calls if self.person.owns(call)]
        return self.person.tag_rows([call["id"] for call in calls], own)

    def _write_audit(self, connection: Connection, done: Forgotten) -> None:
        write_meta(connection, f"{AUDIT_KEY}{done.run_id}", self._audit(done))

    def _audit(self, done: Forgotten) -> str:
        what = f"{plural(done.calls, 'call')}, {plural(done.tags, 'tag')}, {done.details:,} details"
        if done.budgets.rows:
            what += f", {plural(done.budgets.rows, 'row')} of budgets"
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by {self.changed_by[:_NAME]}"
        return storable_text(f"{when}: {what}. {self.reason or ''}", _AUDIT_LENGTH)


def count_pointing(ledger: Ledger, person: Person) -> int:
    """How many calls point at a person now."""
    ids = person.call_ids(0, 2**63 - 1).subquery()
    with ledger.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(ids)).scalar_one()


def _next_ids(connection: Connection, person: Person, after: int, last: int, size: int) -> list[int]:
    ids = person.call_ids(after, last).subquery()
    return list(connection.execute(select(ids.columns.id).order_by(ids.columns.id).limit(size)).scalars())


def _read(connection: Connection, ids: Sequence[int], *, lock: bool) -> list[Row]:
    call = CALLS.columns
    statement = select(CALLS).where(call.id.in_(ids)).order_by(call.id)
    found = connection.execute(statement.with_for_update() if lock else statement)
    return [row._asdict() for row in found]


def _write(connection: Connection, calls: Sequence[Row]) -> None:
    values = {name: bindparam(f"new_{name}", type_=CALLS.columns[name].type) for name in _CHANGED}
    connection.execute(
        update(CALLS).where(CALLS.columns.id == bindparam("key_id")).values(values),
        [{"key_id": call["id"], **{f"new_{name}": call[name] for name in _CHANGED}} for call in calls],
    )
