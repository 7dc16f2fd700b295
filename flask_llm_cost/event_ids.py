"""Ids of events: UUIDs of version 7 (RFC 9562, section 5.7), in the order in which the calls began.

Rows that are written together lie together in the ledger's unique index, however large it has grown.
"""

from __future__ import annotations

import os
import random
import time

# One of our own, because the host may seed the module's; and no system call for each id.
_random = random.Random()  # noqa: S311  # ids must differ, nobody has to guess them

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def new_event_id() -> str:
    """The id of an event whose call begins now."""
    # 48 bits of time, the version, 12 bits of chance, the variant (0b10), 62 bits of chance.
    now, chance = time.time_ns() // 1_000_000, _random.getrandbits(74)
    return (
        f"{now >> 16:08x}-{now & 0xFFFF:04x}-7{chance >> 62:03x}"
        f"-{chance >> 48 & 0x3FFF | 0x8000:04x}-{chance & 0xFFFFFFFFFFFF:012x}"
    )
