"""The tap of google-genai: the four methods of its API client that send requests.

Models, chats, caches and the rest end there, whatever HTTP package is beneath (httpx, httpx2, requests or
aiohttp). Each round of a chat or of automatic function calling is one request, and one call.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import AsyncIterator
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from . import patches
from .asked import Asked
from .asked import joined
from .call import begin_call
from .google_download import DOWNLOADS
from .google_download import reading_along
from .google_exchange import Exchange
from .google_exchange import count_attempt
from .google_exchange import under_way

CLIENT = "BaseApiClient"
_METHODS = ("request", "async_request", "request_streamed", "async_request_streamed")
_PARAMETERS = ("http_method", "path", "request_dict", "http_options")
#: One attempt of a request. They are private and only counted, so an SDK without them is tapped as well.
_ATTEMPTS = ("_request_once", "_async_request_once")


def broken_contract(module: ModuleType) -> str | None:
    """What google-genai's ``_api_client`` lacks of what the tap relies on, or ``None``."""
    client = getattr(module, CLIENT, None)
    if not inspect.isclass(client):
        return f"{module.__name__} has no class {CLIENT}"
    for name in _METHODS:
        if problem := _broken_method(client, name):
            return f"{module.__name__}.{CLIENT}.{name} {problem}"
    return None


def _broken_method(client: type, name: str) -> str | None:
    function = vars(client).get(name)
    if not callable(function):
        return "is no method of the class"
    if inspect.iscoroutinefunction(function) != name.startswith("async_"):
        return "is a coroutine function where none is expected, or none where one is"
    parameters = inspect.signature(function).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    missing = [parameter for parameter in _PARAMETERS if parameter not in parameters]
    # Another tool's wrapper may take anything and pass it on.
    if missing and inspect.Parameter.VAR_KEYWORD not in kinds:
        return f"takes no {', '.join(missing)}"
    return None


def patch(sdk: str, module: ModuleType) -> None:
    """Tap the API client of a module that keeps the contract. Doing it again changes nothing."""
    client = getattr(module, CLIENT)
    further = tuple(name for name in (*_ATTEMPTS, *DOWNLOADS) if callable(vars(client).get(name)))
    patches.put_on(client, (*_METHODS, *further), functools.partial(_wrappers, sdk))


def unpatch(module: ModuleType) -> None:
    """Put the original methods back; where another tool wrapped ours, ours stays and only passes on."""
    client = getattr(module, CLIENT, None)
    if inspect.isclass(client):
        patches.take_off(client)


def is_patched(module: ModuleType) -> bool:
    """Whether the client's calls are seen."""
    client = getattr(module, CLIENT, None)
    return inspect.isclass(client) and patches.is_on(client)


def _wrappers(sdk: str, tap: patches.Tap) -> dict[str, Any]:
    made = {
        "request": _request,
        "async_request": _async_request,
        "request_streamed": _request_streamed,
        "async_request_streamed": _async_request_streamed,
    }
    wrappers = {
        name: make(tap.originals[name], functools.partial(_begin, sdk, tap, "streamed" in name))
        for name, make in made.items()
    }
    counting = {name: _counting(tap.originals[name]) for name in _ATTEMPTS if name in tap.originals}
    begin = functools.partial(_begin, sdk, tap, False)
    reading = {name: reading_along(tap.originals[name], begin) for name in DOWNLOADS if name in tap.originals}
    return {**wrappers, **counting, **reading}


Begin = Callable[[Any, tuple[Any, ...], dict[str, Any]], Exchange | None]


def _begin(
    sdk: str, tap: patches.Tap, streamed: bool, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Exchange | None:
    if not tap.active:
        return None
    given = {**dict(zip(_PARAMETERS, args, strict=False)), **kwargs}
    call = begin_call(sdk, _asked, client, given, streamed)
    return Exchange(call) if call is not None else None


def _asked(client: Any, given: Mapping[str, Any], streamed: bool) -> Asked:
    options = given.get("http_options")
    base = urlsplit(str(_option(options, "base_url") or client._http_options.base_url))
    body = given["request_dict"]
    extra = _option(options, "extra_body") or client._http_options.extra_body
    return Asked(
        method=str(given["http_method"]),
        host=base.netloc,
        path=joined(base.path, str(given["path"])),
        body={**body, **extra} if isinstance(extra, Mapping) else body,
        streamed=streamed,
        provider="vertex" if client.vertexai else None,
    )


def _option(options: Any, name: str) -> Any:
    return options.get(name) if isinstance(options, Mapping) else getattr(options, name, None)


def _request(original: Callable[..., Any], begin: Begin) -> Any:
    @functools.wraps(original)
    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = begin(self, args, kwargs)
        if exchange is None:
            return original(self, *args, **kwargs)
        if (admission := exchange.admission) is not None:
            admission.ask()
        with under_way(exchange):
            response = original(self, *args, **kwargs)
        exchange.returned(response)
        return response

    return request


def _async_request(original: Callable[..., Any], begin: Begin) -> Any:
    @functools.wraps(original)
    async def async_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = begin(self, args, kwargs)
        if exchange is None:
            return await original(self, *args, **kwargs)
        if (admission := exchange.admission) is not None:
            await admission.ask_off_loop()
        with under_way(exchange):
            response = await original(self, *args, **kwargs)
        await exchange.returned_async(response)
        return response

    return async_request


def _request_streamed(original: Callable[..., Any], begin: Begin) -> Any:
    @functools.wraps(original)
    def request_streamed(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        # The SDK sends the request when the first chunk is asked for, and so the call begins there.
        exchange = begin(self, args, kwargs)
        if exchange is not None and (admission := exchange.admission) is not None:
            admission.ask()
        chunks = original(self, *args, **kwargs)
        if exchange is None:
            yield from chunks
            return
        try:
            while True:
                try:
                    with under_way(exchange):
                        chunk = next(chunks)
                except StopIteration:
                    break
                problem = exchange.feed(chunk)
                yield chunk
                if problem is not None:
                    raise problem
            if (problem := exchange.ended()) is not None:
                raise problem
        finally:
            exchange.left()

    return request_streamed


def _async_request_streamed(original: Callable[..., Any], begin: Begin) -> Any:
    @functools.wraps(original)
    async def async_request_streamed(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = begin(self, args, kwargs)
        if exchange is None:
            return await original(self, *args, **kwargs)
        if (admission := exchange.admission) is not None:
            await admission.ask_off_loop()
        with under_way(exchange):
            chunks = await original(self, *args, **kwargs)
        exchange.opened()
        answer = _read_along(exchange, chunks)
        # The request is sent: a stream that is never begun is a call too.
        weakref.finalize(answer, exchange.left).atexit = False
        return answer

    return async_request_streamed


async def _read_along(exchange: Exchange, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
    try:
        while True:
            try:
                chunk = await anext(chunks)
            except StopAsyncIteration:
                break
            except BaseException as error:
                exchange.raised(error)
                raise
            problem = exchange.feed(chunk)
            yield chunk
            if problem is not None:
                raise problem
        if (problem := exchange.ended()) is not None:
            raise problem
    finally:
        exchange.left()


def _counting(original: Callable[..., Any]) -> Any:
    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def _async_request_once(*args: Any, **kwargs: Any) -> Any:
            count_attempt()
            return await original(*args, **kwargs)

        return _async_request_once

    @functools.wraps(original)
    def _request_once(*args: Any, **kwargs: Any) -> Any:
        count_attempt()
        return original(*args, **kwargs)

    return _request_once
