"""The tap of every session of aiohttp: ``ClientSession._request``, where all its methods meet, redirections
included.

An answer is read along where its bytes arrive, before any of the many ways in which a host can take them.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections import deque
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from ..errors import LLMCostError
from . import patches
from .call import CapturedCall
from .http_request import Answer
from .http_request import Sent
from .http_tap import PROCESS
from .http_tap import answered
from .http_tap import reading_along
from .http_tap import sending
from .readers import Reader
from .tee import Tee
from .unpacking import unpacked

_SESSION, _METHOD = "ClientSession", "_request"


def broken_contract(module: ModuleType) -> str | None:
    """What aiohttp lacks of what the tap relies on, or ``None``. Both names that it needs are private; the
    second one is tried out.
    """
    session = getattr(module, _SESSION, None)
    if not inspect.isclass(session):
        return f"{module.__name__} has no class {_SESSION}"
    function = vars(session).get(_METHOD)
    if not inspect.iscoroutinefunction(function):
        return f"{module.__name__}.{_SESSION}.{_METHOD} is no coroutine function of the class"
    if missing := patches.missing_parameters(function, ("method", "str_or_url")):
        return f"{module.__name__}.{_SESSION}.{_METHOD} takes no {', '.join(missing)}"
    return _broken_reader(module)


def _broken_reader(module: ModuleType) -> str | None:
    arrived: list[bytes] = []
    try:
        reader = module.StreamReader(object(), 2**16, loop=object())
        reader._buffer = _Arriving(reader._buffer, arrived.append)
        reader.feed_data(b"ping")
    except Exception as error:
        return f"{module.__name__}.StreamReader cannot be read along ({type(error).__name__})"
    return None if arrived == [b"ping"] else f"{module.__name__}.StreamReader keeps its bytes elsewhere"


def patch(sdk: str, module: ModuleType) -> None:
    """Tap the sessions of a module that keeps the contract. Doing it again changes nothing."""
    patches.put_on(getattr(module, _SESSION), (_METHOD,), _wrappers)


def unpatch(module: ModuleType) -> None:
    """Put the original method back; where another tool wrapped ours, ours stays and only passes on."""
    for session in patches.classes(module, [_SESSION]):
        patches.take_off(session)


def is_patched(module: ModuleType) -> bool:
    """Whether the requests of all sessions are seen."""
    return all(patches.is_on(session) for session in patches.classes(module, [_SESSION]))


def _wrappers(tap: patches.Tap) -> dict[str, Any]:
    original = tap.originals[_METHOD]

    @functools.wraps(original)
    async def _request(self: Any, method: str, str_or_url: Any, **kwargs: Any) -> Any:
        url = _whole(self, str_or_url)
        concerned = tap.active and PROCESS.concerns(method, url)
        call = PROCESS.open(_sent(method, url, kwargs)) if concerned else None
        if call is None:
            return await original(self, method, str_or_url, **kwargs)
        if (admission := call.admission) is not None:
            await admission.ask_off_loop()
        with sending(call):
            response = await original(self, method, str_or_url, **kwargs)
        unpacks = kwargs.get("auto_decompress")
        _read_along(call, response, getattr(self, "auto_decompress", True) if unpacks is None else unpacks)
        return response

    return {_METHOD: _request}


def _whole(session: Any, str_or_url: Any) -> str:
    try:
        url = str(str_or_url)
        return url if "://" in url else str(session._build_url(str_or_url))  # a session may have a base URL
    except Exception:
        return ""  # aiohttp is about to refuse it


def _sent(method: str, url: str, given: dict[str, Any]) -> Sent:
    body = given.get("json")
    return Sent(method, url, given.get("headers") or {}, given.get("data") if body is None else body)


def _read_along(call: CapturedCall, response: Any, unpacks: bool) -> None:
    content = response.content
    has_body = hasattr(content, "_buffer")  # the one reader that all answers without a body share has none
    answer = Answer(response.status, response.headers)
    reader = answered(call, answer, None if has_body else b"")
    if reader is None:
        return
    with reading_along(call):
        if not unpacks:
            reader = unpacked(reader, str(response.headers.get("content-encoding", "")))
        tee = _Tee(call, response, reader)
        tee.handed_over()
        tee.attach(content)


class _Arriving(deque[bytes]):
    """The bytes that arrived and that the host has not taken; ``see`` is shown each piece when it comes."""

    def __init__(self, arrived: Iterable[bytes], see: Any) -> None:
        super().__init__(arrived)
        self._see = see

    def append(self, piece: bytes) -> None:
        super().append(piece)
        self._see(piece)


class _Tee(Tee):
    """One answer of aiohttp. An exception that the host opted into is what its next reading raises."""

    def __init__(self, call: CapturedCall, response: Any, reader: Reader) -> None:
        super().__init__(call, response, reader, {"close": _tap_leaving, "release": _tap_leaving})

    def attach(self, content: Any) -> None:
        """Read along what has arrived, and what will."""
        arrived = content._buffer
        content._buffer = _Arriving(arrived, self._see)
        for piece in list(arrived):
            self._see(piece)
        content.on_eof(self._over)

    def why(self) -> BaseException | None:
        """The exception for which the host leaves the answer, if it is one of the connection's, or the end of
        its task.
        """
        response = self._response()
        seen: BaseException | None = response.content.exception() if response is not None else None
        if seen is not None:
            return seen
        error = sys.exc_info()[1]
        # An OSError may be the host's own: of the file that it writes the answer to.
        is_the_hosts = isinstance(error, Exception) and not _is_of_aiohttp(error)
        return None if is_the_hosts else error

    def left(self, error: BaseException | None) -> None:
        """The host closed the answer, for this reason."""
        if error is None or isinstance(error, GeneratorExit):
            self._close()
        else:
            self.fail(error)

    def _see(self, piece: bytes) -> None:
        self._tell(self.feed(piece))

    def _over(self) -> None:
        self._tell(self.end())

    def _tell(self, problem: LLMCostError | None) -> None:
        response = self._response()
        if problem is not None and response is not None:
            response.content.set_exception(problem)


def _is_of_aiohttp(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or type(error).__module__.partition(".")[0] == "aiohttp"


def _tap_leaving(tee: Any, leave: Any) -> Any:
    """``close`` or ``release``, which end the call too."""

    def tapped() -> Any:
        error = tee.why()  # leaving puts an exception of aiohttp's own there
        try:
            return leave()
        finally:
            tee.left(error)

    return tapped
