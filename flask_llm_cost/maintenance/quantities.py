"""From a recorded call and its line items back to what was used, so that it can be priced again."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from itertools import pairwise
from typing import Any

from ..events import Iteration
from ..usage import Usage

#: A name of this length in a snapshot may have been cut.
_NAME_CUT = 100

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Used:
    """What a call used, as pricing takes it."""

    usage: Usage | None
    iterations: tuple[Iteration, ...] = ()


def used_by(snapshot: Mapping[str, Any] | None, items: Sequence[Item]) -> Used | None:
    """What the line items of one call were computed from; ``None`` where they do not tell.

    A call billed in several iterations tells in its snapshot which lines belong to which model. Where that
    did not fit into it, nobody can tell any more.
    """
    told = snapshot or {}
    try:
        if "iterations" not in told:
            return Used(_usage(items))
        models, lines = _bills(told, len(items))
        ends = list(accumulate((count or 0 for count in lines), initial=0))
        usages = [
            None if count is None else _usage(items[start:end])
            for count, (start, end) in zip(lines, pairwise(ends), strict=True)
        ]
        further = zip(models, usages[1:], strict=True)
        return Used(
            usages[0], tuple(Iteration(model=model, usage=usage or Usage()) for model, usage in further)
        )
    except (KeyError, TypeError, ValueError):
        return None


def _bills(snapshot: Mapping[str, Any], count: int) -> tuple[list[str], list[int | None]]:
    """The models of the iterations, and how many lines the call itself and each of them has.

    :raises ValueError: they do not fit, or a name was cut. :raises KeyError: they were left out.
    """
    models = [iteration["model"] for iteration in snapshot["iterations"]]
    lines = list(snapshot["lines"])
    if any(len(model) >= _NAME_CUT for model in models) or sum(number or 0 for number in lines) != count:
        raise ValueError("the models or the lines of the iterations are not told")
    return models, lines


def _usage(items: Sequence[Item]) -> Usage:
    """:raises ValueError: a component is unknown or stands there twice."""
    billed: dict[str, Decimal] = {item["component"]: item["quantity"] for item in items}
    if len(billed) != len(items):
        raise ValueError("a component stands there twice")
    # Without any line everything was told to be zero.
    return Usage.of_quantities(billed) if billed else Usage(input_tokens=0)
