"""Events that cannot be stored, kept for inspection without what could be personal or secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..events import Event
from .models import REASON_LENGTH
from .rows import Row
from .rows import storable_id
from .rows import storable_text

#: Why an event is in the quarantine although the database would take it.
PRUNED = "older than the last prune"
#: The first call that bears an id is the one that counts.
TOLD_DIFFERENTLY = "a call of the same id is stored with other numbers"

#: Whose call it was, and what the host said about it, stays out; so does the price's snapshot.
_LEFT_OUT = {
    "event_id",
    "occurred_at",
    "user_id",
    "trackable_type",
    "trackable_id",
    "endpoint",
    "request_type",
    "provider_response_id",
    "provider_account",
    "pricing_snapshot",
    "details",
    "tags",
    "line_items",
}
_TEXT_LENGTH = 191


def quarantine_row(event: Event, reason: str) -> Row:
    """The row of ``llm_cost_quarantine`` for an event: its numbers and names, and the keys of its tags."""
    moment = event.occurred_at
    known = isinstance(moment, datetime) and moment.utcoffset() is not None
    return {
        "event_id": storable_id(event.event_id),
        "occurred_at": moment if known else None,
        "reason": storable_text(reason, REASON_LENGTH),
        "event": json.dumps(_redacted(event), ensure_ascii=False),
        "created_at": datetime.now(UTC),
    }


def _redacted(event: Event) -> Mapping[str, Any]:
    kept: dict[str, Any] = {
        name: _plain(getattr(event, name)) for name in Event.__dataclass_fields__ if name not in _LEFT_OUT
    }
    kept["tag_keys"] = [_plain(key) for key in list(event.tags)[:50]]
    return {name: value for name, value in kept.items() if value is not None}


def _plain(value: object) -> str | int | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if isinstance(value, str):
        return storable_text(value, _TEXT_LENGTH)
    return str(value)[:_TEXT_LENGTH] if isinstance(value, Decimal | int | float) else type(value).__name__
