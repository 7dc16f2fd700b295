"""How sure the numbers are: calls without a price or usage, estimates, and totals that disagree."""

from __future__ import annotations

from sqlalchemy import ColumnElement
from sqlalchemy import and_
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..ledger import LlmCall
from ..usage import BUCKET_FIELDS
from .filters import Filters
from .measures import count_where
from .values import DataQuality


def data_quality(session: Session, filters: Filters) -> DataQuality:
    """Count the calls whose numbers are missing or doubtful. Reads the calls, not the rollups."""
    told = LlmCall.usage_source != "unknown"
    counts = {
        "calls": func.count(),
        "unpriced": count_where(and_(LlmCall.cost_status == "unknown", told)),
        "partial": count_where(LlmCall.cost_status == "partial"),
        "untold": count_where(and_(LlmCall.cost_status == "unknown", LlmCall.usage_source == "unknown")),
        "estimated": count_where(LlmCall.usage_source == "estimated"),
        "disagreeing": count_where(disagrees()),
    }
    row = session.execute(select(*counts.values()).where(*filters.conditions())).one()
    return DataQuality(**dict(zip(counts, row, strict=True)))


def disagreeing_calls(session: Session, filters: Filters, limit: int) -> tuple[LlmCall, ...]:
    """The latest calls whose token counts do not add up to the provider's own total."""
    statement = select(LlmCall).where(*filters.conditions(), disagrees())
    ordered = statement.order_by(LlmCall.occurred_at.desc(), LlmCall.id.desc()).limit(limit)
    return tuple(session.scalars(ordered))


def disagrees() -> ColumnElement[bool]:
    """Whether a call's buckets add up to something else than its ``total_tokens``; both are kept as told."""
    columns = [getattr(LlmCall, name) for name in BUCKET_FIELDS]
    counted: ColumnElement[int] = func.coalesce(columns[0], 0)
    for column in columns[1:]:
        counted = counted + func.coalesce(column, 0)
    return and_(func.coalesce(*columns).is_not(None), LlmCall.total_tokens != counted)
