"""Which SDKs are tapped in this process: once for all apps, at once or when they are imported."""

from __future__ import annotations

import importlib
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Literal

from ..config import HTTP
from ..config import INSTRUMENTS
from ..config import asks_for
from ..counters import log
from ..errors import CaptureContractError
from .import_hook import ImportWatcher
from .integrations import BUILT_IN
from .integrations import HTTP_PACKAGES
from .integrations import Integration
from .integrations import integrations
from .synthetic import MadeUpCall

State = Literal["active", "waiting", "off", "missing", "incompatible"]


@dataclass(frozen=True, slots=True)
class SdkStatus:
    """How it stands with one SDK.

    :param distribution: what ``pip`` calls it.
    :param state: ``active`` (its calls are seen), ``waiting`` (they will be, once the app imports it),
        ``off`` (not asked for), ``missing`` (not installed) or ``incompatible``.
    :param reason: one sentence for people.
    :param made_up_call: how ``verify-capture`` calls it, if that is known.
    """

    sdk: str
    distribution: str
    version: str | None
    state: State
    reason: str
    made_up_call: MadeUpCall | None = None

    @property
    def is_http(self) -> bool:
        """Whether this is one of the packages that ``"http"`` stands for."""
        return self.sdk in HTTP_PACKAGES


_lock = threading.Lock()
_users: Counter[str] = Counter()
#: Why a loaded module is not tapped, by its name.
_refused: dict[str, str] = {}


def install(instrument: Literal["auto"] | Iterable[str]) -> None:
    """Tap SDKs for one more app. With ``"auto"`` none is imported: what is not loaded is tapped when it is.

    :raises CaptureContractError: an SDK given by name is missing or does not look as expected.
    """
    named = _named(instrument)
    for name in named:
        _require(name)
    names = _meant(named)
    with _lock:
        _users.update(names)
        _watcher.watch(_watched())
    for name in names:
        for path in _find(name).taps:
            module = _loaded(path)
            if module is not None:
                _tap(_find(name), module)


def uninstall(instrument: Literal["auto"] | Iterable[str]) -> None:
    """Undo one :func:`install`. The last one puts the SDKs' own methods back."""
    names = _meant(_named(instrument))
    with _lock:
        for name in names:
            _users[name] = max(0, _users[name] - 1)
        _watcher.watch(_watched())
        idle = [_find(name) for name in names if not _users[name]]
    for integration in idle:
        for path in integration.taps:
            if (module := sys.modules.get(path)) is not None:
                _untap(integration, module)


def status(instrument: Literal["auto"] | tuple[str, ...] = "auto") -> list[SdkStatus]:
    """Every SDK that can be tapped, and how it stands with it; the HTTP packages where they are asked for.

    :param instrument: what one app asks for; another app of the process may have had more tapped.
    """
    found, meant = integrations(), _meant(_named(instrument))
    known = [_status(each, each.name in meant) for each in found.known.values()]
    known += [_status(each, True) for name, each in HTTP_PACKAGES.items() if name in meant]
    left_out = [
        SdkStatus(name, distribution, _version(distribution), "incompatible", f"It is left out: {problem}.")
        for name, (distribution, problem) in found.broken.items()
        if asks_for(instrument, name)
    ]
    return known + left_out


def load(name: str) -> SdkStatus:
    """Import what is tapped of an SDK that is asked for, as far as it is there, and see how it stands then.

    Whatever an SDK raises on import is raised, if it is no :exc:`ImportError`.
    """
    for path in _find(name).taps:
        _imported_or_none(path)
    return _status(_find(name), True)


def _named(instrument: Literal["auto"] | Iterable[str]) -> tuple[str, ...]:
    return ("auto",) if instrument == "auto" else tuple(instrument)


def _meant(named: tuple[str, ...]) -> tuple[str, ...]:
    """What of the tables the names of ``LLM_COST_INSTRUMENT`` mean."""
    several = {"auto": integrations().known if "auto" in named else (), HTTP: HTTP_PACKAGES}
    return tuple(dict.fromkeys(meant for name in named for meant in several.get(name, (name,))))


def _find(name: str) -> Integration:
    if name in HTTP_PACKAGES:
        return HTTP_PACKAGES[name]
    return (BUILT_IN if name in BUILT_IN.known else integrations()).known[name]


def _status(integration: Integration, asked_for: bool) -> SdkStatus:
    version = _version(integration.distribution)
    state, reason = _state(integration, version, asked_for)
    call = integration.made_up_call
    return SdkStatus(integration.name, integration.distribution, version, state, reason, call)


def _state(integration: Integration, version: str | None, asked_for: bool) -> tuple[State, str]:
    loaded = {path: module for path in integration.taps if (module := sys.modules.get(path)) is not None}
    if version is None and not loaded:
        return "missing", f"{integration.distribution} is not installed."
    if not (_users[integration.name] and asked_for):
        return "off", f"LLM_COST_INSTRUMENT does not ask for {integration.name}."
    for path in integration.taps:
        if path in _refused:
            return "incompatible", f"{_refused[path]}; its calls are not recorded."
    patched = [path for path, module in loaded.items() if _is_tapped(integration, module)]
    if patched:
        return "active", f"{integration.seen} Tapped: {', '.join(patched)}."
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
    found = BUILT_IN if name in BUILT_IN.known else integrations()
    if name not in found.known:
        _, problem = found.broken.get(name, ("", "no installed package brings it"))
        raise CaptureContractError(
            f"LLM_COST_INSTRUMENT names {name!r}, which cannot be used: {problem}. Mend or remove the "
            "package that brings it, or take it out of the list."
        )
    integration = found.known[name]
    if broken := _problem(integration, _first_module(integration)):
        raise CaptureContractError(
            f"LLM_COST_INSTRUMENT names {name!r}, whose version {_version(integration.distribution)} cannot "
            f"be tapped: {broken}. Use a version that flask_llm_cost supports, or take it out of the list."
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
    for name, integration in HTTP_PACKAGES.items():
        module = _loaded(name)
        problem = _problem(integration, module) if module is not None else None
        if problem:
            raise CaptureContractError(
                f"LLM_COST_INSTRUMENT names {HTTP!r}, and {name} {_version(name)} cannot be tapped: "
                f"{problem}. Use a version that flask_llm_cost supports, or take it out of the list."
            )


def _first_module(integration: Integration) -> ModuleType:
    failed: ImportError | None = None
    for path in integration.taps:
        try:
            return importlib.import_module(path)
        except ImportError as error:
            failed = failed or error
    name = integration.name
    wanted = f"'flask-llm-cost[{name}]'" if name in INSTRUMENTS else integration.distribution
    raise CaptureContractError(
        f"LLM_COST_INSTRUMENT names {name!r}, which cannot be imported. Install it "
        f"(pip install {wanted}), or take it out of the list."
    ) from failed


def _imported_or_none(path: str) -> ModuleType | None:
    try:
        return importlib.import_module(path)
    except ImportError:
        return None


def _loaded(path: str) -> ModuleType | None:
    """A module if it is loaded; one that another thread is importing is waited for."""
    # An import that failed is none: the watcher sees the next one.
    return _imported_or_none(path) if path in sys.modules else None


def _imported(module: ModuleType) -> None:
    for name in list(_users):
        integration = _find(name)
        if module.__name__ in integration.taps:
            _tap(integration, module)


def _tap(integration: Integration, module: ModuleType) -> None:
    """Patch a loaded SDK, or refuse it with one warning. Never raises: it runs inside the host's import."""
    path = module.__name__
    problem = _problem(integration, module)
    if problem is None and _users[integration.name]:
        try:
            integration.taps[path].patch(integration.name, module)
        except Exception as error:
            problem = f"{path} could not be patched ({type(error).__name__})"
    if problem is None:
        _refused.pop(path, None)
    elif _refused.get(path) != problem:
        _refused[path] = problem
        log.warning(
            "%s %s cannot be tapped, its calls are not recorded: %s",
            integration.distribution,
            _version(integration.distribution) or "?",
            problem,
        )


def _untap(integration: Integration, module: ModuleType) -> None:
    try:
        integration.taps[module.__name__].unpatch(module)
    except Exception as error:
        log.warning("%s could not be left as it was (%s)", module.__name__, type(error).__name__)


def _is_tapped(integration: Integration, module: ModuleType) -> bool:
    try:
        return integration.taps[module.__name__].is_patched(module)
    except Exception as error:
        log.warning("%s cannot tell whether it is tapped (%s)", module.__name__, type(error).__name__)
        return False


def _problem(integration: Integration, module: ModuleType) -> str | None:
    """How a module breaks the contract of its tap."""
    try:
        return integration.taps[module.__name__].broken_contract(module)
    except Exception as error:
        return f"{module.__name__} could not be checked ({type(error).__name__})"


def _watched() -> list[str]:
    return [path for name, users in _users.items() if users for path in _find(name).taps]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


_watcher = ImportWatcher(_imported)
