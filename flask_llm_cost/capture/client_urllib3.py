"""The tap of every pool of urllib3, through which requests and boto3 send too: ``urlopen`` of its connection
pools, and the reading methods of the responses that matter.

urllib3 retries inside ``urlopen``, so here a call knows its attempts.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from . import patches
from .call import CapturedCall
from .http_request import Answer
from .http_request import Sent
from .http_tap import PROCESS
from .http_tap import answered
from .http_tap import reading_along
from .http_tap import sending
from .mute import ours
from .readers import Reader
from .tee import Tee
from .tee import tap_reading
from .unpacking import unpacked

_POOL, _METHOD = "HTTPConnectionPool", "urlopen"
_PARAMETERS = ("method", "url", "body", "headers")
_RESPONSE, _READING = "HTTPResponse", ("read", "read_chunked", "stream", "close")
_TEE = "_llm_cost_tee"


def broken_contract(module: ModuleType) -> str | None:
    """What urllib3 lacks of what the tap relies on, or ``None``."""
    pool, response = (getattr(module, name, None) for name in (_POOL, _RESPONSE))
    if not inspect.isclass(pool) or not inspect.isclass(response):
        return f"{module.__name__} has no class {_POOL}, or no {_RESPONSE}"
    function = vars(pool).get(_METHOD)
    if not callable(function):
        return f"{module.__name__}.{_POOL}.{_METHOD} is no method of the class"
    if missing := patches.missing_parameters(function, _PARAMETERS):
        return f"{module.__name__}.{_POOL}.{_METHOD} takes no {', '.join(missing)}"
    lacking = [name for name in _READING if not callable(vars(response).get(name))]
    return f"{module.__name__}.{_RESPONSE} has no {', '.join(lacking)}" if lacking else None


def patch(sdk: str, module: ModuleType) -> None:
    """Tap pools and responses of a module that keeps the contract. Doing it again changes nothing."""
    response = getattr(module, _RESPONSE)
    newer = ("read1",) if "read1" in vars(response) else ()  # urllib3 1.26 has none
    patches.put_on(response, (*_READING, *newer), _reading)
    patches.put_on(getattr(module, _POOL), (_METHOD,), _wrappers)


def unpatch(module: ModuleType) -> None:
    """Put the original methods back; where another tool wrapped ours, ours stays and only passes on."""
    for cls in patches.classes(module, (_POOL, _RESPONSE)):
        patches.take_off(cls)


def is_patched(module: ModuleType) -> bool:
    """Whether the requests of all pools are seen, and their answers."""
    return all(patches.is_on(cls) for cls in patches.classes(module, (_POOL, _RESPONSE)))


def _wrappers(tap: patches.Tap) -> dict[str, Any]:
    original = tap.originals[_METHOD]
    names = [name for name in inspect.signature(original).parameters if name != "self"]

    @functools.wraps(original)
    def urlopen(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        if not (tap.active and PROCESS.concerns(method, whole := _whole(self, url))):
            return original(self, method, url, *args, **kwargs)
        given = {**dict(zip(names[2:], args, strict=False)), **kwargs}
        call = PROCESS.open(Sent(method, whole, given.get("headers") or self.headers, given.get("body")))
        if call is None:
            return original(self, method, url, *args, **kwargs)
        if (admission := call.admission) is not None:
            admission.ask()
        with sending(call):  # a retry comes back here
            response = original(self, method, url, *args, **kwargs)
        _read_along(call, response, is_read=given.get("preload_content", True))
        return response

    return {_METHOD: urlopen}


def _whole(pool: Any, url: str) -> str:
    if "://" in url:  # a proxy for plain HTTP is sent the whole of it
        return url
    return (
        f"{pool.scheme}://{pool.host}:{pool.port}{url}" if pool.port else f"{pool.scheme}://{pool.host}{url}"
    )


def _read_along(call: CapturedCall, response: Any, *, is_read: bool) -> None:
    answer = Answer(response.status, response.headers)
    reader = answered(call, answer, response.data if is_read else None, retries_taken=_retries(response))
    if reader is None:
        return
    with reading_along(call):
        _Tee(call, response, reader).handed_over()


def _retries(response: Any) -> int:
    history = getattr(response.retries, "history", ())
    return sum(not attempt.redirect_location for attempt in history)


class _Tee(Tee):
    """One unread response of urllib3. What a host reads is unpacked, or not, as it says when it reads.

    Its methods are tapped on the class, because a tap on the response would make a cycle of it, and urllib3
    closes one that is dropped at once.
    """

    def __init__(self, call: CapturedCall, response: Any, reader: Reader) -> None:
        super().__init__(call, response, reader, {})
        self._encoding = str(response.headers.get("content-encoding", ""))
        self._unpacks: bool = response.decode_content
        self._is_first = True
        setattr(response, _TEE, self)

    def detach(self) -> None:
        super().detach()
        if (response := self._response()) is not None:
            vars(response).pop(_TEE, None)

    def begin_reading(self, decode_content: bool | None) -> None:
        """The host reads, and has the answer unpacked or not; it cannot change its mind."""
        if not self._is_first:
            return
        self._is_first = False
        if not (self._unpacks if decode_content is None else decode_content):
            with ours(self.runtime.counters, "An answer could not be unpacked", silent=True):
                self.reader = unpacked(self.reader, self._encoding)

    def is_over(self, amount: int | None, chunk: bytes, *, reads_all: bool) -> bool:
        """Whether nothing follows this chunk, of which so many bytes were asked for."""
        if amount is None or amount < 0:
            return reads_all or not chunk
        if amount and not chunk:
            return True
        response = self._response()
        return not self._encoding and response is not None and response.length_remaining == 0


def _reading(tap: patches.Tap) -> dict[str, Any]:
    made: dict[str, Any] = {
        "read": functools.partial(_tap_read, reads_all=True),
        "read1": functools.partial(_tap_read, reads_all=False),
        "read_chunked": _tap_chunks,
        "stream": _tap_stream,
        "close": _tap_close,
    }
    return {name: make(tap.originals[name]) for name, make in made.items() if name in tap.originals}


def _tap_read(original: Any, *, reads_all: bool) -> Any:
    @functools.wraps(original)
    def read(
        self: Any, amt: int | None = None, decode_content: bool | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        tee = vars(self).get(_TEE)
        if tee is None:
            return original(self, amt, decode_content, *args, **kwargs)
        tee.begin_reading(decode_content)
        tee._reading = True
        try:
            chunk = original(self, amt, decode_content, *args, **kwargs)
        except BaseException as error:
            tee.fail(error)
            raise
        finally:
            tee._reading = False
        problem = tee.feed(chunk)
        if problem is None and tee.is_over(amt, chunk, reads_all=reads_all):
            problem = tee.end()
        if problem is not None:
            raise problem
        return chunk

    return read


def _tap_chunks(original: Any) -> Any:
    @functools.wraps(original)
    def read_chunked(
        self: Any, amt: int | None = None, decode_content: bool | None = None
    ) -> Iterator[bytes]:
        tee = vars(self).get(_TEE)
        chunks: Iterator[bytes] = original(self, amt, decode_content)
        if tee is None:
            return chunks
        tee.begin_reading(bool(decode_content))  # here alone nothing said is no
        read: Iterator[bytes] = tap_reading(tee, lambda: chunks)()
        return read

    return read_chunked


def _tap_stream(original: Any) -> Any:
    """What it reads goes through the others; only they do not see the end of an answer of a known length."""

    @functools.wraps(original)
    def stream(self: Any, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        tee = vars(self).get(_TEE)
        yield from original(self, *args, **kwargs)
        if tee is not None and (problem := tee.end()) is not None:
            raise problem

    return stream


def _tap_close(original: Any) -> Any:
    @functools.wraps(original)
    def close(self: Any) -> None:
        tee = vars(self).get(_TEE)
        try:
            original(self)
        finally:
            if tee is not None:
                tee._close()

    return close
