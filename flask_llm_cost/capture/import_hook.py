"""Be told when a module has been imported, without importing it and without being in its way."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Imported = Callable[[ModuleType], None]


class ImportWatcher(MetaPathFinder):
    """Calls ``imported(module)`` after each import (or reload) of the watched modules.

    ``imported`` must not raise. It runs in the importing thread, which holds that module's import lock.
    """

    def __init__(self, imported: Imported) -> None:
        self._imported = imported
        self._watched: frozenset[str] = frozenset()

    def watch(self, names: Sequence[str]) -> None:
        """Watch exactly these modules from now on; none takes the watcher off the import path."""
        self._watched = frozenset(names)
        if names and self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        if not names and self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with a loader that tells us; ``None`` for other modules."""
        if fullname not in self._watched:
            return None
        spec = self._find_elsewhere(fullname, path, target)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _TellingLoader(spec.loader, self._imported)
        return spec

    def _find_elsewhere(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            find_spec = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec(fullname, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None


class _TellingLoader(Loader):
    """Stands before a module's own loader until the module runs; then that one is back in its place."""

    def __init__(self, inner: Any, imported: Imported) -> None:
        self._inner = inner
        self._imported = imported

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        create = getattr(self._inner, "create_module", None)
        module: ModuleType | None = create(spec) if create else None
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None and module.__spec__.loader is self:
            module.__spec__.loader = self._inner
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._inner
        self._inner.exec_module(module)
        self._imported(module)

    def __getattr__(self, name: str) -> Any:
        # Tools that look a module up without running it (inspect, pkgutil) ask the loader for more.
        return getattr(self._inner, name)
