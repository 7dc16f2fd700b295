"""What a report found, as values and rows; the same for text, JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ..analytics import Latency
from ..analytics import Report
from ..analytics import ReportGroup
from ..analytics import ReportRow
from ..analytics import Totals
from ..analytics import UnpricedModel
from ..ledger import LlmCall
from .output import Cell

_TITLES = {"user_id": "Top users", "request_type": "By request type", "pricing_mode": "By pricing mode"}
_NOTHING = {"user_id": "(no user)", "pricing_mode": "standard"}

#: What is told of a set of calls, in JSON and CSV.
SUMS = (
    "calls",
    "failed_calls",
    "unknown_cost_calls",
    "partial_cost_calls",
    "total_cost",
    "average_cost",
    "average_latency_ms",
    "tokens_in",
    "tokens_out",
)


@dataclass(frozen=True, slots=True)
class Section:
    """One split of the calls."""

    breakdown: ReportGroup

    @property
    def dimension(self) -> str:
        """What the calls are split by."""
        return self.breakdown.dimension

    @property
    def title(self) -> str:
        """What stands above the table."""
        if self.dimension.startswith("tag:"):
            return f"By tag {self.dimension.removeprefix('tag:')}"
        return _TITLES.get(self.dimension, f"By {self.dimension.replace('_', ' ')}")

    def rows(self) -> Iterator[dict[str, Cell]]:
        """One row per value, then what the limit left out."""
        for row in self.breakdown.rows:
            yield {"value": row.value, "name": self._name(row), **_told(row)}
        other = self.breakdown.other
        if other is not None:
            name = f"(other: {self.breakdown.other_values:,})"
            yield {"value": None, "name": name, "other": True, **_told(other)}

    @property
    def is_compared(self) -> bool:
        """Whether there are calls of the time before to hold it against."""
        return self.breakdown.previous is not None and self.breakdown.previous.calls > 0

    def _name(self, row: ReportRow) -> str:
        if row.value is not None:
            return row.value
        return "(untagged)" if self.dimension.startswith("tag:") else _NOTHING.get(self.dimension, "(none)")


def _told(row: ReportRow) -> dict[str, Cell]:
    before = row.previous
    return {
        "share": row.share,
        **sums(row),
        "previous_calls": None if before is None else before.calls,
        "previous_cost": None if before is None else before.total_cost,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a report found. ``whole``: not only the splits that were asked for."""

    range: tuple[datetime, datetime] | None
    zone: ZoneInfo
    totals: Totals
    previous: Totals | None
    latency: Latency
    sections: tuple[Section, ...]
    top_calls: tuple[LlmCall, ...] = ()
    unpriced: tuple[UnpricedModel, ...] = ()
    whole: bool = False

    @classmethod
    def of(cls, found: Report, *, whole: bool) -> Answer:
        """A report as it is printed."""
        return cls(
            range=found.range,
            zone=found.zone,
            totals=found.totals,
            previous=found.previous,
            latency=found.latency,
            sections=tuple(Section(group) for group in found.groups),
            top_calls=found.top_calls,
            unpriced=found.unpriced,
            whole=whole,
        )


def sums(totals: Totals) -> dict[str, Cell]:
    """The sums of a set of calls by name."""
    return {name: getattr(totals, name) for name in SUMS}


def call_row(call: LlmCall) -> dict[str, Cell]:
    """What is told of one call."""
    return {
        "id": call.id,
        "occurred_at": call.occurred_at,
        "provider": call.provider,
        "model": call.model,
        "user_id": call.user_id,
        "total_cost": call.total_cost,
        "latency_ms": call.latency_ms,
    }


def unpriced_row(model: UnpricedModel) -> dict[str, Cell]:
    """What is told of a model without a complete price."""
    return {
        "provider": model.provider,
        "model": model.model,
        "unknown_cost_calls": model.unknown_cost_calls,
        "partial_cost_calls": model.partial_cost_calls,
        "tokens_in": model.tokens_in,
        "tokens_out": model.tokens_out,
        "first_seen": model.first_seen,
        "last_seen": model.last_seen,
    }
