"""What every way of storing events answers to."""

from __future__ import annotations

from typing import Protocol

from ..events import Event
from ..providers import Sighting


class Ingest(Protocol):
    """Takes events and sees that they are stored."""

    @property
    def mode(self) -> str:
        """The mode's name, for the log and doctor."""

    @property
    def reason(self) -> str:
        """Why events are stored this way, in words."""

    def accept(self, event: Event) -> bool:
        """Take an event over; whether it is kept. Returns quickly; never runs SQL of the host's transaction.

        :raises StorageError: it could not be kept, and the host asked to be told.
        """

    def postpone(self, sighting: Sighting) -> bool:
        """Take over what was seen of a call, to be judged before it is written; ``False`` where it has to be
        judged now. Never raises.
        """

    @property
    def is_crowded(self) -> bool:
        """Whether :meth:`make_room` should be called before many more events come."""

    def make_room(self) -> None:
        """Called between the calls of one large answer, by a thread that may wait: store some of what waits
        where little more would fit.
        """

    def flush(self, timeout: float | None = None) -> bool:
        """Store what is pending, waiting at most ``timeout`` seconds; whether nothing is left."""

    @property
    def pending(self) -> int:
        """How many accepted events are not stored yet."""

    def close(self, timeout: float) -> None:
        """Flush for at most ``timeout`` seconds and stop."""

    def forked(self) -> None:
        """In a forked child: what waits, threads and connections are the parent's."""
