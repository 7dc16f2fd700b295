"""Methods of SDK classes that are replaced by wrappers of ours, put on once and taken off without a trace."""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from types import ModuleType
from typing import Any

_lock = threading.Lock()


@dataclass
class Tap:
    """The patch of one class. ``active`` is false after an uninstall that could not take it off."""

    originals: Mapping[str, Any]
    wrappers: Mapping[str, Any] = field(default_factory=dict)
    active: bool = True


#: Makes a tap's wrappers of its originals, by the names of the methods.
Wrap = Callable[[Tap], Mapping[str, Any]]

_taps: weakref.WeakKeyDictionary[type, Tap] = weakref.WeakKeyDictionary()


def classes(module: ModuleType, names: Iterable[str]) -> list[type]:
    """Those of a module's names that are classes."""
    found = (getattr(module, name, None) for name in names)
    return [cls for cls in found if isinstance(cls, type)]


def missing_parameters(
    function: Callable[..., Any], names: Iterable[str], *, by_name: bool = False
) -> list[str]:
    """Those of the names that a function does not take; none where it takes anything, as wrappers of other
    tools do to pass it on.

    :param by_name: whether they are given by their names; else by their places.
    """
    parameters = inspect.signature(function).parameters
    anything = inspect.Parameter.VAR_KEYWORD if by_name else inspect.Parameter.VAR_POSITIONAL
    if any(parameter.kind is anything for parameter in parameters.values()):
        return []
    return [name for name in names if name not in parameters]


def put_on(cls: type, names: tuple[str, ...], wrap: Wrap) -> None:
    """Replace these methods of a class. Doing it again changes nothing."""
    with _lock:
        tap = _taps.get(cls)
        if tap is None:
            _taps[cls] = _patched(cls, names, wrap)
        else:
            tap.active = True


def take_off(cls: type) -> None:
    """Put the original methods back; where another tool wrapped ours, ours stays and only passes on."""
    with _lock:
        tap = _taps.get(cls)
        if tap is None:
            return
        tap.active = False
        if all(vars(cls).get(name) is wrapper for name, wrapper in tap.wrappers.items()):
            for name, original in tap.originals.items():
                setattr(cls, name, original)
            del _taps[cls]


def is_on(cls: type) -> bool:
    """Whether the wrappers of a class are there and record."""
    return cls in _taps and _taps[cls].active


def _patched(cls: type, names: tuple[str, ...], wrap: Wrap) -> Tap:
    tap = Tap({name: vars(cls)[name] for name in names})
    tap.wrappers = wrap(tap)
    for name, wrapper in tap.wrappers.items():
        wrapper.llm_cost_tap = True
        setattr(cls, name, wrapper)
    return tap
