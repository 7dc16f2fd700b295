"""What is frozen on a call: why it costs what it costs, small enough for a column of each row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ..wording import plain_digits
from .calculate import Bill
from .modes import mode_name

#: Bytes of a snapshot as JSON; a call's row stays around 1 KB.
SIZE_LIMIT = 1000
# A snapshot of one model with this many rates and short names cannot reach the limit.
_SURELY_SMALL = 6


def take_snapshot(bills: Sequence[Bill], discount: Decimal) -> dict[str, Any] | None:
    """The reasons of a computed cost; ``None`` where no entry matched a call of one bill.

    Of several bills it always tells the models and ``lines``, how many line items each has (``None`` where
    its usage was not told): without them nobody could price the call again.
    """
    matched = any(bill.match is not None for bill in bills)
    if len(bills) == 1 and not matched:
        return None
    snapshot = _reasons(bills[0])
    if discount and matched:
        snapshot["discount"] = plain_digits(discount)
    if len(bills) > 1:
        snapshot["lines"] = [len(bill.items) if bill.told else None for bill in bills]
        snapshot["iterations"] = [{"model": bill.model[:100], **_reasons(bill)} for bill in bills[1:]]
    elif len(bills[0].items) <= _SURELY_SMALL:
        return snapshot
    return _fitted(snapshot)


def provider_snapshot(
    charge: Decimal, estimate: Decimal | None, bills: Sequence[Bill], discount: Decimal
) -> dict[str, Any]:
    """The reasons of a cost that the provider told: its charge, and what our tables would have said."""
    snapshot: dict[str, Any] = {"source": "provider", "provider_cost": plain_digits(charge)}
    if estimate is not None:
        snapshot["estimate"] = {
            "total_cost": plain_digits(estimate),
            **(take_snapshot(bills, discount) or {}),
        }
    return _fitted(snapshot)


def _reasons(bill: Bill) -> dict[str, Any]:
    match = bill.match
    if match is None:
        return {}
    found: dict[str, Any] = {
        "key": match.key,
        "step": match.step,
        "source": match.source,
        "version": match.version,
    }
    if match.entry.key != match.key:
        found["same_as"] = match.entry.key
    if bill.mode:
        found["mode"] = mode_name(bill.mode)
    if match.entry.free:
        found["free"] = True
        return found
    if bill.level is not None:
        if bill.level.over is not None:
            found["tier"] = bill.level.over
        _add_rates(found, bill)
    missing = [item.component for item in bill.items if item.rate is None]
    if missing:
        found["missing"] = missing
    return found


def _add_rates(found: dict[str, Any], bill: Bill) -> None:
    """The list rates that were applied, before any discount."""
    rates, lent = {}, {}
    known = bill.level.rates if bill.level is not None else {}
    for item in bill.items:
        rate = known.get(item.component)
        if rate is not None:
            rates[item.component] = rate.text
            if rate.lent_by is not None:
                lent[item.component] = rate.lent_by
    found["rates"] = rates
    if lent:
        found["lent"] = lent


def _fitted(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The snapshot, without its least needed parts where it would be too large.

    Of many iterations only their models remain, of very many only their number.
    """
    iterations = snapshot.get("iterations")
    for kept in (("model", "key", "rates"), ("model",)):
        if iterations and _size(snapshot) > SIZE_LIMIT:
            snapshot["iterations"] = [{key: item[key] for key in kept if key in item} for item in iterations]
    if iterations and _size(snapshot) > SIZE_LIMIT:
        snapshot["iterations"] = len(iterations)
        snapshot.pop("lines", None)
    for key in ("estimate", "missing", "lent", "same_as", "rates"):
        if key in snapshot and _size(snapshot) > SIZE_LIMIT:
            del snapshot[key]
            snapshot["shortened"] = True
    return snapshot


def _size(snapshot: dict[str, Any]) -> int:
    return len(json.dumps(snapshot))
