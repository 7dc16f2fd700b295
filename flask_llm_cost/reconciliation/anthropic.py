"""What Anthropic's admin API tells: costs per day, and tokens of Messages per day.

Formats: https://platform.claude.com/docs/en/manage-claude/usage-cost-api. Amounts are decimal strings in
cents. Costs of the Priority Tier are in no cost report.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from ..money import EXACT
from .admin_api import Parameters
from .document import amount
from .document import as_object
from .document import count
from .document import name
from .errors import ReconciliationError
from .line import Line
from .line import cost_line
from .line import usage_line
from .source import Bucket
from .source import Period
from .source import Source

PROVIDER = "anthropic"
ADDRESS = "https://api.anthropic.com/v1"
KEY_VARIABLE = "ANTHROPIC_ADMIN_KEY"
_VERSION = "2023-06-01"
#: Buckets of one page: the most that are allowed for days.
_DAYS = 31
_CENTS = 2

_COMPONENTS = {
    "uncached_input_tokens": "input",
    "output_tokens": "output",
    "cache_read_input_tokens": "cache_read_input",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_input",
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_extended_input",
}
_OTHER_COSTS = {"web_search": "web_search_request", "code_execution": "container_session"}


def headers(key: str) -> Mapping[str, str]:
    """How a request bears the key."""
    return {"x-api-key": key, "anthropic-version": _VERSION}


def _ask(period: Period, *, group_by: tuple[str, ...]) -> Parameters:
    return [
        ("starting_at", f"{period.start:%Y-%m-%dT%H:%M:%SZ}"),
        ("ending_at", f"{period.end:%Y-%m-%dT%H:%M:%SZ}"),
        ("bucket_width", "1d"),
        ("limit", _DAYS),
        *(("group_by[]", each) for each in group_by),
    ]


def _bucket(bucket: Mapping[str, Any], where: str) -> Bucket:
    return _moment(bucket, "starting_at", where), _moment(bucket, "ending_at", where)


def _moment(bucket: Mapping[str, Any], key: str, where: str) -> datetime:
    told = bucket.get(key)
    try:
        found = datetime.fromisoformat(told) if isinstance(told, str) else None
        if found is not None and found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ReconciliationError(f"{where}.{key} is no time with a zone.")


def _cost(result: Mapping[str, Any], where: str, bucket: Bucket) -> Iterator[Line]:
    token_type = name(result, "token_type", where) or ""
    cost_type = name(result, "cost_type", where) or ""
    cents = amount(result.get("amount"), f"{where}.amount")
    yield cost_line(
        cents.scaleb(-_CENTS, context=EXACT) if cents.is_finite() else cents,
        where=f"{where}.amount",
        bucket=bucket,
        currency=name(result, "currency", where, 8) or "USD",
        provider_account=name(result, "workspace_id", where),
        model=name(result, "model", where),
        line_item=name(result, "description", where, 255),
        component=_COMPONENTS.get(token_type) or _OTHER_COSTS.get(cost_type),
        pricing_mode=_mode(result, where),
    )


def _usage(result: Mapping[str, Any], where: str, bucket: Bucket) -> Iterator[Line]:
    for component, quantity in _quantities(result, where).items():
        if quantity:
            yield usage_line(
                component,
                quantity,
                where=f"{where} ({component})",
                bucket=bucket,
                provider_account=name(result, "workspace_id", where),
                api_key_id=name(result, "api_key_id", where),
                model=name(result, "model", where),
                pricing_mode=_mode(result, where),
                line_item="messages",
            )


def _quantities(result: Mapping[str, Any], where: str) -> dict[str, Decimal | None]:
    written = as_object(result.get("cache_creation") or {}, f"{where}.cache_creation")
    tools = as_object(result.get("server_tool_use") or {}, f"{where}.server_tool_use")
    return {
        "input": count(result, "uncached_input_tokens", where),
        "cache_read_input": count(result, "cache_read_input_tokens", where),
        "cache_write_input": count(written, "ephemeral_5m_input_tokens", f"{where}.cache_creation"),
        "cache_write_extended_input": count(written, "ephemeral_1h_input_tokens", f"{where}.cache_creation"),
        "output": count(result, "output_tokens", where),
        "web_search_request": count(tools, "web_search_requests", f"{where}.server_tool_use"),
    }


def _mode(result: Mapping[str, Any], where: str) -> str | None:
    tier = name(result, "service_tier", where, 64)
    return None if tier == "standard" else tier


SOURCES = (
    Source(
        name="anthropic_costs",
        provider=PROVIDER,
        path="/organizations/cost_report",
        ask=partial(_ask, group_by=("workspace_id", "description")),
        bucket=_bucket,
        read=_cost,
    ),
    Source(
        name="anthropic_usage_messages",
        provider=PROVIDER,
        path="/organizations/usage_report/messages",
        ask=partial(_ask, group_by=("workspace_id", "api_key_id", "model", "service_tier")),
        bucket=_bucket,
        read=_usage,
    ),
)
