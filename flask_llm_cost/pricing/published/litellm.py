"""litellm's price rows as price entries."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Context
from decimal import Decimal
from typing import Any

from ..entry import Mode
from ..entry import ModelLimits
from ..entry import PriceEntry
from ..entry import Sheet
from ..entry import Tier
from ..modes import ModeKey
from .genai import plain_id

#: litellm's provider labels, and ours.
PROVIDERS: Mapping[str, str] = {
    "anthropic": "anthropic",
    "azure": "azure",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "minimax": "minimax",
    "mistral": "mistral",
    "moonshot": "moonshot",
    "openai": "openai",
    "perplexity": "perplexity",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "voyage": "voyage",
    "xai": "xai",
    "zai": "zai",
}
#: Kinds of rows that bill what a call's usage tells.
_KINDS = frozenset(
    [
        "chat",
        "responses",
        "completion",
        "embedding",
        "audio_transcription",
        "audio_speech",
        "image_generation",
        "image_edit",
        "realtime",
        "ocr",
        "moderation",
        "rerank",
        "video_generation",
    ]
)

Rows = Mapping[str, Mapping[str, Any]]

#: How Azure's rows for a data zone begin.
DATA_ZONES = ("eu/", "us/")

_MILLION = Decimal(1_000_000)
#: Cost keys there, components here, and the factor from one basis to the other.
_COMPONENTS: Mapping[str, tuple[str, Decimal]] = {
    "input_cost_per_token": ("input", _MILLION),
    "output_cost_per_token": ("output", _MILLION),
    "cache_read_input_token_cost": ("cache_read_input", _MILLION),
    "cache_creation_input_token_cost": ("cache_write_input", _MILLION),
    "cache_creation_input_token_cost_above_1hr": ("cache_write_extended_input", _MILLION),
    "cache_creation_input_token_cost_above_12hr": ("cache_write_extended_input", _MILLION),
    "input_cost_per_audio_token": ("audio_input", _MILLION),
    "output_cost_per_audio_token": ("audio_output", _MILLION),
    "input_cost_per_image_token": ("image_input", _MILLION),
    "output_cost_per_image_token": ("image_output", _MILLION),
    "cache_read_input_audio_token_cost": ("cache_read_audio_input", _MILLION),
    "cache_read_input_image_token_cost": ("cache_read_image_input", _MILLION),
    "google_maps_grounding_cost_per_query": ("maps_grounding_request", Decimal(1000)),
    "ocr_cost_per_page": ("page", Decimal(1)),
    "output_cost_per_video_per_second": ("video_second", Decimal(1)),
}
#: Keys whose meaning depends on the kind of row.
_BY_KIND: Mapping[tuple[str, str], tuple[str, Decimal]] = {
    ("audio_speech", "input_cost_per_character"): ("text_to_speech_character", _MILLION),
    ("audio_transcription", "input_cost_per_second"): ("transcription_minute", Decimal(60)),
    ("image_generation", "output_cost_per_image"): ("image", Decimal(1)),
    ("image_edit", "output_cost_per_image"): ("image", Decimal(1)),
    ("rerank", "input_cost_per_query"): ("search_unit", Decimal(1000)),
    ("video_generation", "output_cost_per_second"): ("video_second", Decimal(1)),
}
#: On xAI's rows the price of an image stands on the input side.
_XAI_IMAGE = ("image_generation", "input_cost_per_image")
_MODES: Mapping[str, ModeKey] = {
    "batches": ("batch",),
    "flex": ("flex",),
    "priority": ("priority",),
    "ultrafast": ("ultrafast",),
    "480p": ("480p",),
    "720p": ("720p",),
    "1080p": ("1080p",),
    "4k": ("4k",),
}
#: Resolutions that every Veo knows; they cost the plain rate where no other is told.
_PLAIN_RESOLUTIONS = (("720p",), ("1080p",))
#: Rows that price a model's larger pictures, with the sizes of both.
_LARGER: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "openai/sora-2-pro-high-res": (
        "openai/sora-2-pro",
        ("720x1280", "1280x720"),
        ("1024x1792", "1792x1024"),
    ),
}
_TIER = re.compile(r"_above_(\d+)k_tokens")
# Per-token floats lose digits: 7.999999999999999e-07 is meant to be 0.8 per million.
_DIGITS = Context(prec=10)


def candidates(rows: Rows) -> dict[str, list[str]]:
    """The names of all usable rows by our provider."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for provider, name, _ in usable(rows):
        found[provider].append(name)
    return {provider: sorted(set(names)) for provider, names in sorted(found.items())}


def usable(rows: Rows) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Provider, model's name and row, of every row that is bundled or compared."""
    for key, row in sorted(rows.items()):
        label = row.get("litellm_provider")
        provider = PROVIDERS.get(label) if isinstance(label, str) else None
        if provider is None or row.get("mode") not in _KINDS:
            continue
        name = key.lower().removeprefix(f"{label}/")
        if not _is_regional(provider, name):
            yield provider, name, row


def _is_regional(provider: str, name: str) -> bool:
    """Rows such as ``azure/eu/gpt-4o`` or ``1024-x-1024/dall-e-3`` price a place or a size, not a model."""
    if provider == "azure" and name.startswith(DATA_ZONES):
        # What a model costs in a data zone of Azure's; deployments there are told to cost the same.
        return False
    if provider in ("azure", "bedrock", "openai"):
        return "/" in name
    return name.startswith(("standard/", "low/", "medium/", "high/", "hd/"))


def read_litellm(rows: Rows) -> dict[str, PriceEntry]:
    """Every usable row with a price as an entry."""
    found: dict[str, PriceEntry] = {}
    for provider, name, row in usable(rows):
        if row["mode"] == "video_generation" and "input_cost_per_image" in row:
            continue  # whether it began with a picture, which is billed too, no answer tells
        sheet = _sheet(provider, row)
        key = f"{provider}/{plain_id(provider, name)}"
        # On Bedrock the bare id and the one with a region share a key; the latter says what a region costs.
        regional = provider == "bedrock" and name.startswith("us.")
        if any(sheet.rates.values()) and (key not in found or regional):
            provenance = {"source": "litellm", "confidence": "single"}
            found[key] = PriceEntry(key=key, sheet=sheet, provenance=provenance, limits=_limits(row))
    for larger, (key, plain_sizes, large_sizes) in _LARGER.items():
        if larger in found and key in found:
            entry, large = found[key], found.pop(larger).sheet.rates
            sizes = {**dict.fromkeys(plain_sizes, entry.sheet.rates), **dict.fromkeys(large_sizes, large)}
            modes: dict[ModeKey, Mode] = {(size,): Mode(rates) for size, rates in sizes.items()}
            found[key] = replace(entry, sheet=replace(entry.sheet, modes=modes))
    return found


def _sheet(provider: str, row: Mapping[str, Any]) -> Sheet:
    rates: dict[tuple[ModeKey, int], dict[str, Decimal]] = defaultdict(dict)
    for key, value in row.items():
        read = _read_key(provider, str(row["mode"]), key)
        if read is None or not isinstance(value, Decimal | int):
            continue
        component, factor, mode, over = read
        rates[mode, over][component] = _amount(Decimal(value) * factor)
    base = rates[(), 0]
    if "input" in base:
        base.pop("image", None)  # what is billed by tokens has a price per image for orientation only
    if provider != "perplexity":
        base.update(_searches(provider, row))
    for prices in rates.values():
        _drop_zero(prices)
    inclusive = provider == "xai"
    modes = {
        mode: Mode(rates[mode, 0], _tiers(rates, mode, inclusive))
        for mode in _MODES.values()
        if rates.get((mode, 0))
    }
    modes.update(_multipliers(row))
    if provider == "perplexity":
        modes.update(_fees(row))
    if provider == "google" and base.get("video_second") and modes:
        modes.update({size: Mode(base) for size in _PLAIN_RESOLUTIONS if size not in modes})
    return Sheet(rates=base, tiers=_tiers(rates, (), inclusive), modes=modes)


def _limits(row: Mapping[str, Any]) -> ModelLimits:
    told = (row.get("max_input_tokens"), row.get("max_output_tokens"))
    return ModelLimits(*(int(most) if isinstance(most, int) and 0 < most <= 10**9 else None for most in told))


def retirements(rows: Rows) -> dict[str, date]:
    """The day on which a name was, or will be, retired, by key."""
    found: dict[str, date] = {}
    for provider, name, row in usable(rows):
        if day := row.get("deprecation_date"):
            found[f"{provider}/{plain_id(provider, name)}"] = date.fromisoformat(day)
    return found


def regional_multipliers(rows: Rows) -> dict[str, Decimal]:
    """What Vertex AI's regional endpoints cost over the global one, by the model's plain name."""
    found: dict[str, Decimal] = {}
    for key, row in sorted(rows.items()):
        factor = row.get("regional_endpoint_uplift_multiplier")
        if key.startswith("vertex_ai/") and factor is not None:
            name = key.removeprefix("vertex_ai/").partition("@")[0]
            found[name] = _amount(Decimal(factor))
    return found


def _drop_zero(rates: dict[str, Decimal]) -> None:
    """A zero there mostly means that nobody looked: cache writes and audio are not free."""
    for component in [name for name, rate in rates.items() if not rate]:
        del rates[component]


def _read_key(provider: str, kind: str, key: str) -> tuple[str, Decimal, ModeKey, int] | None:
    """Component, factor, mode and threshold of a cost key such as ``..._above_200k_tokens_priority``."""
    found = _TIER.search(key)
    over = int(found[1]) * 1000 if found else 0
    name = _TIER.sub("", key)
    mode: ModeKey = ()
    for suffix, known in _MODES.items():
        if name.endswith("_" + suffix):
            name, mode = name.removesuffix("_" + suffix), known
    component = _COMPONENTS.get(name) or _BY_KIND.get((kind, name))
    if provider == "xai" and (kind, name) == _XAI_IMAGE:
        component = ("image", Decimal(1))
    return None if component is None else (*component, mode, over)


def _tiers(
    rates: Mapping[tuple[ModeKey, int], dict[str, Decimal]], mode: ModeKey, inclusive: bool
) -> tuple[Tier, ...] | None:
    """The tiers of a mode; only xAI's begin at their threshold (https://docs.x.ai/docs/models)."""
    found = [
        Tier(over, inclusive, prices)
        for (name, over), prices in rates.items()
        if name == mode and over and prices
    ]
    return tuple(sorted(found, key=lambda tier: tier.over)) or None


def _searches(provider: str, row: Mapping[str, Any]) -> dict[str, Decimal]:
    """The price of a search, where its context size makes no difference."""
    costs = set((row.get("search_context_cost_per_query") or {}).values())
    if len(costs) != 1:
        return {}
    component = "grounding_request" if provider == "google" else "web_search_request"
    return {component: _amount(Decimal(costs.pop()) * 1000)}


def _fees(row: Mapping[str, Any]) -> dict[ModeKey, Mode]:
    """The fee of a request, where it depends on how much of the web it takes in."""
    costs = {
        size.removeprefix("search_context_size_"): _amount(Decimal(cost) * 1000)
        for size, cost in (row.get("search_context_cost_per_query") or {}).items()
    }
    if len(set(costs.values())) < 2:
        return {}
    return {(size,): Mode({"request": fee}) for size, fee in sorted(costs.items())}


def _multipliers(row: Mapping[str, Any]) -> dict[ModeKey, Mode]:
    """Surcharges on token rates for processing in one region."""
    special = row.get("provider_specific_entry") or {}
    told = (special.get("us"), row.get("regional_processing_uplift_multiplier_us"))
    factors = {Decimal(factor) for factor in told if factor is not None}
    if len(factors) != 1:
        return {}
    return {("data_residency",): Mode(rates={}, multiplier=_amount(factors.pop()))}


def _amount(value: Decimal) -> Decimal:
    return +_DIGITS.create_decimal(value).normalize()
