"""Which provider answers under which host name."""

from __future__ import annotations

from collections.abc import Mapping

#: Host, or a domain whose sub-domains count too, to provider. The names are those of the price table. The
#: hosts of a provider with endpoints of its own stand in its description.
PROVIDER_HOSTS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "services.ai.azure.com": "azure",
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
    "router.huggingface.co": "huggingface",
}


def known_provider(host: str, provider_hosts: Mapping[str, str], described: Mapping[str, str]) -> str | None:
    """The provider behind ``host`` (a port and the case are ignored), or ``None`` where nobody knows.

    :param provider_hosts: the app's own table, written like :data:`PROVIDER_HOSTS`; it is asked first, so
        that a private gateway may sit below a provider's domain. A key may carry a port.
    :param described: hosts that descriptions of providers name; asked last.
    """
    address = host.strip().lower().rstrip(".")
    name = _without_port(address)
    own = {key.strip().lower(): provider for key, provider in provider_hosts.items()}
    return (
        own.get(address)
        or _find(name, own)
        or _find(name, PROVIDER_HOSTS)
        or _by_pattern(name)
        or _find(name, described)
    )


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address.partition("]")[0].lstrip("[")
    name, _, port = address.rpartition(":")
    return name.rstrip(".") if name and port.isdigit() and ":" not in name else address


def _find(name: str, hosts: Mapping[str, str]) -> str | None:
    labels = name.split(".")
    for start in range(len(labels)):
        provider = hosts.get(".".join(labels[start:]))
        if provider is not None:
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
