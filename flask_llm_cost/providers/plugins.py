"""Providers that other packages describe, by the entry point group ``flask_llm_cost.providers``.

They are loaded when the first request goes to a host that is none of ours. One that cannot be loaded is
reported once, shown by ``flask llm-cost doctor``, and left out.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points

from ..counters import log
from .answer_reader import AnswerReader
from .provider import Endpoint
from .provider import Provider

GROUP = "flask_llm_cost.providers"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point of the group.

    :param package: the distribution that it comes from, with its version.
    :param provider: what it describes; ``None`` where it could not be loaded.
    :param problem: why not.
    """

    entry_point: str
    package: str
    provider: Provider | None
    problem: str = ""


class Plugins:
    """The entry points of the group, loaded when they are first asked for.

    :param taken: names of providers that no package may take.
    :param protocols: the wire formats that are read without a reader of the package's own.
    """

    def __init__(self, taken: frozenset[str], protocols: frozenset[str | None]) -> None:
        self._taken = taken
        self._protocols = protocols
        self._lock = threading.RLock()
        self._is_loading = False
        self._loaded: tuple[Plugin, ...] | None = None
        self._providers: Mapping[str, Provider] = {}
        self._hosts: Mapping[str, str] = {}

    def all(self) -> tuple[Plugin, ...]:
        """Every entry point of the group, the broken ones included."""
        if self._loaded is None:
            with self._lock:
                # A package that sends a request while it is imported gets here again.
                if self._loaded is None and not self._is_loading:
                    self._is_loading = True
                    try:
                        self._load()
                    finally:
                        self._is_loading = False
        return self._loaded or ()

    def providers(self) -> Mapping[str, Provider]:
        """Those that could be loaded, by their names."""
        self.all()
        return self._providers

    def hosts(self) -> Mapping[str, str]:
        """Their hosts, and whose they are."""
        self.all()
        return self._hosts

    def forget(self) -> None:
        """Load anew when asked the next time, for tests that install a package."""
        self._loaded, self._providers, self._hosts = None, {}, {}

    def _load(self) -> None:
        found: list[Plugin] = []
        providers: dict[str, Provider] = {}
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            plugin = _load_one(point, self._taken | providers.keys(), self._protocols)
            if plugin.provider is not None:
                providers[plugin.provider.name] = plugin.provider
            else:
                named = (plugin.entry_point, plugin.package, plugin.problem)
                log.warning("The provider %r of %s is left out: %s", *named)
            found.append(plugin)
        self._providers = providers
        self._hosts = {host: item.name for item in providers.values() for host in item.hosts}
        self._loaded = tuple(found)


def _load_one(point: EntryPoint, taken: frozenset[str], protocols: frozenset[str | None]) -> Plugin:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
    try:
        provider = point.load()
        problem = _broken(provider, taken, protocols)
    except Exception as error:
        # The class alone: a message may hold anything.
        return Plugin(point.name, package, None, f"{point.value} cannot be loaded ({type(error).__name__})")
    return Plugin(point.name, package, None if problem else provider, problem)


def _broken(provider: object, taken: frozenset[str], protocols: frozenset[str | None]) -> str:
    """What is wrong with a description, or nothing."""
    if not isinstance(provider, Provider):
        return f"it is no Provider but of the class {type(provider).__name__}"
    if not provider.name or provider.name != provider.name.strip().lower() or "/" in provider.name:
        return "its name must be in lower case, without a slash"
    if provider.name in taken:
        return f"there is a provider {provider.name!r} already"
    for protocol, reader in provider.readers.items():
        if not (isinstance(reader, type) and issubclass(reader, AnswerReader)):
            return f"readers[{protocol!r}] is no heir of AnswerReader"
    return _broken_endpoint(provider, protocols | provider.readers.keys())


def _broken_endpoint(provider: Provider, protocols: frozenset[str | None]) -> str:
    for path, endpoint in provider.endpoints.items():
        if not isinstance(endpoint, Endpoint):
            return f"endpoints[{path!r}] is no Endpoint"
        if endpoint.protocol not in protocols:
            return f"endpoints[{path!r}] names the protocol {endpoint.protocol!r}, which nobody reads"
    return ""
