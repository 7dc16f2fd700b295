"""What failed and what was tried again: money, time and requests that brought no answer."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..ledger import LlmCall
from .filters import Filters
from .measures import count_where
from .measures import known_cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Waste:
    """The calls of one status that failed, or succeeded only when tried again.

    :param retried: calls with more than one HTTP attempt; ``extra_attempts`` those beyond the first.
    :param total_cost: what was billed for them; ``None`` where no cost is known.
    :param latency_ms: how long they took together.
    """

    status: str
    calls: int
    retried: int
    extra_attempts: int
    unknown_cost_calls: int
    total_cost: Decimal | None
    latency_ms: int


def waste(session: Session, filters: Filters) -> tuple[Waste, ...]:
    """By status: every failed call, and those of the others that were tried again."""
    statement = (
        select(
            LlmCall.status,
            func.count().label("calls"),
            count_where(LlmCall.attempts > 1).label("retried"),
            func.sum(LlmCall.attempts - 1).label("extra"),
            count_where(LlmCall.cost_status == "unknown").label("unknown_count"),
            func.count(LlmCall.total_cost).label("priced"),
            func.sum(LlmCall.total_cost).label("cost"),
            func.coalesce(func.sum(LlmCall.latency_ms), 0).label("latency"),
        )
        .where(*filters.conditions(), or_(LlmCall.status != "ok", LlmCall.attempts > 1))
        .group_by(LlmCall.status)
    )
    found = (
        Waste(
            status=row.status,
            calls=int(row.calls),
            retried=int(row.retried),
            extra_attempts=max(0, int(row.extra)),
            unknown_cost_calls=int(row.unknown_count),
            total_cost=known_cost(int(row.calls), int(row.priced), row.cost),
            latency_ms=int(row.latency),
        )
        for row in session.execute(statement)
    )
    return tuple(sorted(found, key=lambda each: (-each.calls, each.status)))
