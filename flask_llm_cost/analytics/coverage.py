"""How much of what could be known of calls is known: cost, tags, users, latency, ids, and streams' usage."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..ledger import CallTag
from ..ledger import LlmCall
from .filters import Filters
from .measures import count_where


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The calls of one provider, and how many of them tell what.

    :param costed: whose cost is known in full, or that are not billed.
    :param streams_told: streams that told their usage, of ``streams``.
    """

    provider: str
    calls: int
    costed: int
    tagged: int
    with_user: int
    timed: int
    identified: int
    streams: int
    streams_told: int


def coverage(session: Session, filters: Filters) -> tuple[Coverage, ...]:
    """By provider, most calls first."""
    has_tag = select(1).where(CallTag.call_id == LlmCall.id).correlate(LlmCall).exists()
    counts = {
        "calls": func.count(),
        "costed": count_where(LlmCall.cost_status.in_(("complete", "free"))),
        "tagged": count_where(has_tag),
        "with_user": func.count(LlmCall.user_id),
        "timed": func.count(LlmCall.latency_ms),
        "identified": func.count(LlmCall.provider_response_id),
        "streams": count_where(LlmCall.stream.is_(True)),
        "streams_told": count_where(and_(LlmCall.stream, LlmCall.usage_source != "unknown")),
    }
    statement = (
        select(LlmCall.provider, *(count.label(f"{name}_count") for name, count in counts.items()))
        .where(*filters.conditions())
        .group_by(LlmCall.provider)
    )
    found = (
        Coverage(
            provider=row["provider"],
            **{name: int(row[f"{name}_count"]) for name in counts},
        )
        for row in session.execute(statement).mappings()
    )
    return tuple(sorted(found, key=lambda each: (-each.calls, each.provider)))
