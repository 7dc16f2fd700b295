"""The lines of an explained price as a table: quantity times rate, and the sum."""

from __future__ import annotations

from decimal import Decimal

from ..components import RateBasis
from ..pricing.explanation import ExplainedLine
from ..pricing.explanation import Explanation
from .bill import PER
from .bill import arithmetic
from .formats import number
from .formats import rate
from .tables import Cell
from .tables import Row
from .tables import Table


def lines_table(found: Explanation) -> Table:
    """Line by line what the cost is made of; the model is named where there are several."""
    several = len({line.model for line in found.lines}) > 1
    return arithmetic(
        "lines",
        "The arithmetic",
        "Note",
        [_line(line, several) for line in found.lines],
        Cell.of(rate(found.total_cost), at_least=found.cost_status == "partial"),
    )


def _line(line: ExplainedLine, several: bool) -> Row:
    name = line.component.replace("_", " ")
    note = line.note or ("its own rate" if line.rate is not None else "no rate is known")
    return (
        Cell(text=f"{name} ({line.model})" if several else name),
        Cell.of(number(Decimal(line.quantity)), title=f"{line.quantity} {line.unit}"),
        Cell.of(rate(line.rate)),
        Cell(text=PER[RateBasis(line.rate_basis)]),
        Cell.of(rate(line.cost), title=line.arithmetic),
        Cell(text=note, title=note),
    )
