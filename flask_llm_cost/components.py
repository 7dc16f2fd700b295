"""Every billed kind of quantity, declared once."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class RateBasis(enum.StrEnum):
    """How many units one rate pays for."""

    PER_MILLION = "per_million"
    PER_THOUSAND = "per_thousand"
    PER_UNIT = "per_unit"

    @property
    def divisor(self) -> int:
        """The number a quantity is divided by before it meets its rate."""
        return _DIVISORS[self]


_DIVISORS = {RateBasis.PER_MILLION: 1_000_000, RateBasis.PER_THOUSAND: 1_000, RateBasis.PER_UNIT: 1}


@dataclass(frozen=True, slots=True)
class Component:
    """One billed kind of quantity.

    :param usage: the :class:`~flask_llm_cost.Usage` field that feeds it, or ``None`` where it is one of
        ``Usage.charges``.
    :param part_of: the component whose rate applies when a price entry has none for this one.
    """

    name: str
    unit: str
    rate_basis: RateBasis
    usage: str | None = None
    part_of: str | None = None


def _tokens(name: str, *, part_of: str | None = None) -> Component:
    """Tokens that have a field of ``Usage``."""
    return Component(name, "token", RateBasis.PER_MILLION, f"{name}_tokens", part_of)


# Tokens and characters are priced per million, requests and searches per thousand, everything else each.
_DECLARED = (
    _tokens("input"),
    _tokens("cache_read_input"),
    _tokens("cache_write_input"),
    _tokens("cache_write_extended_input"),
    _tokens("audio_input", part_of="input"),
    _tokens("image_input", part_of="input"),
    _tokens("cache_read_audio_input", part_of="cache_read_input"),
    _tokens("cache_read_image_input", part_of="cache_read_input"),
    _tokens("output"),
    _tokens("audio_output", part_of="output"),
    _tokens("image_output", part_of="output"),
    # Entries of `Usage.charges`.
    Component("web_search_request", "request", RateBasis.PER_THOUSAND),
    Component("web_fetch_request", "request", RateBasis.PER_THOUSAND),
    Component("file_search_call", "request", RateBasis.PER_THOUSAND),
    Component("grounding_request", "request", RateBasis.PER_THOUSAND),
    Component("maps_grounding_request", "request", RateBasis.PER_THOUSAND),
    Component("search_unit", "request", RateBasis.PER_THOUSAND),
    Component("request", "request", RateBasis.PER_THOUSAND),
    Component("text_to_speech_character", "character", RateBasis.PER_MILLION),
    Component("input_character", "character", RateBasis.PER_MILLION),
    Component("input_pixel", "pixel", RateBasis.PER_MILLION),
    Component("citation_token", "token", RateBasis.PER_MILLION),
    Component("research_token", "token", RateBasis.PER_MILLION),
    Component("transcription_minute", "minute", RateBasis.PER_UNIT),
    Component("container_session", "session", RateBasis.PER_UNIT),
    Component("video_second", "second", RateBasis.PER_UNIT),
    Component("image", "image", RateBasis.PER_UNIT),
    Component("page", "page", RateBasis.PER_UNIT),
    # What a caller of track(cost=...) was charged, whatever it was for: one, at that amount.
    Component("billed_cost", "call", RateBasis.PER_UNIT),
)

_COMPONENTS: Mapping[str, Component] = MappingProxyType({item.name: item for item in _DECLARED})


def components() -> Mapping[str, Component]:
    """All components by name, in the order in which line items list them."""
    return _COMPONENTS
