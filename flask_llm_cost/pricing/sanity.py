"""Rules that good prices obey, and the list of those that break one and are right all the same."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from decimal import Decimal

from .entry import Mode
from .entry import PriceEntry
from .entry import Sheet
from .modes import ModeKey
from .modes import mode_name

#: Share of the standard rate that a mode's rate may be.
_SHARES: Mapping[ModeKey, tuple[Decimal, Decimal]] = {
    ("batch",): (Decimal("0.3"), Decimal(1)),
    ("flex",): (Decimal("0.3"), Decimal(1)),
    ("priority",): (Decimal(1), Decimal(6)),
    ("fast",): (Decimal(1), Decimal(6)),
    ("ultrafast",): (Decimal(1), Decimal(12)),
}
#: Broken on purpose: key and rule, with the reason.
ALLOWED: Mapping[tuple[str, str], str] = {
    (f"minimax/minimax-{model}-highspeed", "cache_write"): "its cache rates are those of the slower model"
    for model in ("m2.1", "m2.5", "m2.7")
}


def broken_rules(entries: Mapping[str, PriceEntry]) -> list[str]:
    """Every broken rule that is not allowed, as ``key: rule: what``."""
    found = []
    for key, entry in entries.items():
        for _, sheet in entry.sheets():
            for rule, what in _of_sheet(sheet):
                if (key, rule) not in ALLOWED:
                    found.append(f"{key}: {rule}: {what}")
    return sorted(set(found))


def warnings(entries: Mapping[str, PriceEntry]) -> list[str]:
    """What is unusual but not wrong: an output cheaper than its input."""
    found = []
    for key, entry in entries.items():
        rates = entry.sheet.rates
        if "output" in rates and rates["output"] < rates.get("input", Decimal(0)):
            found.append(f"{key}: output {rates['output']:f} is cheaper than input {rates['input']:f}")
    return sorted(found)


def _of_sheet(sheet: Sheet) -> Iterator[tuple[str, str]]:
    yield from _of_rates(sheet.rates, "")
    for tier in sheet.tiers or ():
        for component, rate in tier.rates.items():
            if rate < sheet.rates.get(component, Decimal(0)):
                yield "tier", f"{component} over {tier.over} is cheaper than below"
        yield from _of_rates({**sheet.rates, **tier.rates}, f" over {tier.over}")
    for name, mode in sheet.modes.items():
        yield from _of_mode(sheet, name, mode)


def _of_rates(rates: Mapping[str, Decimal], where: str) -> Iterator[tuple[str, str]]:
    plain, read = rates.get("input"), rates.get("cache_read_input")
    write, long = rates.get("cache_write_input"), rates.get("cache_write_extended_input")
    if plain is not None and read is not None and read > plain:
        yield "cache_read", f"cached input is dearer than input{where}"
    if plain is not None and write is not None and write < plain:
        yield "cache_write", f"a cache write is cheaper than input{where}"
    if write is not None and long is not None and long < write:
        yield "cache_write_extended", f"a long cache write is cheaper than a short one{where}"
    if "input" in rates and not rates["input"]:
        yield "zero", f"input costs nothing{where}, which only a free entry may say"
    if "output" in rates and not rates["output"]:
        yield "zero", f"output costs nothing{where}, which only a free entry may say"


def _of_mode(sheet: Sheet, name: ModeKey, mode: Mode) -> Iterator[tuple[str, str]]:
    low, high = _SHARES.get(name, (Decimal(0), Decimal(12)))
    for component, rate in mode.rates.items():
        plain = sheet.rates.get(component)
        if plain and not low <= rate / plain <= high:
            yield f"mode {mode_name(name)}", f"{component} is {rate / plain:.3f} of the standard rate"
    yield from _of_rates({**sheet.rates, **mode.rates}, f" in {mode_name(name)}")
