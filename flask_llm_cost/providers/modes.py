"""Pricing modes: one spelling for the tiers that requests ask for and answers name."""

from __future__ import annotations

import re
from functools import lru_cache

DATA_RESIDENCY = "data_residency"

#: Words that mean the standard rates. Groq says ``on_demand``.
_STANDARD = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand"})
#: The order in which a compound lists its parts.
_ORDER = ("batch", "flex", "priority", "fast", "ultrafast", DATA_RESIDENCY)
#: What the size and the quality of a picture or a video are called, and how much of the web is taken in.
_SIZE = re.compile(r"[0-9]{2,5}x[0-9]{2,5}|[0-9]{1,4}[pk]|hd|high|medium|low")
#: Further words that choose a rate: a container's memory, videos without sound, pages with annotations.
_KIND = re.compile(r"[0-9]{1,4}g|silent|annotated")
_WORD = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
#: Longer texts are no names.
_LONGEST = 128


def normalise_mode(text: str | None) -> str | None:
    """The canonical pricing mode of a tier's name; ``None`` for the standard rates.

    Case and dashes do not matter. A compound keeps one order, whatever the order it was written in:
    ``data_residency_batch`` becomes ``batch_data_residency``. A tier that is not known here keeps its name,
    so that the price table may know it; what is no name at all counts as not told.
    """
    return _normalised(text) if isinstance(text, str) and len(text) <= _LONGEST else None


@lru_cache(maxsize=256)
def _normalised(text: str) -> str | None:
    word = text.strip().lower().replace("-", "_").replace(" ", "_")
    if word in _STANDARD or not _WORD.fullmatch(word):
        return None
    return join_modes(*_parts(word))


@lru_cache(maxsize=256)
def join_modes(*modes: str | None) -> str | None:
    """One mode made of several, for example ``priority`` served under data residency."""
    parts = {mode for mode in modes if mode}
    known = [mode for mode in _ORDER if mode in parts]
    return "_".join([*sorted(parts.difference(_ORDER)), *known]) or None


def variant(word: object) -> str | None:
    """The canonical word for a size, quality or kind that chooses a rate, such as ``1024x1792``, ``1080p`` or
    ``hd``; ``None`` for the ordinary one and for anything else.
    """
    text = word.strip().lower() if isinstance(word, str) else ""
    return text if is_size(text) or _KIND.fullmatch(text) else None


def is_size(word: str) -> bool:
    """Whether a part of a mode's name is a size or a quality. Many models cost the same in all of them."""
    return _SIZE.fullmatch(word) is not None


def _parts(word: str) -> list[str]:
    rest = word.replace(DATA_RESIDENCY, "")
    parts = [part for part in rest.split("_") if part and part not in _STANDARD]
    if not all(part in _ORDER for part in parts):
        return [word]
    return [*parts, DATA_RESIDENCY] if rest != word else parts
