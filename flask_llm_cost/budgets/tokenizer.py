"""Tokens instead of bytes, where the app itself has loaded a model's encoding.

Never loads one: tiktoken would fetch it over the network, and parsing it takes a second. An app that wants
the closer bound says ``tiktoken.get_encoding("o200k_base")`` once when it starts.
"""

from __future__ import annotations

import sys
from typing import Any

from .prompt import Counter
from .prompt import size

#: Characters of one request that are counted in tokens; the rest is counted in bytes. It bounds the time.
_MOST = 100_000


def loaded_counter(model: str) -> Counter | None:
    """What counts a text's tokens for this model; ``None`` without tiktoken or its encoding in memory."""
    names, registry = sys.modules.get("tiktoken.model"), sys.modules.get("tiktoken.registry")
    if names is None or registry is None:
        return None
    try:
        encoding = registry.ENCODINGS.get(names.encoding_name_for_model(model))
    except (KeyError, AttributeError):
        return None
    return _Counting(encoding) if encoding is not None else None


class _Counting:
    def __init__(self, encoding: Any) -> None:
        self._encoding = encoding
        self._left = _MOST

    def __call__(self, text: str) -> int:
        self._left -= len(text)
        if self._left < 0:
            return size(text)
        # In pieces: a text without spaces takes tiktoken a time that grows faster than its length.
        return sum(
            len(self._encoding.encode_ordinary(text[at : at + _PIECE])) for at in range(0, len(text), _PIECE)
        )


_PIECE = 4_000
