"""How long somebody who waits for the database waits: for a connection, and for an answer.

A network that swallows packets, and a server that hangs, refuse nothing: left alone, psycopg waits two
minutes for a connection, and any driver for ever for an answer.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import closing
from contextlib import contextmanager
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import TimeoutError as WaitedTooLong

from ..time_limit import TimeLimit

#: Seconds in which a connection is made, or given up. A crowded machine takes more than three at times.
CONNECT_SECONDS = 5.0
#: Seconds in which a statement that waits for nobody's lock is answered.
ANSWER_SECONDS = 5.0


def connecting_in_time(connect: Callable[[Any], Any]) -> Callable[..., Any]:
    """As ``connect``, whose connection has to be there in time: drivers count what they do on the way.

    :raises WaitedTooLong: it was not; it is closed when it comes after all.
    """

    def connect_in_time(connection_record: Any = None) -> Any:
        made: list[Any] = []
        failed: list[BaseException] = []
        lock, waited_for = threading.Lock(), [True]
        done = threading.Event()

        def work() -> None:
            try:
                connection = connect(connection_record)
            except BaseException as error:
                failed.append(error)
            else:
                with lock:
                    (made.append if waited_for[0] else _close)(connection)
            done.set()

        threading.Thread(target=work, name="llm-cost-connect", daemon=True).start()
        done.wait(CONNECT_SECONDS)
        with lock:
            waited_for[0] = False
        if failed:
            raise failed[0]
        if not made:
            raise WaitedTooLong("the database did not take the connection in time")
        return made[0]

    return connect_in_time


@contextmanager
def answering_in_time(connection: Connection, seconds: float) -> Iterator[None]:
    """Break the connection if the block takes longer: what it waits for then fails as lost.

    Does nothing on SQLite, and with a driver that does not show its socket.
    """
    if (shown := _socket_of(connection.connection.dbapi_connection)) is None:
        yield
        return
    limit = TimeLimit(seconds)
    with closing(shown), limit.running():
        limit.watch(shown)
        yield


def _socket_of(driver_connection: Any) -> socket.socket | None:
    """Another handle of the connection's socket. What is shut by one is shut by all."""
    fileno = getattr(driver_connection, "fileno", None) or getattr(
        getattr(driver_connection, "_sock", None), "fileno", None
    )
    if fileno is None:
        return None
    with suppress(Exception):  # closed, or no socket at all
        return socket.socket(fileno=os.dup(fileno()))
    return None


def _close(connection: Any) -> None:
    with suppress(Exception):  # whatever a driver raises: nobody waits for it any more
        connection.close()
