"""One call: everything the ledger holds about it, and how its price came about."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from werkzeug.wrappers import Response

from ...ledger import LlmCall
from ...usage import BUCKET_FIELDS
from ...usage import INPUT_FIELDS
from .. import charts
from .. import formats
from ..bill import bill_table
from ..bill import history_table
from ..bill import price_facts
from ..bill import why_unknown
from ..costs import shown_cost
from ..filters import FIELDS
from ..filters import TAG_PREFIX
from ..filters import Filters
from ..formats import Shown
from ..parameters import read_parameters
from ..periods import DEFAULT_PRESET
from ..periods import preset_period
from ..responses import CallNotFound
from ..responses import Place
from ..responses import link
from ..responses import page
from ..responses import runtime
from ..scoped import visible_calls
from ..table_export import About
from ..tables import Link
from ..taking_away import PARAMETERS
from ..taking_away import Tables
from ..taking_away import offered
from ..taking_away import taken

#: The facts of a call by column, in the order of the page.
_FACTS = (
    ("status", "Status"),
    ("http_status", "HTTP status"),
    ("error_type", "Error"),
    ("attempts", "HTTP attempts"),
    ("operation", "Operation"),
    ("stream", "Streamed"),
    ("provider", "Provider"),
    ("provider_account", "Provider account"),
    ("model", "Model that answered"),
    ("requested_model", "Model asked for"),
    ("usage_source", "Usage from"),
    ("total_tokens", "Tokens by the provider's count"),
    ("reasoning_tokens", "Reasoning tokens, part of output"),
    ("user_id", "User"),
    ("request_type", "Request type"),
    ("endpoint", "Flask endpoint"),
    ("trackable_type", "About, type"),
    ("trackable_id", "About, id"),
    ("service", "Service"),
    ("provider_response_id", "Provider's response id"),
    ("event_id", "Event id"),
    ("created_at", "Written to the ledger"),
)
#: Left out where there is nothing to tell, instead of saying "none".
_SELDOM = {
    "http_status",
    "error_type",
    "provider_account",
    "reasoning_tokens",
    "total_tokens",
    "request_type",
    "trackable_type",
    "trackable_id",
    "provider_response_id",
}
_IDENTIFIERS = {"model", "requested_model", "user_id", "endpoint", "provider_response_id", "event_id"}
_FILTER_OF = {field.column: name for name, field in FIELDS.items()}
_OUTPUT_FIELDS = ("output_tokens", "audio_output_tokens", "image_output_tokens")
#: Colours there are for named parts.
_MAX_RANK = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A name and what is known under it; ``href`` leads to the calls that share it."""

    label: str
    value: Shown
    href: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a mix, with its colour's rank and its share of the whole."""

    rank: int
    label: str
    value: Shown
    share: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """A horizontal bar of parts, and the list of the same numbers."""

    name: str
    heading: str
    spans: tuple[charts.Span, ...]
    parts: tuple[Part, ...]


def call(call_id: int) -> Response:
    """``GET /calls/<id>``."""
    given = read_parameters(PARAMETERS)
    found = visible_calls().get(call_id)
    if found is None:
        raise CallNotFound()
    tables: Tables = {
        "line-items": lambda: bill_table(found),
        "history": lambda: history_table(found, _zone()),
    }
    if (file := taken(given, tables, About(zone=_zone().key, filters={"call": str(found.id)}))) is not None:
        return file
    context = {
        "current": "calls",
        "call": found,
        "when": formats.moment(found.occurred_at, _zone()),
        "zone": _zone().key,
        "cost": shown_cost(found.total_cost, unknown_calls=int(found.cost_status != "free")),
        "at_least": found.cost_status == "partial",
        "heads": tuple(_heads(found)),
        "mixes": tuple(mix for mix in (_token_mix(found), _cost_mix(found)) if mix.spans),
        "price": price_facts(found),
        "tables": offered(tables, Place(".call", {"call_id": found.id}), {}),
        "explain_url": link(".price", {"call": str(found.id)}),
        "why": why_unknown(found),
        "facts": tuple(_facts(found)),
        "tags": tuple(_tags(found)),
        "details": json.dumps(found.details, indent=2, ensure_ascii=False) if found.details else "",
    }
    return page("call.html", context)


def _zone() -> ZoneInfo:
    return runtime().config.timezone


def _alike(name: str, value: str) -> str:
    """The calls of the default period that share a value with this one."""
    today = datetime.now(UTC).astimezone(_zone()).date()
    period = preset_period(DEFAULT_PRESET, today, _zone())
    return link(".calls", Filters(period, {name: value}, {}).arguments())


def _heads(found: LlmCall) -> Iterator[Fact]:
    """The numbers beside the cost."""
    yield Fact(label="Tokens in", value=formats.tokens(_sum(found, INPUT_FIELDS)))
    yield Fact(label="Tokens out", value=formats.tokens(_sum(found, _OUTPUT_FIELDS)))
    yield Fact(label="Latency", value=formats.duration(found.latency_ms))
    if found.stream:
        yield Fact(label="To the first token", value=formats.duration(found.time_to_first_token_ms))


def _sum(found: LlmCall, fields: tuple[str, ...]) -> int | None:
    told = [count for name in fields if (count := getattr(found, name)) is not None]
    return sum(told) if told else None


def _token_mix(found: LlmCall) -> Mix:
    counts = [(name, getattr(found, name)) for name in BUCKET_FIELDS if getattr(found, name)]
    return _mix(
        "tokens", "Tokens", [(_words(name), Decimal(count)) for name, count in counts], formats.number
    )


def _cost_mix(found: LlmCall) -> Mix:
    items = [(_words(item.component), item.cost) for item in found.line_items if item.cost]
    return _mix("cost", "Cost", items, formats.money)


def _mix(
    name: str, heading: str, amounts: list[tuple[str, Decimal]], shown: Callable[[Decimal], Shown]
) -> Mix:
    ranked = [
        (place if place <= _MAX_RANK else charts.OTHER, label, amount)
        for place, (label, amount) in enumerate(amounts, start=1)
    ]
    whole = sum((amount for _, amount in amounts), Decimal(0))
    return Mix(
        name=name,
        heading=heading,
        spans=charts.spans([(rank, amount) for rank, _, amount in ranked]),
        parts=tuple(
            Part(rank=rank, label=label, value=shown(amount), share=formats.percent(amount, whole))
            for rank, label, amount in ranked
        ),
    )


def _words(name: str) -> str:
    """``cache_read_input_tokens`` as ``cache read input``."""
    return name.removesuffix("_tokens").replace("_", " ")


def _facts(found: LlmCall) -> Iterator[Fact]:
    for name, label in _FACTS:
        value = getattr(found, name)
        if value is None and name in _SELDOM:
            continue
        filter_name = _FILTER_OF.get(name)
        yield Fact(
            label=label,
            value=Shown("none") if value is None else _plain(value),
            href=_alike(filter_name, _argument(value)) if filter_name and value is not None else "",
            code=name in _IDENTIFIERS and value is not None,
        )


def _plain(value: object) -> Shown:
    if isinstance(value, bool):
        return Shown("yes" if value else "no")
    if isinstance(value, datetime):
        return Shown(formats.moment(value, _zone()), value.isoformat())
    return formats.number(value) if isinstance(value, int) else Shown(str(value))


def _argument(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _tags(found: LlmCall) -> Iterator[Link]:
    for key, value in (found.tags or {}).items():
        yield Link(text=value, title=key, href=_alike(TAG_PREFIX + key, value))
