"""The check of each line by itself: its cost is its quantity times its rate, and its rate the frozen one."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Row
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..ledger import LineItem
from ..ledger import LlmCall
from ..pricing import discounted
from ..pricing import line_cost
from ..wording import plural
from .check import Check
from .check import error
from .check import ok

_BATCH = 2_000
_NAMED = 3
_ZERO = Decimal(0)


def line_rates(session: Session, sample: int) -> Check:
    """Whether lines cost what they say, at the rates that were frozen with their calls.

    :param sample: how many of the latest calls are looked at: this is worked out line by line, not by the
        database.
    """
    last = session.scalar(select(func.max(LlmCall.id))) or 0
    first = max(0, last - sample)
    looked, wrong = 0, dict[int, str]()
    for start in range(first, last, _BATCH):
        for line in _lines(session, start, min(start + _BATCH, last)):
            looked += 1
            if (fault := _fault(line)) is not None:
                wrong.setdefault(line.id, fault)
    scope = f"the latest {sample:,} calls"
    if wrong:
        named = "; ".join(f"call {number}: {fault}" for number, fault in list(wrong.items())[:_NAMED])
        return error(
            "rates",
            f"Calls with a line that does not cost what it says: {len(wrong):,} of {scope} ({named}).",
            "Something else than this package has written to them. flask llm-cost reprice prices them again.",
        )
    lines = plural(looked, "line")
    return ok("rates", f"{lines} of {scope} looked at: each costs its quantity times its frozen rate.")


def _lines(session: Session, after: int, to: int) -> Iterator[Row[Any]]:
    statement = (
        select(
            LlmCall.id,
            LlmCall.pricing_snapshot,
            LineItem.component,
            LineItem.quantity,
            LineItem.unit,
            LineItem.rate,
            LineItem.rate_basis,
            LineItem.cost,
        )
        .join(LineItem, LineItem.call_id == LlmCall.id)
        .where(LlmCall.id > after, LlmCall.id <= to, LineItem.rate.is_not(None))
        .order_by(LlmCall.id, LineItem.position)
    )
    return iter(session.execute(statement))


def _fault(line: Row[Any]) -> str | None:
    expected = line_cost(line.quantity, line.unit, line.rate, line.rate_basis)
    if line.cost != expected:
        return f"{line.component} costs {line.cost} instead of {expected}"
    frozen = _frozen_rate(line.pricing_snapshot, line.component)
    if frozen is not None and line.rate != frozen:
        return f"{line.component} at {line.rate}, frozen were {frozen}"
    return None


def _frozen_rate(snapshot: Mapping[str, Any] | None, component: str) -> Decimal | None:
    """The rate by the snapshot; ``None`` where it does not tell, or tells of several models."""
    if not snapshot or "iterations" in snapshot:
        return None
    rate = snapshot.get("rates", {}).get(component)
    return None if rate is None else discounted(Decimal(rate), Decimal(snapshot.get("discount", _ZERO)))
