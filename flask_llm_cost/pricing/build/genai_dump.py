"""Run by the throwaway environment's Python: prints the data of genai-prices as JSON.

Imports nothing of this package, and nothing of this package imports it.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any


def main() -> None:
    providers = importlib.import_module("genai_prices.data").providers
    candidates = json.load(sys.stdin)
    found: dict[str, Any] = {"providers": [], "matches": {}}
    for provider in providers:
        models = [model(provider, item) for item in provider.models]
        about = [provider.price_comments or "", *(item.price_comments or "" for item in provider.models)]
        found["providers"].append({"id": provider.id, "models": models, "comments": about})
        names = candidates.get(provider.id, ())
        matched = {name: provider.find_model(name) for name in names}
        found["matches"][provider.id] = {name: item.id for name, item in matched.items() if item is not None}
    json.dump(found, sys.stdout)


def model(provider: Any, item: Any) -> dict[str, Any]:
    prices = item.prices if isinstance(item.prices, list) else [item]
    names = [name for name in sorted(exact_names(item.match)) if provider.find_model(name) is item]
    return {
        "id": item.id,
        "names": names,
        "prices": [
            {**constraint(getattr(price, "constraint", None)), "rates": rates(price.prices)}
            for price in prices
        ],
        "variants": [
            {"when": dict(variant.when), **constraint(variant.constraint), "rates": rates(variant.prices)}
            for variant in item.price_variants or ()
        ],
    }


def exact_names(clause: Any) -> set[str]:
    """Names that the rule takes as a whole: what it must equal, or begin with and may end after."""
    if hasattr(clause, "or_"):
        return {name for part in clause.or_ for name in exact_names(part)}
    name = getattr(clause, "equals", None) or getattr(clause, "starts_with", None)
    return {name.lower()} if name and name[-1].isalnum() else set()


def constraint(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if hasattr(value, "start_date"):
        return {"start": value.start_date.isoformat()}
    return {"window": [value.start_time.strftime("%H:%M"), value.end_time.strftime("%H:%M")]}


def rates(price: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in price.__dict__.items():
        if value is None or key.startswith("_"):
            continue
        if hasattr(value, "tiers"):
            found[key] = {
                "base": str(value.base),
                "tiers": [[tier.start, str(tier.price)] for tier in value.tiers],
            }
        else:
            found[key] = str(value)
    return found


if __name__ == "__main__":
    main()
