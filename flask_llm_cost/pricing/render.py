"""Entries as a price document in JSON: one line per model, so that a change reads well in a diff."""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import date
from datetime import datetime
from datetime import time
from decimal import Decimal
from typing import Any

from ..components import components
from ..wording import plain_digits
from .entry import Mode
from .entry import Period
from .entry import PriceEntry
from .entry import Sheet
from .entry import Tier
from .entry import Window
from .modes import mode_name
from .table_body import SCHEMA_VERSION

_NONE: Mapping[str, str] = {}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def render(
    bodies: Mapping[str, Mapping[str, Any]],
    sources: Sequence[Mapping[str, Any]],
    generated_at: str,
    defaults: Mapping[str, str] = _NONE,
) -> str:
    """The text of a price document; the same for the same arguments.

    :param bodies: each entry in the grammar of price documents, see :func:`entry_body`.
    :param sources: where the entries come from: name, version, hash and what else is known.
    :param generated_at: the day on which the prices were right.
    :param defaults: what the document says once for all entries, and not again in each.
    """
    head: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "version": generated_at,
        "generated_at": generated_at,
        "currency": "USD",
        "sources": list(sources),
        **({"defaults": dict(defaults)} if defaults else {}),
    }
    lines = [f"{json.dumps(key)}:{_compact(value)}," for key, value in head.items()]
    models = []
    for key in sorted(bodies):
        body = {name: value for name, value in bodies[key].items() if defaults.get(name) != value}
        models.append(f"{json.dumps(key)}:{_compact(body)}")
    return "{\n" + "\n".join(lines) + '\n"models":{\n' + ",\n".join(models) + "\n}}\n"


def entry_body(entry: PriceEntry) -> dict[str, Any]:
    """One entry in the grammar of price documents."""
    body: dict[str, Any] = {"free": True} if entry.free else sheet_body(entry.sheet)
    if entry.same_as is not None:
        body["same_as"] = entry.same_as
    if entry.periods:
        body["periods"] = [_period_body(item) for item in entry.periods]
    for name in ("max_input_tokens", "max_output_tokens"):
        if (most := getattr(entry.limits, name)) is not None:
            body[name] = most
    if entry.aliases:
        body["aliases"] = sorted(alias.partition("/")[2] for alias in entry.aliases)
    body.update(sorted(entry.provenance.items()))
    return body


def _period_body(period: Period) -> dict[str, Any]:
    until = {} if period.end is None else {"until": _day(period.end)}
    return {"from": _day(period.start), **until, **sheet_body(period.change)}


def sheet_body(sheet: Sheet) -> dict[str, Any]:
    """What applies at one moment, in the grammar of price documents."""
    body = _rates_body(sheet.rates)
    if sheet.tiers is not None:
        body["tiers"] = _tiers_body(sheet.tiers)
    if sheet.modes:
        body["modes"] = {mode_name(name): _mode_body(sheet.modes[name]) for name in sorted(sheet.modes)}
    if sheet.windows is not None:
        body["time_windows"] = [_window_body(window) for window in sheet.windows]
    return body


def _mode_body(mode: Mode) -> dict[str, Any]:
    if mode.multiplier is not None:
        return {"multiplier": plain_digits(mode.multiplier)}
    body = _rates_body(mode.rates)
    if mode.tiers is not None:
        body["tiers"] = _tiers_body(mode.tiers)
    return body


def _tiers_body(tiers: Sequence[Tier]) -> list[dict[str, Any]]:
    found = []
    for tier in tiers:
        inclusive = {"inclusive": True} if tier.inclusive else {}
        found.append({"over": tier.over, **inclusive, **_rates_body(tier.rates)})
    return found


def _window_body(window: Window) -> dict[str, Any]:
    body: dict[str, Any] = {"from": _clock(window.start), "until": _clock(window.end)}
    if len(window.days) < len(_DAYS):
        body["days"] = [day for index, day in enumerate(_DAYS) if index in window.days]
    return {**body, **sheet_body(window.change)}


def _rates_body(rates: Mapping[str, Decimal]) -> dict[str, Any]:
    return {name: plain_digits(rates[name]) for name in components() if name in rates}


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _day(moment: datetime) -> str:
    return moment.date().isoformat() if moment.time() == time() else moment.isoformat()


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), default=_text)


def _text(value: object) -> str:
    # YAML reads unquoted days and moments as what they are.
    return value.isoformat() if isinstance(value, date) else str(value)
