"""Files that google-genai downloads, such as the results of a batch, past its other requests."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from .google_exchange import Exchange
from .google_exchange import under_way

#: Not in every version of the SDK, which is tapped without them as well.
DOWNLOADS = ("download_file", "async_download_file")

Begin = Callable[[Any, tuple[Any, ...], dict[str, Any]], Exchange | None]


def reading_along(original: Callable[..., Any], begin: Begin) -> Any:
    """Read along what is returned whole; a file that goes to a destination of the host's is not seen."""
    return (_async_download if inspect.iscoroutinefunction(original) else _download)(original, begin)


def _begun(begin: Begin, client: Any, path: str, asked: Mapping[str, Any]) -> Exchange | None:
    if asked.get("destination") is not None:
        return None
    return begin(client, ("GET", path, {}, asked.get("http_options")), {})


def _download(original: Callable[..., Any], begin: Begin) -> Any:
    @functools.wraps(original)
    def download_file(self: Any, path: str, **asked: Any) -> Any:
        exchange = _begun(begin, self, path, asked)
        if exchange is None:
            return original(self, path, **asked)
        with under_way(exchange):
            body = original(self, path, **asked)
        exchange.returned(body)
        return body

    return download_file


def _async_download(original: Callable[..., Any], begin: Begin) -> Any:
    @functools.wraps(original)
    async def async_download_file(self: Any, path: str, **asked: Any) -> Any:
        exchange = _begun(begin, self, path, asked)
        if exchange is None:
            return await original(self, path, **asked)
        with under_way(exchange):
            body = await original(self, path, **asked)
        await exchange.returned_async(body)
        return body

    return async_download_file
