"""Calls that no tap sees, told by the host: :func:`track`, whose keywords ``track_stream`` shares."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any
from typing import TypedDict
from typing import Unpack
from typing import get_args

from .. import runtime as runtimes
from ..charges import event_id_of
from ..context import with_tags
from ..events import CallStart
from ..events import Event
from ..events import Observation
from ..events import OpenCall
from ..events import Operation
from ..events import Status
from ..money import MONEY_LIMIT
from ..providers import normalise_mode
from ..runtime import Runtime
from ..sanitize import clean_details
from ..usage import INPUT_FIELDS
from ..usage import TOKEN_FIELDS
from ..usage import Usage
from .mute import ours


class CallDetails(TypedDict, total=False):
    """The keywords that :func:`track` and :func:`track_stream` share, all optional.

    The token counts are named like the ledger's columns and like the fields of
    :class:`~flask_llm_cost.Usage`, which may be given whole as ``usage`` instead.
    """

    usage: Usage
    input_tokens: int | None
    cache_read_input_tokens: int | None
    cache_write_input_tokens: int | None
    cache_write_extended_input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    image_input_tokens: int | None
    image_output_tokens: int | None
    cache_read_audio_input_tokens: int | None
    cache_read_image_input_tokens: int | None
    total_tokens: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    charges: Mapping[str, int | Decimal]
    cost: Decimal | str | int | None
    pricing_mode: str | None
    operation: Operation
    status: Status
    stream: bool
    provider_response_id: str | None
    latency_ms: float | None
    http_status: int | None
    error_type: str | None
    occurred_at: datetime
    idempotency_key: str | None
    enforce_budget: bool
    tags: Mapping[str, object]
    user: object
    trackable: object
    request_type: str | None
    details: Mapping[str, Any] | None


#: Keeps the keys of hosts apart from the names that providers have for their charges.
_TOLD_BY_HAND = "idempotency key"

#: What a budget's enforcement can be, if it is more than to notify.
STOPPING = ("raise", "block", "reserve")

KEYWORDS = tuple(CallDetails.__annotations__)
#: Other names for all of the input and all of the output, each with the counts that are parts of it.
_WHOLES = {
    "prompt_tokens": ("input_tokens", tuple(name for name in INPUT_FIELDS if name != "input_tokens")),
    "completion_tokens": ("output_tokens", ("audio_output_tokens", "image_output_tokens")),
}
#: What tells a usage.
USAGE_KEYWORDS = ("usage", *TOKEN_FIELDS, *_WHOLES, "charges")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldCall:
    """The keywords, checked."""

    start: CallStart
    observation: Observation
    cost: Decimal | None
    details: Mapping[str, Any] | None
    occurred_at: datetime | None
    idempotency_key: str | None
    scope: Mapping[str, Any]
    names_operation: bool
    enforces_budget: bool

    @classmethod
    def read(cls, function: str, provider: str, model: str, given: Mapping[str, Any]) -> ToldCall:
        """:raises TypeError: a keyword is unknown. :raises ValueError: a value cannot be true."""
        check_keywords(function, given, KEYWORDS)
        operation = given.get("operation") or ("messages" if provider == "anthropic" else "chat")
        details = _mapping("details", given.get("details"))
        return cls(
            start=CallStart(
                provider=_text("provider", provider),
                operation=_one_of("operation", operation, Operation),
                requested_mode=normalise_mode(given.get("pricing_mode")),
                stream=bool(given.get("stream", False)),
            ),
            observation=_observation(model, given),
            cost=_cost(given.get("cost")),
            details=None if details is None else clean_details(details),
            occurred_at=_moment(given.get("occurred_at")),
            idempotency_key=_key(given.get("idempotency_key")),
            scope={name: given[name] for name in ("user", "trackable", "request_type") if name in given}
            | {**(_mapping("tags", given.get("tags")) or {})},
            names_operation="operation" in given,
            enforces_budget=bool(given.get("enforce_budget", False)),
        )

    def begin(self, runtime: Runtime) -> OpenCall:
        """Open the call with the tags of this moment and its own."""
        with with_tags(self.scope):
            opened = runtime.recorder.begin(self.start)
        if self.idempotency_key is not None:
            event_id = event_id_of(self.start.provider, f"{_TOLD_BY_HAND} {self.idempotency_key}")
            opened = opened._replace(event_id=event_id)
        return opened if self.occurred_at is None else opened._replace(occurred_at=self.occurred_at)


def track(
    *, provider: str, model: str, runtime: Runtime | None = None, **call: Unpack[CallDetails]
) -> Event | None:
    """Record a call that no SDK tap sees.

    :param usage: what was used; or single token counts by the ledger's column names, and ``charges`` for what
        is billed by another unit. Without any the cost is unknown, unless you tell it.
    :param prompt_tokens: all of the input, cached and other parts included; what you tell of these apart is
        taken out. ``completion_tokens`` likewise of the output.
    :param cost: the exact charge in USD, a ``Decimal`` or a string; nothing is computed then.
    :param latency_ms: milliseconds.
    :param occurred_at: when the call began, an aware datetime; now where it is not given.
    :param idempotency_key: names the call, for this provider, where it may be told more than once: the ledger
        keeps the first, and what is told again with the same key, by any process, adds nothing.
    :param enforce_budget: raise once the call is recorded, if it has reached a limit of any budget that is
        not only to notify.
    :param tags: a mapping, on top of the tags that are in force; ``user``, ``trackable`` and ``request_type``
        as in :class:`~flask_llm_cost.with_tags`.
    :param details: a small JSON mapping for your own use; never put prompts there.
    :param runtime: the app's; the current one where it is not given.
    :returns: the event that was recorded; ``None`` where tracking is off or no tracked app is known here.
    :raises TypeError: a keyword is unknown; the nearest one is named.
    :raises ValueError: a value cannot be true, such as a negative count. Nothing is recorded then.
    :raises BudgetExceededError: the call is recorded, and a limit is reached.
    """
    told = ToldCall.read("track", provider, model, call)
    runtime = enabled_runtime(runtime)
    if runtime is None:
        return None
    with ours(runtime.counters, "track() could not record a call"):
        opened = told.begin(runtime)
        event = runtime.recorder.finish(opened, told.observation, cost=told.cost, details=told.details)
        runtime.recorder.record(event)
        if told.enforces_budget and runtime.budgets is not None:
            runtime.budgets.check(event, STOPPING)
        return event
    return None


def imagined_call(runtime: Runtime, provider: str | None, model: str | None) -> OpenCall:
    """A call that begins here and now, of what is known of it. Nobody makes it."""
    start = CallStart(provider=provider or "", operation="other", requested_model=model)
    return runtime.recorder.begin(start)


def enabled_runtime(given: Runtime | None) -> Runtime | None:
    """The runtime a call told by hand belongs to, if it tracks at all."""
    runtime = given or runtimes.resolve()
    return runtime if runtime is not None and runtime.config.enabled else None


def read_usage(given: Mapping[str, Any]) -> Usage | None:
    """The usage in ``given``: whole, or as single counts and charges; ``None`` where there is none.

    :raises TypeError: both forms are mixed. :raises ValueError: a count cannot be true; its name is told.
    """
    told = (*TOKEN_FIELDS, *_WHOLES, "charges")
    single = {name: given[name] for name in told if given.get(name) is not None}
    usage = given.get("usage")
    if usage is None:
        return Usage(**_disjoint(single)) if single else None
    if not isinstance(usage, Usage):
        raise TypeError(f"usage must be a flask_llm_cost.Usage, got {type(usage).__name__}")
    if single:
        raise TypeError(f"give either usage= or single counts, not usage= and {next(iter(single))}=")
    return usage


def _disjoint(counts: dict[str, Any]) -> dict[str, Any]:
    """``prompt_tokens`` and ``completion_tokens``, which hold their parts, as counts that do not.

    :raises TypeError: a count is given by both of its names. :raises ValueError: it cannot hold its parts.
    """
    for whole, (rest, parts) in _WHOLES.items():
        if whole not in counts:
            continue
        if rest in counts:
            raise TypeError(f"give either {whole}= (with all its parts) or {rest}=, not both")
        count, inside = counts.pop(whole), [counts.get(part, 0) for part in parts]
        if type(count) is not int or count < 0:
            raise ValueError(f"{whole} must be a whole number of tokens, at least 0, got {count!r}")
        if all(type(part) is int for part in inside):
            counts[rest] = count - sum(inside)
            if counts[rest] < 0:
                raise ValueError(f"{whole} ({count}) cannot be less than the parts that are told of it")
    return counts


def check_keywords(function: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """:raises TypeError: a keyword of ``given`` is not among ``known``."""
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else " A tag of your own goes into tags={...}."
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}.{hint}")


def _observation(model: str, given: Mapping[str, Any]) -> Observation:
    usage = read_usage(given)
    return Observation(
        status=_one_of("status", given.get("status", "ok"), Status),
        model=_text("model", model),
        provider_response_id=given.get("provider_response_id"),
        usage=usage,
        usage_source="unknown" if usage is None and given.get("cost") is None else "manual",
        pricing_mode=normalise_mode(given.get("pricing_mode")),
        mode_told=True,
        http_status=given.get("http_status"),
        error_type=given.get("error_type"),
        latency_ms=_milliseconds(given.get("latency_ms")),
    )


def _mapping(name: str, value: Any) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a mapping, got {type(value).__name__}")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} must be a name, got {value!r}")
    return value


def _one_of(name: str, value: Any, literal: Any) -> Any:
    if value not in get_args(literal):
        raise ValueError(f"{name} must be one of {', '.join(get_args(literal))}, got {value!r}")
    return value


def _key(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"idempotency_key must be a text that names the call, got {value!r}")
    return value


def _milliseconds(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST_MS:
        raise ValueError(f"latency_ms must be a number of milliseconds, at least 0, got {value!r}")
    return round(value)


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise ValueError(f"occurred_at must be a datetime with a time zone, got {value!r}")
    return value.astimezone(UTC)


def _cost(value: Any) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise ValueError(f"cost must be a Decimal or a string such as '0.0123', got {type(value).__name__}")
    try:
        cost = Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"cost must be a number of USD, got {value!r}") from error
    if not cost.is_finite() or not 0 <= cost < MONEY_LIMIT:
        raise ValueError(f"cost must be from 0 to {MONEY_LIMIT} USD, got {value!r}")
    return cost


#: The ledger's latency columns are 32-bit integers: 24 days.
_LONGEST_MS = 2**31 - 1
