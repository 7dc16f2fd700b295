"""Strict reading of price entries: one grammar for overrides, prices files and the bundled table.

What stands around them is read by ``table_body``, single values by ``document_values``. Every refusal is a
:class:`ConfigurationError` that names the table, the entry, the key and the accepted form; nothing is guessed
and nothing is ignored.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from collections.abc import Mapping
from decimal import Decimal

from ..components import components
from .document_values import DAYS
from .document_values import Place
from .document_values import flag
from .document_values import mapping
from .document_values import minute_of_day
from .document_values import moment
from .document_values import money
from .document_values import sequence
from .document_values import usd_only
from .document_values import weekdays
from .entry import Mode
from .entry import ModelLimits
from .entry import Period
from .entry import PriceEntry
from .entry import Sheet
from .entry import Tier
from .entry import Window
from .modes import KNOWN_MODES
from .modes import ModeKey
from .modes import mode_key
from .names import price_key

#: Who said so, and when it was looked at. Kept with the entry, shown, never used to compute.
PROVENANCE_KEYS = ("source", "source_version", "confidence", "checked_on", "url", "notes")
#: Keys longer than this fit no ledger column.
KEY_LENGTH = 255

_SHEET_KEYS = ("modes", "tiers")
_LIMIT_KEYS = ("max_input_tokens", "max_output_tokens")
_PERIOD_KEYS = (*_SHEET_KEYS, "time_windows", "from", "until")
_ENTRY_KEYS = (
    *_SHEET_KEYS,
    "time_windows",
    "periods",
    "aliases",
    "free",
    "same_as",
    "currency",
    *_LIMIT_KEYS,
    *PROVENANCE_KEYS,
)
_MODE_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")


def parse_entries(table: str, entries: Mapping[str, object]) -> dict[str, PriceEntry]:
    """Every entry of a table by its key in the usual spelling.

    :param table: how error messages call the table.
    :raises ConfigurationError: an entry is malformed, or two of them claim one name.
    """
    found: dict[str, PriceEntry] = {}
    claimed: dict[str, str] = {}
    for key, raw in entries.items():
        entry = parse_entry(table, key, raw)
        for name in (entry.key, *entry.aliases):
            if name in claimed:
                raise Place(table, key).refuse(f"{name!r} is already named by the entry {claimed[name]!r}")
            claimed[name] = key
        found[entry.key] = entry
    return found


def parse_entry(table: str, key: object, raw: object) -> PriceEntry:
    """One entry.

    :raises ConfigurationError: the key or the entry is malformed.
    """
    place = Place(table, str(key))
    if not isinstance(key, str) or not key.strip() or key.startswith("/") or key.endswith("/"):
        raise place.refuse('the key must be "provider/model" or a model name, as a string')
    if len(key) > KEY_LENGTH:
        raise place.refuse(f"the key is longer than {KEY_LENGTH} characters")
    body = mapping(place, raw)
    known_keys(place, body, _ENTRY_KEYS)
    usd_only(place, body.get("currency", "USD"))
    name = price_key(key)
    same_as = _same_as(place, body)
    free = flag(place / "free", body.get("free", False))
    sheet = _sheet(place, body)
    _check_content(place, sheet, free, same_as, has_periods="periods" in body)
    return PriceEntry(
        key=name,
        sheet=sheet,
        periods=_periods(place / "periods", body.get("periods", [])),
        aliases=_aliases(place / "aliases", name, body.get("aliases", [])),
        free=free,
        same_as=same_as,
        provenance={key: str(body[key]) for key in PROVENANCE_KEYS if key in body},
        limits=ModelLimits(
            **{name: _limit(place / name, body[name]) for name in _LIMIT_KEYS if name in body}
        ),
    )


def _limit(place: Place, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 10**9:
        raise place.refuse(f"must be a number of tokens such as 128000, got {value!r}")
    return value


def _check_content(place: Place, sheet: Sheet, free: bool, same_as: str | None, *, has_periods: bool) -> None:
    priced = bool(sheet.rates or sheet.modes or sheet.tiers or sheet.windows or has_periods)
    if (free or same_as) and priced:
        only = "free: true" if free else "same_as"
        raise place.refuse(f"an entry with {only} has no rates of its own; remove one or the other")
    if free and same_as:
        raise place.refuse("free and same_as exclude each other")
    if not (free or same_as or priced):
        raise place.refuse('no rates: name at least one, such as input: "1.25", or write free: true')
    if sheet.rates and not any(sheet.rates.values()) and not sheet.modes and not has_periods:
        raise place.refuse("every rate is zero; write free: true if the model costs nothing")


def _sheet(place: Place, body: Mapping[str, object]) -> Sheet:
    """The rates, modes, tiers and windows that a mapping names."""
    rates = _rates(place, body)
    tiers = _tiers(place / "tiers", body["tiers"]) if "tiers" in body else None
    windows = _windows(place / "time_windows", body["time_windows"]) if "time_windows" in body else None
    return Sheet(rates=rates, tiers=tiers, modes=_modes(place, body), windows=windows)


def _rates(place: Place, body: Mapping[str, object]) -> dict[str, Decimal]:
    return {name: money(place / name, name, body[name]) for name in components() if name in body}


def _modes(place: Place, body: Mapping[str, object]) -> dict[ModeKey, Mode]:
    found: dict[ModeKey, Mode] = {}
    for name, raw in mapping(place / "modes", body.get("modes", {})).items():
        spot = place / "modes" / str(name)
        key = _mode_name(spot, name)
        if key in found:
            raise spot.refuse("this mode is named twice")
        found[key] = _mode(spot, raw)
    for flat in body:
        split = _split_flat(flat)
        if split is None:
            continue
        key, component = split
        before = found.get(key, Mode(rates={}))
        if component in before.rates or before.multiplier is not None:
            raise (place / flat).refuse("this rate is given twice: once here, once under modes")
        rates = {**before.rates, component: money(place / flat, component, body[flat])}
        found[key] = Mode(rates=rates, tiers=before.tiers)
    return found


def _mode_name(place: Place, name: object) -> ModeKey:
    if not isinstance(name, str) or not _MODE_NAME.fullmatch(name):
        raise place.refuse("a mode's name must be lower-case letters, digits and underscores, such as batch")
    key = mode_key(name)
    if not key:
        raise place.refuse("standard rates stand in the entry itself, not under modes")
    for part in key:
        near = difflib.get_close_matches(part, KNOWN_MODES, n=1, cutoff=0.75)
        if near and part not in KNOWN_MODES:
            raise place.refuse(f"unknown mode {name!r}. Did you mean {name.replace(part, near[0])!r}?")
    return key


def _mode(place: Place, raw: object) -> Mode:
    body = mapping(place, raw)
    known_keys(place, body, ("tiers", "multiplier"), flat_modes=False)
    rates = _rates(place, body)
    tiers = _tiers(place / "tiers", body["tiers"]) if "tiers" in body else None
    if "multiplier" not in body:
        if not rates and tiers is None:
            raise place.refuse("no rates: name at least one, or a multiplier")
        return Mode(rates=rates, tiers=tiers)
    if rates or tiers is not None:
        raise place.refuse("a mode has either a multiplier or rates")
    multiplier = money(place / "multiplier", "input", body["multiplier"])
    if not 0 < multiplier <= 10:
        raise (place / "multiplier").refuse(f"must be over 0 and at most 10, got {multiplier}")
    return Mode(rates={}, multiplier=multiplier)


def _split_flat(key: str) -> tuple[ModeKey, str] | None:
    """``batch_cache_read_input`` as (batch, cache_read_input); ``None`` for anything else."""
    if key in components():
        return None
    for component in sorted(components(), key=len, reverse=True):
        if key.endswith("_" + component):
            mode = mode_key(key[: -len(component) - 1])
            if mode and all(part in KNOWN_MODES for part in mode):
                return mode, component
    return None


def _tiers(place: Place, raw: object) -> tuple[Tier, ...]:
    found: list[Tier] = []
    for index, item in enumerate(sequence(place, raw)):
        spot = place / index
        body = mapping(spot, item)
        known_keys(spot, body, ("over", "inclusive"), flat_modes=False)
        over = body.get("over")
        if not isinstance(over, int) or isinstance(over, bool) or not 0 < over <= 10**9:
            raise (spot / "over").refuse(f"must be a number of input tokens such as 200000, got {over!r}")
        rates = _rates(spot, body)
        if not rates:
            raise spot.refuse("no rates: name at least one")
        tier = Tier(over, flag(spot / "inclusive", body.get("inclusive", False)), rates)
        if found and tier.least <= found[-1].least:
            raise (spot / "over").refuse("thresholds must ascend")
        found.append(tier)
    return tuple(found)


def _periods(place: Place, raw: object) -> tuple[Period, ...]:
    found: list[Period] = []
    for index, item in enumerate(sequence(place, raw)):
        spot = place / index
        body = mapping(spot, item)
        known_keys(spot, body, _PERIOD_KEYS)
        if "from" not in body:
            raise (spot / "from").refuse('is missing: the first day of the change, such as "2026-12-01"')
        start = moment(spot / "from", body["from"])
        end = moment(spot / "until", body["until"]) if "until" in body else None
        if end is not None and end <= start:
            raise (spot / "until").refuse("must be later than from")
        if body.keys() <= {"from", "until"}:
            raise spot.refuse("changes nothing: name at least one rate")
        found.append(Period(start, end, _sheet(spot, body)))
    return tuple(sorted(found, key=lambda period: period.start))


def _windows(place: Place, raw: object) -> tuple[Window, ...]:
    found: list[Window] = []
    for index, item in enumerate(sequence(place, raw)):
        spot = place / index
        body = mapping(spot, item)
        known_keys(spot, body, (*_SHEET_KEYS, "from", "until", "days"))
        start = minute_of_day(spot / "from", body.get("from"))
        end = minute_of_day(spot / "until", body.get("until"))
        if start == end:
            raise (spot / "until").refuse("must differ from from")
        if body.keys() <= {"from", "until", "days"}:
            raise spot.refuse("changes nothing: name at least one rate")
        found.append(
            Window(start, end, weekdays(spot / "days", body.get("days", list(DAYS))), _sheet(spot, body))
        )
    return tuple(found)


def _aliases(place: Place, key: str, raw: object) -> tuple[str, ...]:
    """Other names of the same model at the same provider, as full keys."""
    provider, slash, _ = key.partition("/")
    found: list[str] = []
    for index, name in enumerate(sequence(place, raw)):
        if not isinstance(name, str) or not name.strip() or len(name) > KEY_LENGTH:
            raise (place / index).refuse(f"must be a model name, got {name!r}")
        alias = f"{provider}/{name.strip().lower()}" if slash else name.strip().lower()
        if alias in found or alias == key:
            raise (place / index).refuse(f"{name!r} is named twice")
        found.append(alias)
    return tuple(found)


def _same_as(place: Place, body: Mapping[str, object]) -> str | None:
    if "same_as" not in body:
        return None
    value = body["same_as"]
    if not isinstance(value, str) or not value.strip():
        raise (place / "same_as").refuse('must be the key of another entry, such as "openai/gpt-5-mini"')
    return price_key(value)


def known_keys(
    place: Place, body: Mapping[str, object], keys: Iterable[str], *, flat_modes: bool = True
) -> None:
    """Refuse what is neither a component nor among ``keys``.

    :param flat_modes: whether ``batch_input`` and its like are rates, too.
    :raises ConfigurationError: the first key that is not known, with the nearest that is.
    """
    known = [*components(), *keys]
    for key in body:
        if key in known or (flat_modes and isinstance(key, str) and _split_flat(key) is not None):
            continue
        choices = [*known, *(_flat_keys() if flat_modes else ())]
        near = difflib.get_close_matches(str(key), choices, n=1, cutoff=0.6)
        hint = f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."
        raise place.refuse(f"unknown key {key!r}.{hint}")


def _flat_keys() -> list[str]:
    return [f"{mode}_{component}" for mode in KNOWN_MODES for component in components()]
