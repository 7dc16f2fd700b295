"""What budgets keep of a person: their own windows, alerts and limits."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection
from sqlalchemy import or_
from sqlalchemy import select

from ..budgets import Budget
from ..budgets.forgetting import Calls
from ..budgets.forgetting import Cleared
from ..budgets.forgetting import Value
from ..budgets.forgetting import count_named
from ..budgets.forgetting import follow
from ..budgets.forgetting import forget_some
from ..budgets.forgetting import undeclared
from ..ledger import Ledger
from ..ledger.rows import CALLS
from ..ledger.rows import TAGS
from .pace import LOCK_WAIT
from .person import Pair
from .person import Person


@dataclass(frozen=True, slots=True)
class PersonalBudgets:
    """The budgets that may have a limit for the person alone.

    :param declared: those of the app.
    :param also_undeclared: take a value of a budget that is not among them for the person's, too.
    """

    person: Person
    declared: Sequence[Budget] = ()
    also_undeclared: bool = False

    def follow(self, connection: Connection, before: Calls, after: Calls) -> None:
        """Let windows follow the calls that this transaction has changed."""
        follow(connection, self.declared, before, after)

    def forget_found(self, connection: Connection, found: Iterable[Pair]) -> Cleared:
        """Take out what stood for the person on calls that this transaction has changed.

        Once they are, a run that is started again does not find it any more.
        """
        done = Cleared()
        for key, text in sorted(found):
            done = done.plus(forget_some(connection, self.declared, Value(f"tag:{key}", text)))
        return done

    def forget(self, ledger: Ledger, found: Iterable[Pair]) -> Cleared:
        """Take the person out, where no call has the value any more.

        :param found: tags of the person's own calls with their user id.
        """
        done = Cleared()
        for value in self._values(found):
            work = partial(forget_some, budgets=self.declared, value=value)
            while (some := ledger.transaction(work, LOCK_WAIT)).rows:
                done = done.plus(some)
        return done

    def count(self, ledger: Ledger, found: Iterable[Pair]) -> Cleared:
        """What that would change."""
        done = Cleared()
        with ledger.engine.connect() as connection:
            shared = {pair for pair in found if self._is_of_others(connection, pair)}
            for value in self._values(set(found) - shared):
                done = done.plus(count_named(connection, self.declared, value))
        return done

    def elsewhere(self, ledger: Ledger) -> frozenset[str]:
        """The budgets that are not declared, are left alone, and have a value that may be the person's."""
        texts = self._texts()
        if self.also_undeclared or not texts:
            return frozenset()
        with ledger.engine.connect() as connection:
            return undeclared(connection, self.declared, texts)

    def _values(self, found: Iterable[Pair]) -> Iterator[Value]:
        if self.person.user_id is not None:
            yield Value("user", self.person.user_id)
        for key, text in sorted(self.person.tags.union(found)):
            yield Value(f"tag:{key}", text)
        if self.also_undeclared:
            for text in sorted(self._texts()):
                yield Value("", text)

    def _texts(self) -> set[str]:
        own = () if self.person.user_id is None else (self.person.user_id,)
        return {*own, *(text for _, text in self.person.tags)}

    def _is_of_others(self, connection: Connection, pair: Pair) -> bool:
        """Whether somebody else's call has a tag that stands for the person on their own calls only."""
        tag, call = TAGS.columns, CALLS.columns
        others = or_(call.user_id.is_(None), call.user_id != self.person.user_id)
        wanted = select(tag.call_id).join(CALLS, call.id == tag.call_id)
        wanted = wanted.where(tag.key == pair[0], tag.value == pair[1], others).limit(1)
        return pair not in self.person.tags and connection.execute(wanted).first() is not None
