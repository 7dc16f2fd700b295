"""Charges that more than one answer tells of: the id of their event, and what this process knows of them.

A line of a batch's results can be read again tomorrow, a response in the background is asked for until it is
done, by any process. Whoever sees it makes the same event id, and the ledger takes an id once.
"""

from __future__ import annotations

import uuid
from collections import OrderedDict

from .counters import Counters
from .events import OpenCall

#: Calls whose end is awaited, and charges known to be recorded: the oldest make room. Either is a convenience
#: of this process, which the ledger's unique ids do not depend on.
REMEMBERED = 10_000

_NAMESPACE = uuid.UUID("7a0efee4-604c-495b-b0df-49f9490c19b5")


def event_id_of(provider: str, charge_id: str) -> str:
    """The id of a charge's event, the same in every process and on every day: a UUID of version 5."""
    name = f"{provider}\n{charge_id}".encode("utf-8", "backslashreplace")  # JSON may hold half a character
    return str(uuid.uuid5(_NAMESPACE, name.decode()))


class Charges:
    """What one app's process knows of such charges."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        # No lock: a finalizer may come here inside any other call. To threads each step is a single one.
        self._awaited: OrderedDict[str, OpenCall] = OrderedDict()
        self._recorded: OrderedDict[str, None] = OrderedDict()

    @property
    def awaited(self) -> int:
        """How many calls were begun here whose end was not seen here yet."""
        return len(self._awaited)

    def begun(self, event_id: str, call: OpenCall) -> None:
        """The work of a call goes on in the background; a later answer tells its end."""
        self._awaited.setdefault(event_id, call)
        if len(self._awaited) > REMEMBERED:
            self._awaited.popitem(last=False)
            self._counters.add("background_forgotten")

    def ended(self, event_id: str) -> OpenCall | None:
        """The call that was begun here, if it was."""
        return self._awaited.pop(event_id, None)

    def recorded(self, event_id: str) -> None:
        """The event was handed over for storing."""
        self._recorded[event_id] = None
        if len(self._recorded) > REMEMBERED:
            self._recorded.popitem(last=False)

    def is_recorded(self, event_id: str) -> bool:
        """Whether this process is known to have recorded it."""
        return event_id in self._recorded
