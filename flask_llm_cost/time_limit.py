"""A limit on the time that an exchange over the network takes, however slowly the other side drips."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field


@dataclass(slots=True)
class TimeLimit:
    """Shuts what is still open when the time is over: a server that drips never times out by itself."""

    seconds: float
    _sockets: list[socket.socket] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether connections were shut; what failed then has failed because of it."""
        return self._over.is_set()

    def watch(self, connection: socket.socket) -> None:
        """Shut this connection too when the time is over."""
        self._sockets.append(connection)
        if self._over.is_set():  # while it was being connected
            self._shut()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of the block."""
        timer = threading.Timer(self.seconds, self._shut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _shut(self) -> None:
        self._over.set()
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
