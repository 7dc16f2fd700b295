"""Ids of events: UUIDs of version 7 (RFC 9562, section 5.7), in the order in which the calls began.

Rows that are written together lie together in the ledger's unique index, however large it has grown.
"""

from __future__ import annotations

import os
import random
import time

# One of our own, because the host may seed the module's; and no system call for each id.
_random = random.Random()  # noqa: S311  # ids must differ, nobody has to guess them

#: Version and variant, and the bits of the last ten bytes that are not theirs.
_MARKS = 7 << 76 | 0b10 << 62
_CHANCE = (1 << 80) - 1 & ~(0xF << 76 | 0b11 << 62)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def new_event_id() -> str:
    """The id of an event whose call begins now."""
    # 48 bits of time, the version, 12 bits of chance, the variant (0b10), 62 bits of chance.
    chance = _random.getrandbits(80) & _CHANCE
    text = f"{time.time_ns() // 1_000_000 << 80 | _MARKS | chance:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
