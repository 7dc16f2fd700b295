"""Long work of ours that must not hold up the host's event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def off_loop(work: Callable[[], T]) -> T:
    """Do ``work`` in a thread and wait for it, under asyncio or trio."""
    # Whatever package's asynchronous answers are read along here brings it along.
    from anyio.to_thread import run_sync

    return await run_sync(work)
