"""OpenRouter's list of models as price entries: its own charges, for the provider ``openrouter`` only."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ..entry import PriceEntry
from ..entry import Sheet

_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)
#: Charges there (USD per token, request or search), components here, and the factor to our basis.
#: ``image`` is left out, because its unit differs by model, and ``internal_reasoning``, which is output.
_COMPONENTS: Mapping[str, tuple[str, Decimal]] = {
    "prompt": ("input", _MILLION),
    "completion": ("output", _MILLION),
    "input_cache_read": ("cache_read_input", _MILLION),
    "input_cache_write": ("cache_write_input", _MILLION),
    "audio": ("audio_input", _MILLION),
    "request": ("request", _THOUSAND),
    "web_search": ("web_search_request", _THOUSAND),
}
_SCALE = Decimal(1).scaleb(-12)


def read_openrouter(models: Sequence[Mapping[str, Any]], remarks: list[str]) -> dict[str, PriceEntry]:
    """Every model with a price as an entry; what was left out is told in ``remarks``.

    :raises KeyError, TypeError, ArithmeticError: the data is not what OpenRouter publishes.
    """
    found: dict[str, PriceEntry] = {}
    for model in models:
        key = f"openrouter/{str(model['id']).lower()}"
        rates = _rates(model["pricing"])
        provenance = {"source": "openrouter", "confidence": "single"}
        if any(rate < 0 for rate in rates.values()):
            remarks.append(f"left out, its price depends on where it is routed: {key}")
        elif any(rates.values()):
            found[key] = PriceEntry(key=key, sheet=Sheet(rates=_used(rates)), provenance=provenance)
        elif key.endswith(":free"):
            found[key] = PriceEntry(key=key, free=True, provenance=provenance)
        else:
            remarks.append(f"left out, every rate is zero and its name does not say free: {key}")
    return found


def _rates(pricing: Mapping[str, Any]) -> dict[str, Decimal]:
    share = 1 - Decimal(str(pricing.get("discount") or 0))
    return {
        component: (Decimal(str(pricing[name])) * factor * share).quantize(_SCALE).normalize()
        for name, (component, factor) in _COMPONENTS.items()
        if pricing.get(name) is not None
    }


def _used(rates: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Zero there means "no such charge", but for the two that every answer counts."""
    kept = {name: rate for name, rate in rates.items() if rate}
    if not rates.get("output", Decimal(1)):
        # Embeddings and the like have no output to bill.
        kept.pop("output", None)
    return kept
