"""What can be tapped: the SDKs that are known here, and those that other packages bring along.

Such a package names an :class:`Integration` in the entry point group ``flask_llm_cost.integrations``. It goes
the same way as ours from there on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from functools import cache
from importlib import metadata
from types import MappingProxyType
from types import ModuleType
from typing import Protocol

from ..config import INTEGRATIONS_GROUP
from ..counters import log
from . import client_aiohttp
from . import client_httpx
from . import client_urllib3
from . import sdk_google
from . import sdk_speakeasy
from . import sdk_stainless
from . import synthetic
from . import synthetic_http
from .synthetic import MadeUpCall


class Tap(Protocol):
    """How one module of an SDK is tapped; any object, or a module, with these four functions."""

    def broken_contract(self, module: ModuleType) -> str | None:
        """What ``module`` lacks of what the tap relies on, or ``None``. Only then is it patched."""

    def patch(self, sdk: str, module: ModuleType) -> None:
        """See the calls of this module from now on, for the integration of this name. Doing it again changes
        nothing.
        """

    def unpatch(self, module: ModuleType) -> None:
        """Put back what was there."""

    def is_patched(self, module: ModuleType) -> bool:
        """Whether the module's calls are seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """An SDK that can be tapped.

    :param name: its name in ``LLM_COST_INSTRUMENT``, and the provider's where the host is nobody's.
    :param distribution: what ``pip`` calls the SDK.
    :param taps: the SDK's modules and how each is tapped once it is imported. The first one that can be
        imported decides whether the SDK is supported; an older version may lack the others.
    :param seen: what can be said of its calls once it is tapped.
    :param made_up_call: asks the SDK's own client, over a transport that answers without a network, for
        1,000 tokens of input and 100 of output, given the names of a model and of the answer's id. It is
        what ``verify-capture`` sends.
    """

    name: str
    distribution: str
    taps: Mapping[str, Tap]
    seen: str = "Every call of its clients is seen."
    made_up_call: MadeUpCall | None = None


_BUILT_IN = (
    Integration(
        name="openai",
        distribution="openai",
        taps={"openai._base_client": sdk_stainless},
        made_up_call=synthetic.call_openai,
    ),
    Integration(
        name="anthropic",
        distribution="anthropic",
        taps={"anthropic._base_client": sdk_stainless},
        made_up_call=synthetic.call_anthropic,
    ),
    Integration(
        name="google",
        distribution="google-genai",
        # Interactions and their neighbours have a client of their own, made by Stainless up to google-genai
        # 2.0, and by Speakeasy since.
        taps={
            "google.genai._api_client": sdk_google,
            "google.genai._gaos.basesdk": sdk_speakeasy,
            "google.genai._interactions._base_client": sdk_stainless,
        },
        made_up_call=synthetic.call_google,
    ),
    Integration(
        name="groq",
        distribution="groq",
        taps={"groq._base_client": sdk_stainless},
        made_up_call=synthetic.call_groq,
    ),
)


def _http(package: str, tap: Tap, call: MadeUpCall) -> Integration:
    seen = "Every request of its clients to a known provider is seen, unless a tapped SDK sends it."
    return Integration(name=package, distribution=package, taps={package: tap}, seen=seen, made_up_call=call)


#: What ``"http"`` stands for: of these, whatever is installed. requests and boto3 send through urllib3.
HTTP_PACKAGES: Mapping[str, Integration] = MappingProxyType(
    {
        "httpx": _http("httpx", client_httpx, synthetic_http.call_httpx),
        "httpx2": _http("httpx2", client_httpx, synthetic_http.call_httpx2),
        "urllib3": _http("urllib3", client_urllib3, synthetic_http.call_urllib3),
        "aiohttp": _http("aiohttp", client_aiohttp, synthetic_http.call_aiohttp),
    }
)


@dataclass(frozen=True, slots=True)
class Integrations:
    """All of them.

    :param known: by name, ours first.
    :param broken: those of other packages that cannot be used: distribution and problem, by name.
    """

    known: Mapping[str, Integration]
    broken: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.known, *self.broken)


#: Ours; other packages are not asked for theirs.
BUILT_IN = Integrations(MappingProxyType({known.name: known for known in _BUILT_IN}))


@cache
def integrations() -> Integrations:
    """Ours and those of the installed packages. One that cannot be loaded is logged once, by its class."""
    known, broken = dict(BUILT_IN.known), {}
    for point in metadata.entry_points(group=INTEGRATIONS_GROUP):
        try:
            known[point.name] = _loaded(point, known)
        except Exception as error:
            problem = str(error) if isinstance(error, _Unusable) else f"it raised {type(error).__name__}"
            distribution = point.dist.name if point.dist else point.value
            broken[point.name] = (distribution, f"its entry point {point.value!r} cannot be used: {problem}")
            log.warning("The integration %s of %s is left out: %s", point.name, distribution, problem)
    return Integrations(MappingProxyType(known), MappingProxyType(broken))


class _Unusable(Exception):
    """What an entry point gives is no integration, in words of ours."""


def _loaded(point: metadata.EntryPoint, known: Mapping[str, Integration]) -> Integration:
    if point.name in known:
        raise _Unusable("an integration of this name is known already")
    found = point.load()
    if not isinstance(found, Integration):
        raise _Unusable(f"it is a {type(found).__name__}, not an Integration")
    if found.name != point.name:
        raise _Unusable(f"the integration calls itself {found.name!r}")
    if not isinstance(found.taps, Mapping) or not found.taps or not all(map(_is_tap, found.taps.values())):
        raise _Unusable(
            "its taps must be a mapping of a module's name to an object with the functions of Tap"
        )
    return found


def _is_tap(tap: object) -> bool:
    functions = ("broken_contract", "patch", "unpatch", "is_patched")
    return all(callable(getattr(tap, name, None)) for name in functions)
