"""What is read once in a session, which is one transaction: nothing of it can change meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from typing import TypeVar
from typing import cast

from sqlalchemy import Connection
from sqlalchemy.orm import Session

T = TypeVar("T")

_SHARED = "shared"


def share(session: Session) -> None:
    """Tell a session that several questions are answered in it: then more is worth keeping."""
    session.info[_SHARED] = True


def is_shared(session: Session) -> bool:
    """Whether it was told so."""
    return _SHARED in session.info


def once(session: Session, read: Callable[[Connection], T]) -> T:
    """What ``read`` tells, a function of the ledger's that is asked once."""
    return kept(session, read, lambda: read(session.connection()))


def kept(session: Session, key: Hashable, make: Callable[[], T]) -> T:
    """What the session keeps under ``key``, made when it is asked for first."""
    if key not in session.info:
        session.info[key] = make()
    return cast(T, session.info[key])
