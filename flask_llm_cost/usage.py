"""What a call used, in canonical quantities. Values only: nothing here knows a provider or a price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from decimal import Decimal
from functools import cache
from types import MappingProxyType

from .components import components
from .money import QUANTITY_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Canonical quantities of one call. ``None`` means "not told", ``0`` means zero.

    The buckets are disjoint: ``input_tokens`` leaves out cache reads, cache writes, audio and images;
    ``output_tokens`` leaves out audio and images but contains ``reasoning_tokens``.
    ``cache_write_input_tokens`` are writes that live five minutes (or have no such split),
    ``cache_write_extended_input_tokens`` one hour.
    ``cache_read_audio_input_tokens`` and ``cache_read_image_input_tokens`` are parts of
    ``cache_read_input_tokens``. ``total_tokens`` is the provider's own total.

    ``charges`` holds what is billed by another unit than tokens, by component name, for example
    ``{"web_search_request": 2}``.

    :raises ValueError: a count is negative, not an integer, or a part is larger than its whole.
    """

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_write_extended_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    cache_read_audio_input_tokens: int | None = None
    cache_read_image_input_tokens: int | None = None
    total_tokens: int | None = None
    charges: Mapping[str, Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in TOKEN_FIELDS:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or not 0 <= value <= QUANTITY_LIMIT):
                raise ValueError(_no_count(name, value))
        _check_part("reasoning_tokens", self.reasoning_tokens, "output_tokens", self.output_tokens)
        cached_media = (self.cache_read_audio_input_tokens or 0) + (self.cache_read_image_input_tokens or 0)
        _check_part(
            "cached audio and image tokens",
            cached_media,
            "cache_read_input_tokens",
            self.cache_read_input_tokens,
        )
        checked = {name: _checked_charge(name, quantity) for name, quantity in self.charges.items()}
        object.__setattr__(self, "charges", MappingProxyType(checked))

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was told."""
        return not self.charges and all(getattr(self, name) is None for name in TOKEN_FIELDS)

    @property
    def counted_tokens(self) -> int:
        """The sum of the disjoint buckets, to be held against the provider's ``total_tokens``."""
        return sum(getattr(self, name) or 0 for name in BUCKET_FIELDS)

    @property
    def tokens_in(self) -> int:
        """All input tokens, cached ones included: what context tiers are measured by."""
        return sum(getattr(self, name) or 0 for name in INPUT_FIELDS)

    def quantities(self) -> dict[str, Decimal]:
        """What is to be billed: component name to quantity, told quantities only, in line-item order."""
        found: dict[str, Decimal] = {}
        for component, name in _token_components():
            if (count := getattr(self, name)) is not None:
                found[component] = Decimal(count)
        if self.charges:
            found.update({name: self.charges[name] for name in components() if name in self.charges})
        for name in _CACHED_MEDIA:
            if name in found:
                found["cache_read_input"] -= found[name]
        return found

    @classmethod
    def of_quantities(cls, billed: Mapping[str, Decimal]) -> Usage:
        """The usage whose :meth:`quantities` are ``billed``, for pricing a recorded call again.

        What is not billed (reasoning tokens, the provider's total) is not told by it.

        :raises ValueError: a component is unknown, or a number of tokens is not whole.
        """
        fields_of = dict(_token_components())
        counts = {name: billed[component] for component, name in fields_of.items() if component in billed}
        for component in _CACHED_MEDIA:
            if component in billed:
                whole = counts.get("cache_read_input_tokens", Decimal(0))
                counts["cache_read_input_tokens"] = whole + billed[component]
        if any(count != int(count) for count in counts.values()):
            raise ValueError("a number of tokens is not whole")
        return cls(
            **{name: int(count) for name, count in counts.items()},
            charges={name: quantity for name, quantity in billed.items() if name not in fields_of},
        )

    def __add__(self, other: Usage) -> Usage:
        """Both usages in one, for a call that was billed in several iterations."""
        sums = {name: _add(getattr(self, name), getattr(other, name)) for name in TOKEN_FIELDS}
        names = [*self.charges, *(name for name in other.charges if name not in self.charges)]
        zero = Decimal(0)
        charges = {name: self.charges.get(name, zero) + other.charges.get(name, zero) for name in names}
        return Usage(**sums, charges=charges)


#: Every token count of :class:`Usage`, named like the ledger's columns.
TOKEN_FIELDS = tuple(item.name for item in fields(Usage) if item.name != "charges")
#: The disjoint buckets on the input side.
INPUT_FIELDS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "cache_write_extended_input_tokens",
    "audio_input_tokens",
    "image_input_tokens",
)
#: All disjoint buckets.
BUCKET_FIELDS = (*INPUT_FIELDS, "output_tokens", "audio_output_tokens", "image_output_tokens")

_CACHED_MEDIA = ("cache_read_audio_input", "cache_read_image_input")


@cache
def _token_components() -> tuple[tuple[str, str], ...]:
    """Components that token counts feed, in line-item order, each with its field."""
    return tuple((item.name, item.usage) for item in components().values() if item.usage)


def _no_count(name: str, value: object) -> str:
    if type(value) is not int:
        return f"{name} must be a whole number of tokens or None, got {type(value).__name__}"
    return f"{name} must be between 0 and {QUANTITY_LIMIT}, got {value}"


def _check_part(part_name: str, part: int | None, whole_name: str, whole: int | None) -> None:
    if part and whole is not None and part > whole:
        raise ValueError(f"{part_name} ({part}) cannot exceed {whole_name} ({whole}), which contains them")
    if part and whole is None and whole_name == "cache_read_input_tokens":
        raise ValueError(f"{part_name} ({part}) need {whole_name}, which contains them")


def _checked_charge(name: str, quantity: object) -> Decimal:
    component = components().get(name)
    if component is None or component.usage is not None:
        known = ", ".join(item.name for item in components().values() if item.usage is None)
        raise ValueError(f"charges[{name!r}] is not a billed component; known: {known}")
    if isinstance(quantity, bool) or not isinstance(quantity, int | Decimal):
        raise ValueError(f"charges[{name!r}] must be an int or a Decimal, got {type(quantity).__name__}")
    value = Decimal(quantity)
    if not value.is_finite() or not 0 <= value <= QUANTITY_LIMIT:
        raise ValueError(f"charges[{name!r}] must be between 0 and {QUANTITY_LIMIT}, got {value}")
    return value


def _add(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right
