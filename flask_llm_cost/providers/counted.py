"""Token counts on their way from a provider's names to :class:`~flask_llm_cost.Usage`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from decimal import Decimal

from ..usage import Usage
from .fields import InvalidUsage


@dataclass(slots=True)
class Counted:
    """Counts by component, and in ``fields`` where the answer told each of them."""

    tokens: dict[str, int | None] = field(default_factory=dict)
    charges: dict[str, Decimal] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)

    def put(self, component: str, tokens: int | None, path: str) -> None:
        """A component's tokens; ``None`` is not told and leaves no trace."""
        if tokens is not None:
            self.tokens[f"{component}_tokens"] = tokens
            self.fields[component] = path

    def charge(self, component: str, quantity: Decimal | int | None, path: str) -> None:
        """What is billed by another unit than tokens; nothing used is no line."""
        if quantity:
            self.charges[component] = Decimal(quantity)
            self.fields[component] = path

    def usage(self) -> Usage:
        """
        :raises InvalidUsage: a part is larger than its whole.
        """
        try:
            return Usage(**self.tokens, charges=self.charges)
        except ValueError:
            raise InvalidUsage("the counts contradict each other") from None


def remainder(path: str, whole: int, parts: Iterable[int | None]) -> int:
    """``whole`` without ``parts``; what is not told counts as none.

    :raises InvalidUsage: the parts are more than the whole.
    """
    rest = whole - sum(part or 0 for part in parts)
    if rest < 0:
        raise InvalidUsage(f"{path} is less than its parts")
    return rest
