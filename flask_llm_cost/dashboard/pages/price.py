"""One model's price: how it is found, its rates, and what a call costs by them, typed in or recorded."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from decimal import InvalidOperation

from werkzeug.wrappers import Response

from ...errors import InvalidFilterError
from ...ledger import LlmCall
from ...maintenance import used_by
from ...money import QUANTITY_LIMIT
from ...pricing import STEPS
from ...pricing.explanation import Explanation
from ...providers import normalise_mode
from ...usage import TOKEN_FIELDS
from ...usage import Usage
from ...wording import plain_digits
from .. import formats
from ..explained import lines_table
from ..filter_bar import Input
from ..parameters import read_parameters
from ..parameters import whole_number
from ..price_tables import SOURCE_NAMES
from ..price_tables import model_link
from ..price_tables import rate_tables
from ..price_tables import resolved
from ..responses import CallNotFound
from ..responses import Place
from ..responses import link
from ..responses import page
from ..responses import runtime
from ..scoped import visible_calls
from ..table_export import About
from ..taking_away import PARAMETERS
from ..taking_away import Tables
from ..taking_away import offered
from ..taking_away import ready
from ..taking_away import taken
from .call import Fact

_COUNTS = tuple(name for name in TOKEN_FIELDS if name != "total_tokens")
_FIRST_COUNTS = ("input_tokens", "cache_read_input_tokens", "output_tokens")
_QUESTION = ("provider", "model", "mode", "at", "charges", *_COUNTS)
#: What is explained where nothing is typed in.
_EXAMPLE = Usage(input_tokens=1_000, output_tokens=1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be priced: typed in, or the quantities of a recorded call."""

    provider: str
    model: str
    mode: str | None
    at: datetime
    usage: Usage


def price() -> Response:
    """``GET /pricing/model``: by name and quantities, or ``?call=ID`` for those of a recorded call."""
    given = read_parameters((*_QUESTION, "call", *PARAMETERS))
    call_id = whole_number(given, "call", 2**63 - 1)
    if call_id is not None:
        if given.keys() - {"call", *PARAMETERS}:
            raise InvalidFilterError("call", "stands alone: the call has a model and quantities of its own.")
        return _of_call(call_id, given)
    question = _read(given)
    found = runtime().catalog.explain(
        provider=question.provider,
        model=question.model,
        usage=question.usage,
        pricing_mode=question.mode,
        at=question.at,
    )
    typed = any(name in given for name in (*_COUNTS, "charges"))
    return _page(found, given, {"inputs": _inputs(given, found), "example": not typed, "call": None})


def _of_call(call_id: int, given: Mapping[str, str]) -> Response:
    """A recorded call by the prices of now, held against what is frozen on it."""
    call = visible_calls().get(call_id) if runtime().ledger is not None else None
    if call is None:
        raise CallNotFound()
    found = _explained(call)
    if found is None:
        found = runtime().catalog.explain(
            provider=call.provider, model=call.model, usage=None, at=call.occurred_at
        )
    context = {
        "inputs": (),
        "example": False,
        "call": call,
        "call_href": link(".call", {}, call_id=call.id),
        "verdict": _verdict(call, found),
    }
    return _page(found, given, context)


def _explained(call: LlmCall) -> Explanation | None:
    items = [
        {"component": item.component, "quantity": item.quantity}
        for item in call.line_items
        if call.cost_source not in ("provider", "caller")
    ]
    used = used_by(call.pricing_snapshot, items) if items else None
    if used is None:
        return None
    return runtime().catalog.explain(
        provider=call.provider,
        model=call.model,
        usage=used.usage,
        iterations=used.iterations,
        pricing_mode=call.pricing_mode,
        at=call.occurred_at,
    )


def _verdict(call: LlmCall, found: Explanation) -> str:
    """Whether the call would cost the same today, and what to do where not."""
    if call.cost_source in ("provider", "caller"):
        return f"The {call.cost_source} told the cost of this call; no price list changes it."
    if not found.lines:
        return "What this call used cannot be told from its line items, so it cannot be priced again."
    now, frozen = _told(found.total_cost), _told(call.total_cost)
    if found.total_cost is None or (found.cost_status, call.cost_status) == ("partial", "complete"):
        lost = "it" if found.total_cost is None else "a part of it"
        return (
            f"Frozen on the call: {frozen}, which stays. By the prices in force now {lost} would be unknown."
        )
    if call.total_cost == found.total_cost and call.cost_status == found.cost_status:
        return "By the prices in force now the call costs what is frozen on it."
    command = "backfill" if call.cost_status in ("unknown", "partial") else "reprice"
    return (
        f"Frozen on the call: {frozen}. By the prices in force now: {now}. "
        f"flask llm-cost {command} changes the call."
    )


def _told(cost: Decimal | None) -> str:
    return formats.NOT_KNOWN.text if cost is None else f"${formats.exact_money(cost)}"


def _read(given: Mapping[str, str]) -> Question:
    if "model" not in given:
        raise InvalidFilterError("model", "is missing: name one, such as gpt-5-mini.")
    counts = {name: whole_number(given, name, QUANTITY_LIMIT) for name in _COUNTS if name in given}
    charges = dict(_charges(given.get("charges", "")))
    try:
        usage = Usage(**counts, charges=charges) if counts or charges else _EXAMPLE
    except ValueError as error:
        raise InvalidFilterError("quantities", f"{error}.") from error
    return Question(
        provider=given.get("provider", ""),
        model=given["model"],
        mode=normalise_mode(given.get("mode")),
        at=_moment(given.get("at")),
        usage=usage,
    )


def _charges(text: str) -> Iterator[tuple[str, Decimal]]:
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, number = part.partition("=")
        try:
            yield name.strip(), Decimal(number.strip())
        except InvalidOperation as error:
            raise InvalidFilterError(
                "charges", f"{part[:40]!r} is not COMPONENT=N, such as web_search_request=2."
            ) from error


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=runtime().config.timezone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidFilterError("at", f"{text[:40]!r} is not a date or time such as 2026-11-22.") from error


def _page(found: Explanation, given: Mapping[str, str], more: Mapping[str, object]) -> Response:
    catalog = runtime().catalog
    match = catalog.find(found.provider, found.model)
    rates = tuple(rate_tables(resolved(catalog, match), found.at)) if match else ()
    tables: Tables = {"lines": lambda: lines_table(found) if found.lines else None, **ready(*rates)}
    asked = {name: value for name, value in given.items() if name not in PARAMETERS}
    if (file := taken(given, tables, About(zone=runtime().config.timezone.key, filters=asked))) is not None:
        return file
    context = {
        "current": "pricing",
        "found": found,
        "when": formats.moment(found.at, runtime().config.timezone),
        "zone": runtime().config.timezone.key,
        "facts": tuple(_facts(found)),
        "tables": offered(tables, Place(".price"), asked),
        "rates": tuple(table.name for table in rates),
        "nearest": tuple((key, model_link(key)) for key in found.nearest),
        "cost": formats.money(found.total_cost),
        "at_least": found.cost_status == "partial",
        "action": link(".price", {}),
    }
    return page("price.html", {**context, **more})


def _facts(found: Explanation) -> Iterator[Fact]:
    """How the price was found, as names and words."""
    if found.key is None:
        return
    told = [
        ("Price entry", found.key),
        ("Found because", "; ".join(STEPS.get(step, step) for step in (found.step or "").split("+"))),
        ("From", SOURCE_NAMES.get(found.source or "", found.source or "")),
        ("Version", found.version or ""),
        ("Mode", found.mode.replace("_", " ")),
        (
            "Tier",
            f"over {found.tier:,} tokens of input, for the whole call" if found.tier is not None else "",
        ),
        (
            "Valid from",
            formats.moment(found.valid_from, runtime().config.timezone) if found.valid_from else "",
        ),
        (
            "Valid until",
            formats.moment(found.valid_until, runtime().config.timezone) if found.valid_until else "",
        ),
        ("Hours", "; ".join(found.time_windows)),
        ("Discount", f"{plain_digits(found.discount * 100)}\u202f% off every rate" if found.discount else ""),
        *((name.replace("_", " ").capitalize(), value) for name, value in found.provenance.items()),
    ]
    for label, text in told:
        if text:
            yield Fact(label=label, value=formats.Shown(text), code=label in ("Price entry", "Version"))


def _inputs(given: Mapping[str, str], found: Explanation) -> tuple[tuple[Input, ...], tuple[Input, ...]]:
    """The form's fields: those always seen, and more quantities."""
    modes = ("standard", *found.known_modes)
    mode = given.get("mode", "standard")
    first = (
        _input("provider", "Provider", given),
        _input("model", "Model", given),
        Input(
            name="mode",
            label="Pricing mode",
            value=mode,
            options=modes if mode in modes else (mode, *modes),
            closed=True,
        ),
        *(_input(name, _label(name), given) for name in _FIRST_COUNTS),
    )
    rest = [_input(name, _label(name), given) for name in _COUNTS if name not in _FIRST_COUNTS]
    return first, (*rest, _input("charges", "Other quantities", given), _input("at", "At", given))


def _input(name: str, label: str, given: Mapping[str, str]) -> Input:
    return Input(name=name, label=label, value=given.get(name, ""), options=(), placeholder="")


def _label(name: str) -> str:
    return f"{name.removesuffix('_tokens').replace('_', ' ').capitalize()} tokens"
