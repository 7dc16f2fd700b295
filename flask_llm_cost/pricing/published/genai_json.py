"""genai-prices' published JSON, brought to the shape that :func:`~.genai.read_genai` reads.

The match rules are evaluated only to find a model's exact names; they price nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import time
from typing import Any


def plain_data(document: object) -> dict[str, Any]:
    """The document as the throwaway environment of the build prints it.

    :param document: a list of providers, or a mapping with one under ``providers``.
    :raises KeyError, TypeError, ValueError: it is something else.
    """
    providers = document["providers"] if isinstance(document, Mapping) else document
    if not isinstance(providers, Sequence):
        raise TypeError("providers must be a list")
    return {"providers": [_provider(provider) for provider in providers], "matches": {}}


def _provider(provider: Mapping[str, Any]) -> dict[str, Any]:
    models = provider["models"]
    comments = [about.get("price_comments") or "" for about in (provider, *models)]
    return {"id": provider["id"], "models": [_model(models, item) for item in models], "comments": comments}


def _model(models: Sequence[Mapping[str, Any]], item: Mapping[str, Any]) -> dict[str, Any]:
    prices = item["prices"] if isinstance(item["prices"], Sequence) else [{"prices": item["prices"]}]
    names = sorted(
        name for name in set(_exact_names(item["match"])) if _first_match(models, name) == item["id"]
    )
    return {
        "id": item["id"],
        "names": names,
        "prices": [_price(price) for price in prices],
        "variants": [
            {"when": dict(variant["when"]), **_price(variant)} for variant in item.get("price_variants") or ()
        ],
    }


def _price(price: Mapping[str, Any]) -> dict[str, Any]:
    return {**_constraint(price.get("constraint")), "rates": _rates(price["prices"])}


def _rates(prices: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in prices.items():
        if isinstance(value, Mapping):
            tiers = [[tier["start"], str(tier["price"])] for tier in value["tiers"]]
            found[key] = {"base": str(value["base"]), "tiers": tiers}
        elif value is not None:
            found[key] = str(value)
    return found


def _constraint(value: Mapping[str, Any] | None) -> dict[str, Any]:
    if not value:
        return {}
    if "start_date" in value:
        return {"start": value["start_date"]}
    return {"window": [_utc_clock(value["start_time"]), _utc_clock(value["end_time"])]}


def _utc_clock(text: str) -> str:
    moment = time.fromisoformat(text)
    if moment.utcoffset():
        raise ValueError(f"{text} is not in UTC")
    return moment.strftime("%H:%M")


def _exact_names(clause: Mapping[str, Any]) -> Iterator[str]:
    """Names that the rule takes as a whole: what it must equal, or begin with and may end after."""
    for part in clause.get("or") or ():
        yield from _exact_names(part)
    name = clause.get("equals") or clause.get("starts_with")
    if name and name[-1].isalnum():
        yield name.lower()


def _first_match(models: Sequence[Mapping[str, Any]], name: str) -> object:
    return next((model["id"] for model in models if _matches(model["match"], name)), None)


def _matches(clause: Mapping[str, Any], name: str) -> bool:
    (kind, value), *others = clause.items()
    if others:
        raise ValueError("a match rule has one clause")
    if kind == "or":
        return any(_matches(part, name) for part in value)
    if kind == "and":
        return all(_matches(part, name) for part in value)
    if kind == "regex":
        return re.search(value, name) is not None
    text = value.lower()
    if kind == "contains":
        return text in name
    known = {"equals": name == text, "starts_with": name.startswith(text), "ends_with": name.endswith(text)}
    return bool(known[kind])
