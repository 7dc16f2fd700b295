"""Pricing modes by name: ``batch``, ``priority_data_residency`` and the like, in any order and spelling."""

from __future__ import annotations

from functools import lru_cache

#: The parts of a mode's name. Only these may stand before a component in a flat key such as ``batch_input``.
KNOWN_MODES = ("batch", "data_residency", "fast", "flex", "priority", "ultrafast")

#: What providers call the standard mode; pricing takes it for no mode at all.
STANDARD_WORDS = frozenset({"auto", "default", "standard", "standard_only", "on_demand"})

#: Modes that a provider bills at its standard rates: Anthropic's priority tier is capacity bought
#: beforehand, its tokens count at list price (https://platform.claude.com/docs/en/api/service-tiers).
BILLED_AS_STANDARD = frozenset({("anthropic", ("priority",))})

#: A mode's parts in alphabetical order; the standard mode has none.
ModeKey = tuple[str, ...]


@lru_cache(maxsize=256)
def mode_key(name: str | None) -> ModeKey:
    """The parts of a mode's name: ``data_residency_batch`` and ``batch-data-residency`` are one mode."""
    text = (name or "").strip().lower().replace("-", "_")
    if text in STANDARD_WORDS:
        return ()
    rest = text.replace("data_residency", "")
    parts = {part for part in rest.split("_") if part and part not in STANDARD_WORDS}
    if rest != text:
        parts.add("data_residency")
    return tuple(sorted(parts))


def mode_name(key: ModeKey) -> str:
    """The name of a mode as snapshots and explanations write it."""
    return "_".join(key) or "standard"
