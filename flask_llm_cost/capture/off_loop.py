"""Long work of ours that must not hold up the host's event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def off_loop(work: Callable[[], T]) -> T:
    """Do ``work`` in a thread and wait for it, under asyncio or trio."""
    try:
        from anyio.to_thread import run_sync  # every SDK brings it along
    except ImportError:
        import asyncio  # aiohttp needs no other, and knows no other event loop

        return await asyncio.to_thread(work)
    return await run_sync(work)
