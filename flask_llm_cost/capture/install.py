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

from ..config import INSTRUMENTS
from ..errors import CaptureContractError
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


_SDKS: Mapping[str, _Sdk] = {
    "openai": _Sdk("openai._base_client", "openai", sdk_stainless),
    "anthropic": _Sdk("anthropic._base_client", "anthropic", sdk_stainless),
    "google": _Sdk("google.genai._api_client", "google-genai", sdk_google),
}

_lock = threading.Lock()
_users: Counter[str] = Counter()
_refused: dict[str, str] = {}


def install(instrument: Literal["auto"] | Iterable[str]) -> None:
    """Tap SDKs for one more app. With ``"auto"`` none is imported: what is not loaded is tapped when it is.

    :raises CaptureContractError: an SDK given by name is missing or does not look as expected.
    """
    names = INSTRUMENTS if instrument == "auto" else tuple(instrument)
    if instrument != "auto":
        for name in names:
            _require(name)
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
        for name in INSTRUMENTS if instrument == "auto" else tuple(instrument):
            _users[name] = max(0, _users[name] - 1)
        _watcher.watch(_watched())
        idle = [name for name in INSTRUMENTS if not _users[name]]
    for name in idle:
        module = sys.modules.get(_SDKS[name].module)
        if module is not None:
            _SDKS[name].tap.unpatch(module)


def status(instrument: Literal["auto"] | tuple[str, ...] = "auto") -> list[SdkStatus]:
    """Every SDK that can be tapped, and how it stands with it.

    :param instrument: what one app asks for; another app of the process may have had more tapped.
    """
    return [_status(name, instrument == "auto" or name in instrument) for name in INSTRUMENTS]


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
        return "active", "Every call of its clients is seen."
    return "waiting", "It will be tapped when the app imports it."


def _require(name: str) -> None:
    """Import an SDK that was asked for by name, and check it. No lock of ours is held: importing may take
    the import lock of a thread that waits for us.
    """
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
    return [_SDKS[name].module for name in INSTRUMENTS if _users[name]]


def _version(name: str) -> str | None:
    try:
        return metadata.version(_SDKS[name].distribution)
    except metadata.PackageNotFoundError:
        return None


_watcher = ImportWatcher(_imported)
