"""How a model is called on the wire, and which plain names that call may stand for. No prices here.

Every rule takes something off that a provider documents as decoration; none compares beginnings of names,
because ``gpt-5-nano`` and ``gpt-5-nano-turbo`` share one and are not the same model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

#: Other spellings of a provider, as SDKs, gateways and price tables write them.
PROVIDER_SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "aws": "bedrock",
        "aws_bedrock": "bedrock",
        "azure_openai": "azure",
        "fireworks_ai": "fireworks",
        "gemini": "google",
        "google_vertex": "vertex",
        "mistralai": "mistral",
        "moonshotai": "moonshot",
        "together_ai": "together",
        "vertex_ai": "vertex",
        "voyageai": "voyage",
        "x-ai": "xai",
        "z-ai": "zai",
    }
)

#: Who sells another provider's models at that provider's list price. A gateway with prices of its own, such
#: as OpenRouter, is not here: its model may cost anything.
SELLS_AT_LIST_PRICE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "azure": ("openai",),
        "vertex": ("google", "anthropic"),
    }
)

#: What stands in the provider's place when nobody knows it.
NO_PROVIDER = frozenset({"", "unknown"})

_PATH = re.compile(r"^(?:.*/)?(?:publishers/[^/]+/)?models/(?P<name>.+)$")
_AT_VERSION = re.compile(r"^(?P<name>.+)@(?P<version>\d{8}|default)$")
_ARN = re.compile(r"^arn:aws[a-z-]*:bedrock:[^:]*:[^:]*:(?:foundation-model|inference-profile)/(?P<name>.+)$")
# The in-region profiles cost the same as the bare id; `global.` is a price of its own and stays.
_GEO = re.compile(r"^(?:us-gov|us|eu|apac|ap|jp|au|ca|in|sa|uk)\.(?P<name>[a-z0-9-]+\..+)$")
_REVISION = re.compile(r"^(?P<name>[a-z0-9-]+\..+?):\d+(?::\d+k)?$")
# Only the first version is the name's default: `titan-embed-text-v2` is another model than `-v1`.
_FIRST_VERSION = re.compile(r"^(?P<name>[a-z0-9-]+\..+)-v1$")
_DATE = re.compile(r"^(?P<name>.+)-(?P<year>20\d\d)(?P<dash>-?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)$")


def provider_name(provider: str | None) -> str:
    """The one spelling of a provider that price keys use."""
    name = (provider or "").strip().lower()
    return PROVIDER_SPELLINGS.get(name, name)


def price_key(key: str) -> str:
    """A price key in its one spelling: lower case, the provider's usual name before the first ``/``."""
    provider, slash, model = key.strip().lower().partition("/")
    return f"{provider_name(provider)}/{model}" if slash else provider


def without_decoration(provider: str, model: str) -> Iterator[str]:
    """``model`` with one documented decoration after the other taken off, outermost first.

    ``models/`` and ``publishers/.../models/`` paths, ``@20250929`` and ``@default``, Bedrock ARNs, Bedrock's
    geographic prefix and its ``-v1:0`` version.
    """
    rules = [_ARN, _PATH]
    if provider == "bedrock" or _ARN.match(model):
        rules += [_GEO, _REVISION, _FIRST_VERSION]
    name = model
    for rule in rules:
        found = rule.match(name)
        if found:
            name = found["name"]
            yield name
    found = _AT_VERSION.match(name)
    if found is None:
        return
    version = found["version"]
    if version == "default" or _is_date(version[:4], version[4:6], version[6:]):
        yield found["name"]


def without_own_prefix(provider: str, model: str) -> str | None:
    """``model`` without its provider's own name in front, as gateways write it: ``azure/gpt-5`` at Azure.

    ``None`` where it has none. Another provider's name says what a gateway sells, at a price of its own.
    """
    prefix, slash, rest = model.partition("/")
    return rest if slash and rest and provider_name(prefix) == provider else None


def without_date(model: str) -> str | None:
    """``model`` without its trailing ``-YYYY-MM-DD`` or ``-YYYYMMDD``; ``None`` without a valid date."""
    found = _DATE.match(model)
    if found and _is_date(found["year"], found["month"], found["day"]):
        return found["name"]
    return None


def fine_tune_base(model: str) -> str | None:
    """``ft:BASE`` of ``ft:BASE:organisation:suffix:id``; ``None`` for any other name."""
    prefix, _, rest = model.partition(":")
    base = rest.partition(":")[0]
    return f"ft:{base}" if prefix == "ft" and base else None


def _is_date(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True
