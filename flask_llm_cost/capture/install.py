"""Which SDKs are tapped in this process: once for all apps, at once or when they are imported."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Literal
from typing import Protocol

from ..config import HTTP
from ..config import asks_for
from ..errors import CaptureContractError
from . import client_aiohttp
from . import client_httpx
from . import client_urllib3
from . import sdk_google
from . import sdk_stainless
from .import_hook import ImportWatcher

log = logging.getLogger("flask_llm_cost")

State = Literal["active", "waiting", "off", "missing", "incompatible"]


@dataclass(frozen=True, slots=True)
class SdkStatus:
    """How it stands with one SDK.

    :param distribution: what ``pip`` calls it.
    :param state: ``active`` (its calls are seen), ``waiting`` (they will be, once the app imports it),
        ``off`` (not asked for), ``missing`` (not installed) or ``incompatible``.
    :param reason: one sentence for people.
    """

    sdk: str
    distribution: str
    version: str | None
    state: State
    reason: str


class _Tap(Protocol):
    """How an SDK is tapped: one module of this room each."""

    def broken_contract(self, module: ModuleType) -> str | None: ...
    def patch(self, sdk: str, module: ModuleType) -> None: ...
    def unpatch(self, module: ModuleType) -> None: ...
    def is_patched(self, module: ModuleType) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Sdk:
    """Where an SDK is tapped. ``module`` is what its clients are made of."""

    module: str
    distribution: str
    tap: _Tap
    seen: str = "Every call of its clients is seen."


_REQUESTS = "Every request of its clients to a known provider is seen, unless a tapped SDK sends it."
_SDKS: Mapping[str, _Sdk] = {
    "openai": _Sdk("openai._base_client", "openai", sdk_stainless),
    "anthropic": _Sdk("anthropic._base_client", "anthropic", sdk_stainless),
    "google": _Sdk("google.genai._api_client", "google-genai", sdk_google),
    "httpx": _Sdk("httpx", "httpx", client_httpx, _REQUESTS),
    "httpx2": _Sdk("httpx2", "httpx2", client_httpx, _REQUESTS),
    "urllib3": _Sdk("urllib3", "urllib3", client_urllib3, _REQUESTS),
    "aiohttp": _Sdk("aiohttp", "aiohttp", client_aiohttp, _REQUESTS),
}
#: What ``"http"`` stands for: of these, whatever is installed. requests and boto3 send through urllib3.
HTTP_PACKAGES = ("httpx", "httpx2", "urllib3", "aiohttp")

_lock = threading.Lock()
_users: Counter[str] = Counter()
_refused: dict[str, str] = {}


def install(instrument: Literal["auto"] | Iterable[str]) -> None:
    """Tap SDKs for one more app. With ``"auto"`` none is imported: what is not loaded is tapped when it is.

    :raises CaptureContractError: an SDK given by name is missing or does not look as expected.
    """
    wanted = _wanted(instrument)
    if wanted != "auto":
        for name in wanted:
            _require(name)
    names = _meant(wanted)
    with _lock:
        _users.update(names)
        _watcher.watch(_watched())
    for name in names:
        module = _loaded(name)
        if module is not None:
            _tap(name, module)


def uninstall(instrument: Literal["auto"] | Iterable[str]) -> None:
    """Undo one :func:`install`. The last one puts the SDKs' own methods back."""
    with _lock:
        for name in _meant(_wanted(instrument)):
            _users[name] = max(0, _users[name] - 1)
        _watcher.watch(_watched())
        idle = [name for name in _SDKS if not _users[name]]
    for name in idle:
        module = sys.modules.get(_SDKS[name].module)
        if module is not None:
            _SDKS[name].tap.unpatch(module)


def status(instrument: Literal["auto"] | tuple[str, ...] = "auto") -> list[SdkStatus]:
    """Every SDK that can be tapped, and how it stands with it; the HTTP packages where they are asked for.

    :param instrument: what one app asks for; another app of the process may have had more tapped.
    """
    meant = _meant(instrument)
    return [_status(name, name in meant) for name in _SDKS if name in meant or name not in HTTP_PACKAGES]


def _wanted(instrument: Literal["auto"] | Iterable[str]) -> Literal["auto"] | tuple[str, ...]:
    return "auto" if instrument == "auto" else tuple(instrument)


def _meant(wanted: Literal["auto"] | tuple[str, ...]) -> list[str]:
    """What of the table a value of ``LLM_COST_INSTRUMENT`` means."""
    return [name for name in _SDKS if asks_for(wanted, HTTP if name in HTTP_PACKAGES else name)]


def _status(name: str, asked_for: bool) -> SdkStatus:
    sdk = _SDKS[name]
    version = _version(name)
    module = sys.modules.get(sdk.module)
    state, reason = _state(name, version, module, asked_for)
    return SdkStatus(name, sdk.distribution, version, state, reason)


def _state(name: str, version: str | None, module: ModuleType | None, asked_for: bool) -> tuple[State, str]:
    sdk = _SDKS[name]
    if version is None and module is None:
        return "missing", f"{sdk.distribution} is not installed."
    if not (_users[name] and asked_for):
        return "off", f"LLM_COST_INSTRUMENT does not ask for {name}."
    if name in _refused:
        return "incompatible", f"{_refused[name]}; its calls are not recorded."
    if module is not None and sdk.tap.is_patched(module):
        return "active", sdk.seen
    return "waiting", "It will be tapped when the app imports it."


def _require(name: str) -> None:
    """Import an SDK that was asked for by name, and check it. No lock of ours is held: importing may take
    the import lock of a thread that waits for us.
    """
    if name == "auto":
        return
    if name == HTTP:
        _require_http()
        return
    try:
        module = importlib.import_module(_SDKS[name].module)
    except ImportError as error:
        raise CaptureContractError(
            f"LLM_COST_INSTRUMENT names {name!r}, which cannot be imported. Install it "
            f"(pip install 'flask-llm-cost[{name}]'), or take it out of the list."
        ) from error
    if problem := _SDKS[name].tap.broken_contract(module):
        raise CaptureContractError(
            f"LLM_COST_INSTRUMENT names {name!r}, whose version {_version(name)} cannot be tapped: "
            f"{problem}. Use a version that flask_llm_cost supports, or take it out of the list."
        )


def _require_http() -> None:
    """Check that there is an HTTP package. None is imported: an app uses some of those that are installed,
    and one that does not look as expected when it is imported is warned about.
    """
    if all(_version(name) is None for name in HTTP_PACKAGES):
        raise CaptureContractError(
            f"LLM_COST_INSTRUMENT names {HTTP!r}, and none of {', '.join(HTTP_PACKAGES)} is installed. "
            "Install the one that your code uses, or take it out of the list."
        )
    for name in HTTP_PACKAGES:
        module = _loaded(name)
        problem = _SDKS[name].tap.broken_contract(module) if module is not None else None
        if problem:
            raise CaptureContractError(
                f"LLM_COST_INSTRUMENT names {HTTP!r}, and {name} {_version(name)} cannot be tapped: "
                f"{problem}. Use a version that flask_llm_cost supports, or take it out of the list."
            )


def _loaded(name: str) -> ModuleType | None:
    """The SDK's base client if it is loaded; one that another thread is importing is waited for."""
    if _SDKS[name].module not in sys.modules:
        return None
    try:
        return importlib.import_module(_SDKS[name].module)
    except ImportError:
        return None  # that import failed; the watcher sees the next one


def _imported(module: ModuleType) -> None:
    for name, sdk in _SDKS.items():
        if sdk.module == module.__name__:
            _tap(name, module)


def _tap(name: str, module: ModuleType) -> None:
    """Patch a loaded SDK, or refuse it with one warning. Never raises: it runs inside the host's import."""
    sdk = _SDKS[name]
    try:
        problem = sdk.tap.broken_contract(module)
        if problem is None:
            _refused.pop(name, None)
            if _users[name]:
                sdk.tap.patch(name, module)
            return
    except Exception as error:
        problem = f"it could not be patched ({type(error).__name__})"
    if _refused.get(name) != problem:
        _refused[name] = problem
        log.warning(
            "%s %s cannot be tapped, its calls are not recorded: %s",
            sdk.distribution,
            _version(name) or "?",
            problem,
        )


def _watched() -> list[str]:
    return [_SDKS[name].module for name in _SDKS if _users[name]]


def _version(name: str) -> str | None:
    try:
        return metadata.version(_SDKS[name].distribution)
    except metadata.PackageNotFoundError:
        return None


_watcher = ImportWatcher(_imported)
