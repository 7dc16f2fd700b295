"""The values a call passes through, from the SDK's entry to the ledger. No I/O, no Flask, no SQL here.

``CallStart`` (what capture knows when the call begins) -> ``OpenCall`` (plus tags, user, clock) ->
``Observation`` (what the provider answered) -> ``Event`` (priced, ready to store).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from typing import Literal
from typing import NamedTuple
from typing import Protocol

from .usage import Usage

Operation = Literal[
    "chat",
    "responses",
    "messages",
    "generate_content",
    "embeddings",
    "images",
    "videos",
    "transcription",
    "speech",
    "moderation",
    "completions",
    "batch",
    "other",
]
Status = Literal["ok", "error", "aborted", "blocked"]
UsageSource = Literal["response", "stream", "batch", "manual", "estimated", "unknown"]
CostStatus = Literal["complete", "partial", "unknown", "free"]
CostSource = Literal["computed", "provider", "caller"]


class Lease(Protocol):
    """What budgets have set aside for a call."""

    def is_of(self, event_id: str) -> None:
        """The call's event has this id, which is not the call's own."""


# The first three are tuples: each call makes them on its request's thread, where a frozen dataclass would
# take several times as long.


class CallStart(NamedTuple):
    """What is known when a call begins.

    :param requested_mode: the pricing mode the request asked for; the served one comes with the answer.
    :param regional: whether the request went to a host that binds it to a region.
    """

    provider: str
    operation: Operation
    requested_model: str | None = None
    requested_mode: str | None = None
    stream: bool = False
    regional: bool = False


class Attribution(NamedTuple):
    """Who and what a call belongs to, frozen when the call begins."""

    tags: Mapping[str, str] = MappingProxyType({})
    user_id: str | None = None
    request_type: str | None = None
    trackable_type: str | None = None
    trackable_id: str | None = None
    endpoint: str | None = None


class OpenCall(NamedTuple):
    """A call under way. ``started_ns`` is the monotonic clock, for durations only.

    :param lease: what is held of budgets while the call is under way; given back when nobody holds it.
    """

    event_id: str
    service: str
    occurred_at: datetime
    started_ns: int
    start: CallStart
    attribution: Attribution
    lease: Lease | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """Usage billed on top of the main answer, possibly at another model (compaction, advisor turns)."""

    model: str | None
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the provider answered, in canonical words.

    :param usage: ``None`` where the provider told nothing, which is not zero.
    :param iterations: billed on top of ``usage``.
    :param pricing_mode: the mode that was served; ``None`` for standard, ``"unknown"`` is never used:
        where the answer is silent, ``mode_told`` is false and the requested mode stands.
    :param provider_cost: the charge in USD as the provider itself reports it.
    :param containers: the ids of those whose sessions are among the charges; each is billed once.
    :param problems: what was wrong with the answer's numbers, for the log; never any content.
    :param charge_id: what the provider calls this charge, where more than one answer may tell of it: a line
        of a batch's results, a response in the background. The event's id is made of it.
    :param is_settled: false while the work is under way and a later answer tells what it used.
    :param operation: what was asked for, where the answer tells it and the request does not.
    :param occurred_at: when the provider answered, by its own word, where that is told some other time.
    """

    status: Status = "ok"
    model: str | None = None
    provider_response_id: str | None = None
    provider_account: str | None = None
    usage: Usage | None = None
    iterations: tuple[Iteration, ...] = ()
    usage_source: UsageSource = "unknown"
    pricing_mode: str | None = None
    mode_told: bool = False
    provider_cost: Decimal | None = None
    containers: tuple[str, ...] = ()
    provider_fields: Mapping[str, str] = field(default_factory=dict)
    http_status: int | None = None
    error_type: str | None = None
    attempts: int = 1
    latency_ms: int | None = None
    time_to_first_token_ms: int | None = None
    problems: tuple[str, ...] = ()
    charge_id: str | None = None
    is_settled: bool = True
    operation: Operation | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedItem:
    """One line item: ``quantity`` of a component at ``rate`` (in ``rate_basis``) is ``cost`` in USD.

    ``rate`` and ``cost`` are ``None`` where no rate is known. Its fields are the columns of
    ``llm_cost_line_items``.
    """

    component: str
    quantity: Decimal
    unit: str
    rate: Decimal | None
    rate_basis: str
    cost: Decimal | None
    cost_status: CostStatus
    provider_field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One call, priced and attributed: exactly what the ledger stores. Field names are column names.

    ``tags`` is what goes to the tag table and, as JSON, into the call's row.
    """

    event_id: str
    occurred_at: datetime
    service: str
    provider: str
    model: str
    operation: Operation
    status: Status = "ok"
    provider_account: str | None = None
    requested_model: str | None = None
    http_status: int | None = None
    error_type: str | None = None
    attempts: int = 1
    stream: bool = False
    usage_source: UsageSource = "unknown"
    provider_response_id: str | None = None
    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_write_extended_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    total_tokens: int | None = None
    pricing_mode: str | None = None
    total_cost: Decimal | None = None
    cost_status: CostStatus = "unknown"
    cost_source: CostSource | None = None
    pricing_snapshot: Mapping[str, Any] | None = None
    latency_ms: int | None = None
    time_to_first_token_ms: int | None = None
    user_id: str | None = None
    request_type: str | None = None
    trackable_type: str | None = None
    trackable_id: str | None = None
    endpoint: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] | None = None
    line_items: tuple[PricedItem, ...] = ()
