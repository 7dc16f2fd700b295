"""What a call can cost at most, from its request alone. Values only: no Flask, no SQL, no network.

A bound counts everything at the dearest rate that it may meet: the prompt as if every byte were a token and
nothing came from a cache, the answer as long as the request allows, the size tier that the prompt may reach,
and the mode that was asked for or the standard one. It is meant to be too high, never too low.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from decimal import ROUND_CEILING
from decimal import Decimal
from types import MappingProxyType

from ..events import Operation
from ..money import EXACT
from ..money import MONEY_SCALE
from ..pricing import Catalog
from ..pricing import DearestRates
from ..wording import plain_digits
from .quantities import Asked
from .quantities import Bound
from .quantities import bound_of

_NONE: Mapping[str, Decimal] = MappingProxyType({})
#: A bill rounds each line to a stored amount; so many lines at most share what is one quantity here.
_QUANTUM = Decimal(1).scaleb(-MONEY_SCALE)
_LINES = 8
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRequest:
    """A call that is about to be made.

    :param body: the request's JSON or form fields, or its bytes; never kept.
    :param pricing_mode: the mode that is asked for, data residency included; ``None`` for standard.
    :param cap: what to hold, in USD, for a call that has no bound.
    :param charges: what the request itself says will be billed by the piece, by component.
    :param has_files: whether files go along that ``body`` does not hold.
    :param at: the moment whose prices apply, aware; now where it is left out.
    """

    provider: str
    model: str
    operation: Operation
    body: bytes | Mapping[str, object] | None = None
    pricing_mode: str | None = None
    cap: Decimal | None = None
    charges: Mapping[str, Decimal] = field(default_factory=dict)
    has_files: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a call costs at most, in USD.

    :param cost: the bound; without one the cap, or ``None`` where there is none either.
    :param bounded: whether ``cost`` is a bound. A cap is none.
    :param reason: in words for a person: what it is made of, or what is missing.
    :param quantities: what was counted, by component; ``input`` and ``output`` stand for all their kinds.
    """

    cost: Decimal | None
    bounded: bool
    reason: str
    quantities: Mapping[str, Decimal] = field(default_factory=dict)


def estimate_cost(request: EstimateRequest, prices: Catalog) -> Estimate:
    """The upper bound of a call's cost.

    Never raises on what the request holds: what cannot be bounded says why.
    """
    match = prices.find(request.provider, request.model)
    if request.operation in ("moderation", "batch") or (match is not None and match.entry.free):
        return Estimate(cost=_ZERO, bounded=True, reason="it is free")
    if match is None:
        return _without_bound(request, f"{request.provider}/{request.model} has no price")
    rates = _rates(request, prices, 0)
    if rates is None:
        return _without_bound(request, f"{match.key} has no price for the mode {request.pricing_mode}")
    body = _read(request.body)
    if body is None and request.operation != "transcription":
        return _without_bound(request, "its request cannot be read")
    asked = Asked(
        provider=request.provider,
        model=request.model,
        operation=request.operation,
        body=body or {},
        charges=request.charges,
        rated=frozenset(rates.per_unit),
        limits=prices.limits(request.provider, request.model),
        has_files=request.has_files,
    )
    bound = bound_of(asked)
    return _priced(request, bound, _rates(request, prices, bound.tokens_in) or rates)


def _rates(request: EstimateRequest, prices: Catalog, tokens_in: int) -> DearestRates | None:
    return prices.dearest_rates(
        provider=request.provider,
        model=request.model,
        pricing_mode=request.pricing_mode,
        at=request.at or datetime.now(UTC),
        tokens_in=tokens_in,
    )


def _priced(request: EstimateRequest, bound: Bound, rates: DearestRates) -> Estimate:
    cost, quantities, missing = _ZERO, dict[str, Decimal](), list(bound.missing)
    for line in bound.lines:
        quantities[line.name] = quantities.get(line.name, _ZERO) + line.quantity
        rate = rates.of(*line.kinds)
        if rate is None:
            missing.append(f"{rates.key} has no rate for {line.name}")
        else:
            cost = EXACT.add(cost, EXACT.multiply(line.quantity, rate))
            cost = EXACT.add(cost, _rounding(rate))
    if missing:
        return _without_bound(request, "; ".join(dict.fromkeys(missing)), _rounded_up(cost), quantities)
    words = ", ".join(f"{plain_digits(count)} {name}" for name, count in quantities.items())
    return Estimate(
        cost=_rounded_up(cost),
        bounded=True,
        reason="; ".join([f"at most {words}" if words else "nothing is billed", *bound.notes]),
        quantities=quantities,
    )


def _without_bound(
    request: EstimateRequest, reason: str, known: Decimal = _ZERO, quantities: Mapping[str, Decimal] = _NONE
) -> Estimate:
    """No bound: the cap, or what is known of the cost where that is more."""
    cost = max(request.cap, known) if request.cap is not None else None
    return Estimate(cost=cost, bounded=False, reason=reason, quantities=quantities)


def _rounding(rate: Decimal) -> Decimal:
    """What rounding can add to the lines that share a quantity; most rates leave nothing to round."""
    return _ZERO if rate == _rounded_up(rate) else _LINES * _QUANTUM


def _rounded_up(cost: Decimal) -> Decimal:
    """At the scale of stored money."""
    return cost.quantize(_QUANTUM, rounding=ROUND_CEILING, context=EXACT)


def _read(body: bytes | Mapping[str, object] | None) -> Mapping[str, object] | None:
    """The fields of a request; ``None`` for what is no JSON object, such as a form with files."""
    if not isinstance(body, bytes):
        return body
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
