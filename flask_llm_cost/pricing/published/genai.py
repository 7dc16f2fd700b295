"""genai-prices' data as price entries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import date
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..completion import difference
from ..entry import Mode
from ..entry import Period
from ..entry import PriceEntry
from ..entry import Sheet
from ..entry import Tier
from ..entry import Window
from ..modes import ModeKey
from ..modes import mode_key
from ..names import without_date
from ..names import without_decoration

#: Providers that are bundled, by their name there and here. Gateways that report their own charge, and
#: resellers that few apps call directly, are left to prices files.
PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "aws": "bedrock",
    "azure": "azure",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "google": "google",
    "groq": "groq",
    "meta": "meta",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshotai": "moonshot",
    "openai": "openai",
    "perplexity": "perplexity",
    "together": "together",
    "voyageai": "voyage",
    "x-ai": "xai",
    "zai": "zai",
}
#: Models without a price that are free indeed; others without a price are left out.
_FREE = re.compile(r":free$|^moderation$|^gemma-")

_ONE = Decimal(1)
#: Price keys there, components here, and what one is worth in the other's basis.
_COMPONENTS: Mapping[str, tuple[str, Decimal]] = {
    "input_mtok": ("input", _ONE),
    "output_mtok": ("output", _ONE),
    "cache_read_mtok": ("cache_read_input", _ONE),
    "cache_write_mtok": ("cache_write_input", _ONE),
    "cache_write_1h_mtok": ("cache_write_extended_input", _ONE),
    "input_audio_mtok": ("audio_input", _ONE),
    "output_audio_mtok": ("audio_output", _ONE),
    "input_image_mtok": ("image_input", _ONE),
    "output_image_mtok": ("image_output", _ONE),
    "cache_audio_read_mtok": ("cache_read_audio_input", _ONE),
    "cache_image_read_mtok": ("cache_read_image_input", _ONE),
    "web_searches_kcount": ("web_search_request", _ONE),
    "storage_searches_kcount": ("file_search_call", _ONE),
    "requests_kcount": ("request", _ONE),
    "input_mchars": ("text_to_speech_character", _ONE),
    "input_audio_hours": ("transcription_minute", Decimal(60)),
    "audio_hours": ("transcription_minute", Decimal(60)),
    "input_document_kpages": ("page", Decimal(1000)),
}
#: Google bills its searches as grounding.
_GROUNDING = {"web_search_request": "grounding_request"}
_SCALE = Decimal(1).scaleb(-12)


@dataclass(slots=True)
class GenaiTable:
    """The entries, and what was met on the way.

    :param matches: by provider here, which of its models a name belongs to.
    :param keys: by provider and model id there, the key here.
    """

    entries: dict[str, PriceEntry] = field(default_factory=dict)
    matches: dict[str, dict[str, str]] = field(default_factory=dict)
    generated_at: str = ""
    remarks: list[str] = field(default_factory=list)


def read_genai(data: Mapping[str, Any]) -> GenaiTable:
    """Every bundled provider's models as entries."""
    table = GenaiTable()
    comments: list[str] = []
    for provider in data["providers"]:
        name = PROVIDERS.get(provider["id"])
        comments += provider["comments"]
        if name is None:
            continue
        keys: dict[str, str] = {}
        for model in provider["models"]:
            key = f"{name}/{plain_id(name, model['id'])}"
            entry = _entry(key, name, model, table.remarks)
            if entry is not None and key not in table.entries:
                table.entries[key] = entry
                keys[model["id"]] = key
        matches = data["matches"].get(provider["id"], {})
        table.matches[name] = {ref: keys[model] for ref, model in matches.items() if model in keys}
    table.generated_at = _last_checked(comments)
    _settle_aliases(table)
    return table


def plain_id(provider: str, model: str) -> str:
    """Bedrock's ids without the parts that a lookup takes off; other ids as they are."""
    name = model.lower().removeprefix("regional.").rstrip("-")
    if provider == "bedrock":
        for shorter in without_decoration("bedrock", name):
            name = shorter
    return name


def _last_checked(comments: Iterable[str]) -> str:
    """The last day on which the data says that a page was looked at: the table is as fresh as that."""
    pattern = re.compile(r"(?:[Vv]erified|[Cc]hecked|as of)[^.;]{0,25}?(\d{4}-\d\d-\d\d)")
    days: list[str] = [day for comment in comments for day in pattern.findall(comment)]
    return max(days, default="")


def _settle_aliases(table: GenaiTable) -> None:
    """Leave out aliases that are keys, that two models claim, or that a lookup finds without them."""
    seen = set(table.entries)
    for key, entry in table.entries.items():
        kept = []
        for alias in entry.aliases:
            if alias in seen or without_date(alias) == key:
                continue
            seen.add(alias)
            kept.append(alias)
        table.entries[key] = _with(entry, aliases=tuple(kept))


def _with(entry: PriceEntry, **changes: Any) -> PriceEntry:
    values = {
        "key": entry.key,
        "sheet": entry.sheet,
        "periods": entry.periods,
        "aliases": entry.aliases,
        "free": entry.free,
        "provenance": entry.provenance,
    }
    return PriceEntry(**{**values, **changes})


def _entry(key: str, provider: str, model: Mapping[str, Any], remarks: list[str]) -> PriceEntry | None:
    provenance = {"source": "genai-prices", "confidence": "single"}
    names = tuple(f"{provider}/{name}" for name in model["names"]) if provider != "bedrock" else ()
    aliases = tuple(name for name in names if name != key)
    stages, windows = _stages(provider, model)
    if not any(sheet.rates for _, sheet in stages):
        if _FREE.search(model["id"]):
            return PriceEntry(key=key, free=True, aliases=aliases, provenance=provenance)
        remarks.append(f"left out, no price: {key}")
        return None
    if windows:
        start, sheet = stages[-1]
        stages[-1] = (start, Sheet(sheet.rates, sheet.tiers, sheet.modes, windows))
    _add_modes(stages, provider, model)
    changes = [(start, difference(stages[i][1], sheet)) for i, (start, sheet) in enumerate(stages[1:])]
    # What changed may be nothing that is billed here, such as annotated pages.
    periods = tuple(Period(start, None, change) for start, change in changes if start and change != Sheet())
    return PriceEntry(key=key, sheet=stages[0][1], periods=periods, aliases=aliases, provenance=provenance)


Stage = tuple[datetime | None, Sheet]


def _stages(provider: str, model: Mapping[str, Any]) -> tuple[list[Stage], tuple[Window, ...]]:
    """The prices from when on, in order of time, and the intervals of the day."""
    stages: list[Stage] = []
    windows: list[Window] = []
    for price in model["prices"]:
        sheet = _sheet(provider, price["rates"])
        if "window" in price:
            start, end = (_minute(text) for text in price["window"])
            windows.append(Window(start, end, _peak_days(model["id"]), difference(stages[-1][1], sheet)))
        else:
            stages.append((_midnight(price["start"]) if "start" in price else None, sheet))
    return sorted(stages, key=lambda stage: stage[0] or datetime.min.replace(tzinfo=UTC)), tuple(windows)


def _peak_days(model: str) -> frozenset[int]:
    """DeepSeek's peak hours are Monday to Friday since V4 (its pricing page; the source cannot say so)."""
    return frozenset(range(7)) if model in ("deepseek-chat", "deepseek-reasoner") else frozenset(range(5))


def _sheet(provider: str, raw: Mapping[str, Any]) -> Sheet:
    rates: dict[str, Decimal] = {}
    tiers: dict[str, list[tuple[int, Decimal]]] = {}
    for key, value in raw.items():
        if key not in _COMPONENTS:
            continue
        component, divisor = _COMPONENTS[key]
        if provider == "google":
            component = _GROUNDING.get(component, component)
        if isinstance(value, Mapping):
            rates[component] = _amount(value["base"], divisor)
            tiers[component] = [(start, _amount(price, divisor)) for start, price in value["tiers"]]
        else:
            rates[component] = _amount(value, divisor)
    if not rates.get("output", _ONE) and rates.get("input"):
        # Embeddings and the like have no output to bill.
        del rates["output"]
    if not any(rates.values()):
        rates = {}
    return Sheet(rates=rates, tiers=_tiers(tiers) or None)


def _amount(text: str, divisor: Decimal) -> Decimal:
    return (Decimal(text) / divisor).quantize(_SCALE).normalize()


def _tiers(by_component: Mapping[str, list[tuple[int, Decimal]]]) -> tuple[Tier, ...]:
    """One tier per threshold, each with all rates that hold there."""
    starts = sorted({start for prices in by_component.values() for start, _ in prices})
    found = []
    for start in starts:
        rates = {
            component: [price for least, price in prices if least <= start][-1]
            for component, prices in by_component.items()
            if prices[0][0] <= start
        }
        # "From 200000 on" is written there as "over 199999".
        inclusive = start % 1000 == 999
        found.append(Tier(start + inclusive, inclusive, rates))
    return tuple(found)


def _add_modes(stages: list[Stage], provider: str, model: Mapping[str, Any]) -> None:
    """Put each mode's rates into the stage that was in force when they were looked at.

    The dates on modes are those of the look, not of the price; a mode with one set of rates holds from the
    beginning of the stage it was seen in.
    """
    for variant in model["variants"]:
        mode = _mode_of(variant["when"])
        sheet = _sheet(provider, variant["rates"])
        if mode is None or not sheet.rates:
            continue
        seen = _midnight(variant["start"]) if "start" in variant else None
        index = max(i for i, (start, _) in enumerate(stages) if start is None or (seen and start <= seen))
        before = stages[index][1].modes.get(mode)
        if before is None:
            _set_mode(stages, index, mode, Mode(sheet.rates, sheet.tiers))


def _set_mode(stages: list[Stage], index: int, mode: ModeKey, rates: Mode) -> None:
    # Variants come newest first: later stages keep the rates that they have.
    for i in range(index, len(stages)):
        start, sheet = stages[i]
        if mode not in sheet.modes:
            stages[i] = (start, Sheet(sheet.rates, sheet.tiers, {**sheet.modes, mode: rates}, sheet.windows))


def _mode_of(when: Mapping[str, str]) -> ModeKey | None:
    for key in ("processing", "service_tier", "speed"):
        if key in when:
            return mode_key(when[key]) or None
    return None


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), tzinfo=UTC)


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)
