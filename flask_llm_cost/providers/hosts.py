"""Which provider answers under which host name, and at a gateway under which path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping
from functools import lru_cache

#: Host, or a domain whose sub-domains count too, to provider. The names are those of the price table. A path
#: may follow, the beginning of those that belong to a provider; ``*`` is any one segment of it. The hosts of
#: a provider with endpoints of its own stand in its description.
PROVIDER_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "openai.azure.us": "azure",
    "cognitiveservices.azure.com": "azure",
    "cognitiveservices.azure.us": "azure",
    "services.ai.azure.com": "azure",
    "models.ai.azure.com": "azure",
    "inference.ai.azure.com": "azure",
    "api.cognitive.microsoft.com/openai": "azure",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "google",
    "aiplatform.googleapis.com": "vertex",
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.x.ai": "xai",
    "api.together.xyz": "together",
    "api.together.ai": "together",
    "api.fireworks.ai": "fireworks",
    "api.cerebras.ai": "cerebras",
    "api.perplexity.ai": "perplexity",
    "api.moonshot.ai": "moonshot",
    "api.moonshot.cn": "moonshot",
    "api.z.ai": "zai",
    "open.bigmodel.cn": "zai",
    "api.minimax.io": "minimax",
    "api.minimaxi.com": "minimax",
    "router.huggingface.co": "huggingface",
    "api.llama.com": "meta",
    # Gateways that name the provider in their address
    "oai.helicone.ai": "openai",
    "anthropic.helicone.ai": "anthropic",
    "gateway.ai.cloudflare.com": "cloudflare",  # `compat`: the model names the provider
    "gateway.ai.cloudflare.com/v1/*/*/openai": "openai",
    "gateway.ai.cloudflare.com/v1/*/*/anthropic": "anthropic",
    "gateway.ai.cloudflare.com/v1/*/*/google-ai-studio": "google",
    "gateway.ai.cloudflare.com/v1/*/*/google-vertex-ai": "vertex",
    "gateway.ai.cloudflare.com/v1/*/*/azure-openai": "azure",
    "gateway.ai.cloudflare.com/v1/*/*/aws-bedrock": "bedrock",
    "gateway.ai.cloudflare.com/v1/*/*/openrouter": "openrouter",
    "gateway.ai.cloudflare.com/v1/*/*/groq": "groq",
    "gateway.ai.cloudflare.com/v1/*/*/deepseek": "deepseek",
    "gateway.ai.cloudflare.com/v1/*/*/mistral": "mistral",
    "gateway.ai.cloudflare.com/v1/*/*/grok": "xai",
    "gateway.ai.cloudflare.com/v1/*/*/cerebras": "cerebras",
    "gateway.ai.cloudflare.com/v1/*/*/perplexity-ai": "perplexity",
    "gateway.ai.cloudflare.com/v1/*/*/cohere": "cohere",
    "gateway.ai.cloudflare.com/v1/*/*/huggingface": "huggingface",
}

#: A host's providers by the beginning of the path, in segments, the longest first.
_Places = dict[str, list[tuple[tuple[str, ...], str]]]


def known_provider(
    host: str, provider_hosts: Mapping[str, str], described: Mapping[str, str], path: str = ""
) -> str | None:
    """The provider behind ``host`` (a port and the case are ignored), or ``None`` where nobody knows.

    :param provider_hosts: the app's own table, written like :data:`PROVIDER_HOSTS`; it is asked first, so
        that a private gateway may sit below a provider's domain. A key may carry a port.
    :param described: hosts that descriptions of providers name; asked last.
    :param path: the request's whole path, where it is known; keys with a path match no other.
    """
    address, name = _names(host)
    segments = [segment for segment in path.lower().split("/") if segment]
    own = _places(tuple(provider_hosts.items()))
    return (
        _at(address, own, segments)
        or _find(name, own, segments)
        or _find(name, _BUILT_IN, segments)
        or _by_pattern(name)
        or _find(name, _places(tuple(described.items())), segments)
    )


def is_in(host: str, table: Mapping[str, str]) -> bool:
    """Whether a table, written like :data:`PROVIDER_HOSTS`, has a provider for any path of ``host``."""
    address, name = _names(host)
    places = _places(tuple(table.items()))
    return address in places or any(parent in places for parent in _parents(name))


@lru_cache(maxsize=1024)
def is_built_in(host: str) -> bool:
    """Whether ``host`` is known without anybody's word."""
    return is_in(host, PROVIDER_HOSTS) or _by_pattern(_names(host)[1]) is not None


@lru_cache(maxsize=64)
def _places(table: tuple[tuple[str, str], ...]) -> _Places:
    found: _Places = {}
    for key, provider in table:
        host, _, path = key.strip().lower().partition("/")
        found.setdefault(host, []).append((tuple(part for part in path.split("/") if part), provider))
    for places in found.values():
        places.sort(key=lambda place: -len(place[0]))
    return found


_BUILT_IN = _places(tuple(PROVIDER_HOSTS.items()))


def _names(host: str) -> tuple[str, str]:
    """A host's address and, without a port, its name."""
    address = host.strip().lower().rstrip(".")
    if address.startswith("["):
        return address, address.partition("]")[0].lstrip("[")
    name, _, port = address.rpartition(":")
    return address, name.rstrip(".") if name and port.isdigit() and ":" not in name else address


def _parents(name: str) -> Iterator[str]:
    """The name and the domains above it."""
    while name:
        yield name
        name = name.partition(".")[2]


def _find(name: str, places: _Places, segments: list[str]) -> str | None:
    found = (_at(parent, places, segments) for parent in _parents(name))
    return next((provider for provider in found if provider is not None), None)


def _at(host: str, places: _Places, segments: list[str]) -> str | None:
    for prefix, provider in places.get(host, ()):
        if len(prefix) <= len(segments) and all(
            part in ("*", segment) for part, segment in zip(prefix, segments, strict=False)
        ):
            return provider
    return None


def _by_pattern(name: str) -> str | None:
    # bedrock-runtime.eu-west-1.amazonaws.com, bedrock-mantle.us-east-1.api.aws
    if name.startswith("bedrock") and name.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws")):
        return "bedrock"
    # europe-west4-aiplatform.googleapis.com, aiplatform.eu.rep.googleapis.com, and the same behind mTLS
    if name.endswith(".googleapis.com") and name.partition(".")[0].endswith("aiplatform"):
        return "vertex"
    if name == "generativelanguage.mtls.googleapis.com":
        return "google"
    return None


#: OpenAI's hosts of one region, and Vertex AI's of one location or of a group of them. What is processed
#: there costs more with some models; Bedrock says the region in the model's id instead.
_REGIONAL = re.compile(
    r"[a-z]{2}\.api\.openai\.com"
    r"|[a-z]+-[a-z]+\d+-aiplatform(\.mtls)?\.googleapis\.com"
    r"|aiplatform\.[a-z]{2}\.rep\.googleapis\.com"
)


def is_regional(host: str) -> bool:
    """Whether a host binds the calls that it gets to a region."""
    return _REGIONAL.fullmatch(host.strip().lower().rstrip(".").partition(":")[0]) is not None
