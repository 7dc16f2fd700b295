"""The billed kinds of quantity, read once from ``components.yml``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
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


@cache
def components() -> Mapping[str, Component]:
    """All components by name, in the order in which line items list them."""
    import yaml  # slow to import, and needed by apps that track only

    text = files(__package__).joinpath("components.yml").read_text("utf-8")
    # The C loader, where PyYAML has it, reads this forty times faster; it counts at start-up.
    declared = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return MappingProxyType(
        {
            name: Component(
                name=name,
                unit=entry["unit"],
                rate_basis=RateBasis(entry["rate_basis"]),
                usage=entry.get("usage"),
                part_of=entry.get("part_of"),
            )
            for name, entry in declared.items()
        }
    )
