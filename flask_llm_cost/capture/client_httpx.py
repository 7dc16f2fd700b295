"""The tap of every client of httpx and httpx2: their two transports that go out to the network.

Whatever a client does above them, redirects, authentication, event hooks, caches, retries, mounts and
proxies, ends there, and what a mock or a cache answers itself does not.
"""

from __future__ import annotations

import functools
import inspect
from types import ModuleType
from typing import Any

from . import patches
from .http_tap import PROCESS
from .transport import send
from .transport import send_async

_METHODS = {"HTTPTransport": "handle_request", "AsyncHTTPTransport": "handle_async_request"}


def broken_contract(module: ModuleType) -> str | None:
    """What an HTTP package lacks of what the tap relies on, or ``None``."""
    for name, method in _METHODS.items():
        transport = getattr(module, name, None)
        if not inspect.isclass(transport):
            return f"{module.__name__} has no class {name}"
        function = vars(transport).get(method)
        if not callable(function):
            return f"{module.__name__}.{name}.{method} is no method of the class"
        if inspect.iscoroutinefunction(function) != name.startswith("Async"):
            return f"{module.__name__}.{name}.{method} is a coroutine function, or none, against expectation"
    return None


def patch(sdk: str, module: ModuleType) -> None:
    """Tap both transports of a module that keeps the contract. Doing it again changes nothing."""
    for name, method in _METHODS.items():
        patches.put_on(getattr(module, name), (method,), functools.partial(_wrappers, method))


def unpatch(module: ModuleType) -> None:
    """Put the original methods back; where another tool wrapped ours, ours stays and only passes on."""
    for transport in patches.classes(module, _METHODS):
        patches.take_off(transport)


def is_patched(module: ModuleType) -> bool:
    """Whether requests through both transports are seen."""
    return all(patches.is_on(transport) for transport in patches.classes(module, _METHODS))


def _wrappers(method: str, tap: patches.Tap) -> dict[str, Any]:
    original = tap.originals[method]
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def handle_async_request(self: Any, request: Any) -> Any:
            if not tap.active:
                return await original(self, request)
            return await send_async(PROCESS, functools.partial(original, self), request)

        return {method: handle_async_request}

    @functools.wraps(original)
    def handle_request(self: Any, request: Any) -> Any:
        if not tap.active:
            return original(self, request)
        return send(PROCESS, functools.partial(original, self), request)

    return {method: handle_request}
