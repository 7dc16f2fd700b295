"""Locks on files that die with their process."""

from __future__ import annotations

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def lock(descriptor: int, *, shared: bool = False) -> None:
    """Take the lock of an open file, or fail at once.

    :raises BlockingIOError: somebody else has it. :raises OSError: there are no locks here.
    """
    if fcntl is None:
        raise OSError("this platform has no flock()")
    fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
