"""All providers: the built-in ones, and those of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .answer_reader import AnswerReader
from .anthropic_messages import MessagesReader
from .bedrock import BEDROCK
from .cohere import COHERE
from .gemini import GeminiReader
from .gemini_interactions import InteractionsReader
from .google_predict import PredictReader
from .hosts import PROVIDER_HOSTS
from .hosts import is_built_in
from .hosts import is_in
from .hosts import known_provider
from .mistral import MISTRAL
from .openai_chat import ChatReader
from .openai_responses import ResponsesReader
from .other_answers import OtherReader
from .pieces import ContainerReader
from .pieces import VideoReader
from .plugins import Plugins
from .provider import Provider
from .voyage import VOYAGE

#: Who reads the formats that several providers speak.
READERS: Mapping[str | None, type[AnswerReader]] = MappingProxyType(
    {
        "openai_chat": ChatReader,
        "openai_completions": ChatReader,
        "openai_embeddings": ChatReader,
        "openai_responses": ResponsesReader,
        "openai_video": VideoReader,
        "openai_container": ContainerReader,
        "anthropic_messages": MessagesReader,
        "gemini_generate": GeminiReader,
        "gemini_interactions": InteractionsReader,
        "google_predict": PredictReader,
        "google_video": OtherReader,
        None: OtherReader,
    }
)

#: The built-in providers that have endpoints of their own.
BUILT_IN: Mapping[str, Provider] = MappingProxyType(
    {provider.name: provider for provider in (BEDROCK, COHERE, MISTRAL, VOYAGE)}
)
_BUILT_IN_HOSTS = {host: provider.name for provider in BUILT_IN.values() for host in provider.hosts}
#: Names that no other package may take.
_TAKEN = frozenset({*BUILT_IN, *PROVIDER_HOSTS.values(), "unknown"})

plugins = Plugins(_TAKEN, frozenset(READERS))


def provider_of_host(host: str, provider_hosts: Mapping[str, str], path: str = "") -> str | None:
    """The provider behind ``host`` (a port and the case are ignored), or ``None`` where nobody knows.

    :param provider_hosts: the app's own table of hosts, which is asked first.
    :param path: the request's whole path, where it is known; gateways are told apart by it.
    """
    found = known_provider(host, provider_hosts, _BUILT_IN_HOSTS, path)
    return known_provider(host, {}, plugins.hosts(), path) if found is None else found


def is_nobodys(host: str, provider_hosts: Mapping[str, str]) -> bool:
    """Whether no path of ``host`` is a provider's. It is asked about every request of a process, so it is
    quick.
    """
    if is_built_in(host) or is_in(host, _BUILT_IN_HOSTS):
        return False
    return not (is_in(host, provider_hosts) or is_in(host, plugins.hosts()))


def find_provider(name: str) -> Provider | None:
    """The description of a provider that has endpoints of its own; ``None`` for all others."""
    return BUILT_IN.get(name) if name in _TAKEN else plugins.providers().get(name)


def reader_class(provider: str, protocol: str | None) -> type[AnswerReader]:
    """Who reads the answers of a protocol: the provider's own reader, else one that all share.

    :raises KeyError: nobody does.
    """
    own = find_provider(provider)
    if own is not None and protocol is not None and protocol in own.readers:
        return own.readers[protocol]
    return READERS[protocol]
