"""An event as JSON and back: everything its row needs, amounts as exact decimal text.

What is ``None`` is left out. Names are those of :class:`~flask_llm_cost.events.Event`; a record with others
was written by a later version. A :class:`~flask_llm_cost.providers.Sighting`, whose event is still to be
made, stands under the name ``seen``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from ..events import Attribution
from ..events import CallStart
from ..events import Event
from ..events import OpenCall
from ..events import PricedItem
from ..events import UsageSource
from ..providers import Answer
from ..providers import RequestFacts
from ..providers import Route
from ..providers import Sighting
from ..providers import recalled

#: Raised when a record means something else than before, and not for a field that older ones lack.
FORMAT = 1

#: Fields that JSON cannot hold as they are.
_CONVERTED = {"occurred_at", "total_cost", "tags", "line_items"}
_NAMES = tuple(item.name for item in fields(Event) if item.name not in _CONVERTED)
_EVENT_FIELDS = {item.name for item in fields(Event)}
_values = attrgetter(*_NAMES)

_ITEM_NAMES = tuple(item.name for item in fields(PricedItem))
_ITEM_AMOUNTS = ("quantity", "rate", "cost")
_item_values = attrgetter(*_ITEM_NAMES)


#: How many values stand of a sighting in a list; further ones come last.
_SEEN = 12
#: The names of what was kept of an answer.
_KEPT = {"excerpt", "kept"}
#: In JSON, a text that is longer than a name is.
_LONG = re.compile(r'"[^"]{65}')


class BadRecord(ValueError):
    """What was read is no record of an event."""


class NewerRecord(ValueError):
    """A later version has written this record; it is left for a process that knows it."""


def encode(event: Event) -> bytes:
    """The event as ASCII JSON.

    :raises ValueError: a value cannot be told in JSON.
    """
    told = {name: value for name, value in zip(_NAMES, _values(event), strict=True) if value is not None}
    told["occurred_at"] = event.occurred_at.isoformat()
    if event.total_cost is not None:
        told["total_cost"] = str(event.total_cost)
    if event.tags:
        told["tags"] = dict(event.tags)
    if event.line_items:
        told["line_items"] = [_item_values(item) for item in event.line_items]
    return _to_json(told).encode("ascii")


def encode_sighting(sighting: Sighting) -> bytes | None:
    """What was seen of a call as ASCII JSON; ``None`` where it has to be judged now.

    :raises TypeError: :raises ValueError: a value cannot be told in JSON.
    """
    answer, call = sighting.answer, sighting.call
    if not isinstance(answer, Answer) or (kept := answer.kept()) is None:
        return None
    what, values = kept
    text = _counts(values)
    if "\\" in text or _LONG.search(text):
        return None  # somebody's words, perhaps: an escaped quote would end the text that it stands in
    seen = (
        call.event_id,
        call.service,
        call.occurred_at.isoformat(),
        call.start,
        call.attribution,
        sighting.route.protocol,
        answer.source,
        sighting.http_status,
        sighting.provider_account,
        sighting.attempts,
        sighting.latency_ms,
        sighting.time_to_first_token_ms,
    )
    return f'{{"seen":{_strict(seen)},"{what}":{text}}}'.encode("ascii")


def decode(record: bytes) -> Event | Sighting:
    """The event of a record, or what is to be made one.

    :raises NewerRecord: it has a field that this version does not know.
    :raises BadRecord: it is none.
    """
    try:
        told = json.loads(record)
    except ValueError as error:
        raise BadRecord("no JSON") from error
    if not isinstance(told, dict):
        raise BadRecord("no JSON object")
    if "seen" in told:
        return _sighting(told)
    if not told.keys() <= _EVENT_FIELDS:
        raise NewerRecord(f"unknown fields: {', '.join(sorted(told.keys() - _EVENT_FIELDS))}")
    try:
        told["occurred_at"] = datetime.fromisoformat(told["occurred_at"])
        if "total_cost" in told:
            told["total_cost"] = Decimal(told["total_cost"])
        told["line_items"] = tuple(_item(values) for values in told.get("line_items", ()))
        return Event(**told)
    except NewerRecord:
        raise
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise BadRecord(f"no event ({type(error).__name__})") from error


def _sighting(told: dict[str, Any]) -> Sighting:
    try:
        if not told.keys() <= {"seen", *_KEPT}:
            raise NewerRecord(f"a sighting with {', '.join(sorted(told))}")
        ((what, kept),) = ((name, told[name]) for name in _KEPT & told.keys())
        event_id, service, at, start, who, protocol, source, *arrived = _all(told["seen"], _SEEN)
        start = CallStart(*_all(start, len(CallStart._fields)))
        tags, *rest = _all(who, len(Attribution._fields))
        call = OpenCall(
            event_id=event_id,
            service=service,
            occurred_at=datetime.fromisoformat(at),
            started_ns=0,
            start=start,
            attribution=Attribution(dict(tags), *rest),
        )
        route = Route(start.provider, start.operation, protocol, "usage")
        asked = RequestFacts(start.requested_model, start.stream, start.requested_mode)
        return Sighting(call, route, asked, _answer(route, what, dict(kept), source), *arrived)
    except NewerRecord:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadRecord(f"no sighting ({type(error).__name__})") from error


def _all(values: list[Any], count: int) -> list[Any]:
    if len(values) > count:
        raise NewerRecord(f"{len(values)} values in place of {count}")
    if len(values) < count:
        raise ValueError(f"{len(values)} values in place of {count}")
    return values


def _answer(route: Route, what: str, kept: dict[str, Any], source: UsageSource) -> Answer:
    try:
        return recalled(route, what, kept, source)
    except KeyError as error:
        raise NewerRecord(f"an answer that is read by {route.provider}/{route.protocol} only") from error


def _item(values: list[Any]) -> PricedItem:
    if len(values) > len(_ITEM_NAMES):
        raise NewerRecord(f"a line item of {len(values)} fields")
    item = dict(zip(_ITEM_NAMES, values, strict=False))
    for name in _ITEM_AMOUNTS:
        if item[name] is not None:
            item[name] = Decimal(item[name])
    return PricedItem(**item)


def _plain(value: object) -> object:
    """What the JSON encoder does not know: amounts as text, read-only mappings as objects."""
    if isinstance(value, MappingProxyType):  # the tags of nearly every call
        return value.copy()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return list(value)
    return type(value).__name__


def _encoder(default: Callable[[object], object] | None) -> Callable[[object], str]:
    """What makes JSON of trees, made by us: nobody need look for circles.

    As ``json.JSONEncoder.encode``, which makes the encoder that is written in C anew for each text.
    """
    whole = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":"), default=default)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return whole.encode
    quoted = json.encoder.encode_basestring_ascii
    pieces = make(None, whole.default, quoted, None, ":", ",", False, False, False)
    return lambda tree: "".join(pieces(tree, 0))


_strict = _encoder(_plain)
#: Of an answer: nothing is known of amounts that are not to be rounded.
_counts = _encoder(None)
_lenient = json.JSONEncoder(separators=(",", ":"), default=_plain, skipkeys=True).encode


def _to_json(told: Mapping[str, Any]) -> str:
    try:
        return _strict(told)
    except (TypeError, ValueError):
        # Infinities and NaN in details of the host's, or keys that are no text: left out, as the row does.
        return _strict(json.loads(_lenient(told), parse_constant=lambda name: None))
