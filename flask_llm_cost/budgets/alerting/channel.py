"""Where alerts are sent: one interface, and what went wrong on the way."""

from __future__ import annotations

from typing import Protocol

from .message import Message

#: Seconds for a connection, and for each answer.
TIMEOUT = 10.0


class NotDelivered(Exception):
    """A message was not taken. Its text holds a class or a code, and never an address, a key or a reply.

    :param is_final: trying again cannot help, such as with an address that is refused.
    """

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


class Channel(Protocol):
    """One way to tell people."""

    @property
    def name(self) -> str:
        """Names it in the tables and on the page."""

    def send(self, message: Message) -> None:
        """Deliver it.

        :raises NotDelivered: it was not taken.
        """
