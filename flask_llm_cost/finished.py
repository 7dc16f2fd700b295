"""The event of a call that is over: what was observed, its price, and who it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .events import Event
from .events import Observation
from .events import OpenCall
from .pricing import Price
from .sanitize import clean_details
from .sanitize import clean_text
from .usage import TOKEN_FIELDS

#: Usage fields that have a column in the ledger.
_TOKEN_COLUMNS = tuple(name for name in TOKEN_FIELDS if name in Event.__dataclass_fields__)
_NAME_LENGTH = 191
_PROVIDER_LENGTH = 64


def finished_event(
    call: OpenCall,
    observation: Observation,
    *,
    model: str,
    mode: str | None,
    price: Price,
    details: Mapping[str, Any] | None,
) -> Event:
    """The event, its texts made fit for their columns.

    :param model: that was billed. :param mode: the pricing mode that it was priced in.
    :param details: of the host's, not cleaned yet.
    """
    who = call.attribution
    return Event(
        event_id=call.event_id,
        occurred_at=call.occurred_at,
        service=call.service,
        provider=clean_text(call.start.provider, _PROVIDER_LENGTH),
        provider_account=_name(observation.provider_account),
        model=_name(model) or "unknown",
        requested_model=_name(call.start.requested_model),
        operation=call.start.operation,
        status=observation.status,
        http_status=observation.http_status,
        error_type=_name(observation.error_type),
        attempts=max(1, observation.attempts),
        stream=call.start.stream,
        usage_source=observation.usage_source,
        provider_response_id=_name(observation.provider_response_id),
        **_token_counts(observation),
        pricing_mode=mode,
        total_cost=price.total_cost,
        cost_status=price.cost_status,
        cost_source=price.cost_source,
        pricing_snapshot=price.snapshot,
        latency_ms=observation.latency_ms,
        time_to_first_token_ms=observation.time_to_first_token_ms,
        user_id=who.user_id,
        request_type=who.request_type,
        trackable_type=who.trackable_type,
        trackable_id=who.trackable_id,
        endpoint=who.endpoint,
        tags=who.tags,
        details=None if details is None else clean_details(details),
        line_items=price.line_items,
    )


def unpriced(observation: Observation) -> Price:
    """The price where nothing was told that could be priced."""
    # A provider that refuses a request with an HTTP error bills nothing; what was cut off may be billed.
    refused = observation.status == "error" and (observation.http_status or 0) >= 400
    return Price(
        total_cost=None,
        line_items=(),
        cost_status="free" if refused or observation.status == "blocked" else "unknown",
        cost_source=None,
        snapshot=None,
    )


def _token_counts(observation: Observation) -> dict[str, Any]:
    """All tokens that were billed, those of further iterations included; nothing told stays ``None``."""
    usage = observation.usage
    for iteration in observation.iterations:
        usage = iteration.usage if usage is None else usage + iteration.usage
    if usage is None:
        return {}
    return {name: getattr(usage, name) for name in _TOKEN_COLUMNS}


def _name(text: str | None) -> str | None:
    return (clean_text(text, _NAME_LENGTH) or None) if text else None
