"""``tracker.wrap``: a method of a client that no tap knows, recorded each time it is called."""

from __future__ import annotations

import difflib
import functools
import inspect
import time
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import TypeVar

from ..context import with_tags
from ..counters import log_failure
from ..errors import LLMCostError
from ..events import Observation
from ..events import OpenCall
from ..events import Operation
from ..events import Status
from ..runtime import Runtime
from ..usage import Usage
from .manual import USAGE_KEYWORDS
from .manual import ToldCall
from .manual import check_keywords
from .mute import covered
from .mute import ours

C = TypeVar("C")
#: What a call used, told from its answer: whole, by the names of ``track``, or not at all.
UsageOf = Callable[[Any], Usage | Mapping[str, Any] | None]
ModelOf = str | Callable[..., str | None] | None

_MARK = "_llm_cost_wraps"
_WHAT = "A wrapped call could not be recorded"
#: Besides what was used, an answer may tell these.
_ANSWERED = (*USAGE_KEYWORDS, "model", "cost", "pricing_mode", "provider_response_id", "details")


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What is known of every call of a wrapped method.

    :param runtime: finds the app that a call belongs to.
    """

    runtime: Callable[[], Runtime | None]
    provider: str
    model: ModelOf
    usage: UsageOf | None
    operation: Operation | None
    tags: Mapping[str, object]


def wrap(client: C, method: str, wrapping: Wrapping) -> C:
    """Have each call of ``client.method`` recorded, and return the client. Doing so twice is fine.

    :raises TypeError: there is no such method, or it cannot be replaced.
    """
    owner, name = _owner(client, method)
    original = getattr(owner, name, None)
    if not callable(original):
        raise TypeError(_no_method(client, method, owner, name))
    if getattr(original, _MARK, False):
        return client
    ToldCall.read("wrap", wrapping.provider, "m", _named(wrapping))  # what is wrong shows now, not in a call
    replacement = _asynchronous(original, wrapping) if _is_async(original) else _plain(original, wrapping)
    setattr(replacement, _MARK, True)
    try:
        setattr(owner, name, replacement)
    except (AttributeError, TypeError) as error:
        raise TypeError(
            f"{type(owner).__name__}.{name} cannot be replaced: record its calls with track() instead."
        ) from error
    found, _ = _owner(client, method)
    if getattr(getattr(found, name), _MARK, False) is not True:
        path = method.rpartition(".")[0]
        raise TypeError(f"{path!r} is another object each time it is asked for: wrap that object itself.")
    return client


def _plain(original: Callable[..., Any], wrapping: Wrapping) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **keywords: Any) -> Any:
        watched = _Watched.begin(wrapping, args, keywords)
        if watched is None:
            return original(*args, **keywords)
        try:
            with covered(whole=True):
                answer = original(*args, **keywords)
        except BaseException as error:
            watched.failed(error)
            raise
        if inspect.isawaitable(answer):
            return _awaited(answer, watched)
        watched.answered(answer)
        return answer

    return call


def _asynchronous(original: Callable[..., Any], wrapping: Wrapping) -> Callable[..., Any]:
    @functools.wraps(original)
    async def call(*args: Any, **keywords: Any) -> Any:
        watched = _Watched.begin(wrapping, args, keywords)
        awaitable = original(*args, **keywords)
        return await (awaitable if watched is None else _awaited(awaitable, watched))

    return call


async def _awaited(awaitable: Awaitable[Any], watched: _Watched) -> Any:
    try:
        with covered(whole=True):
            answer = await awaitable
    except BaseException as error:
        watched.failed(error)
        raise
    watched.answered(answer)
    return answer


class _Watched:
    """One call under way."""

    def __init__(self, wrapping: Wrapping, runtime: Runtime, opened: OpenCall, model: str | None) -> None:
        self._wrapping = wrapping
        self._runtime = runtime
        self._opened = opened
        self._model = model

    @classmethod
    def begin(cls, wrapping: Wrapping, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> _Watched | None:
        """Open a call with the tags of this moment; ``None`` where it is not recorded.

        :raises LLMCostError: the host opted into an exception.
        """
        runtime = wrapping.runtime()
        if runtime is None:
            return None
        with ours(runtime.counters, _WHAT):
            model = _model_of(wrapping.model, args, keywords)
            told = ToldCall.read("wrap", wrapping.provider, model or "unknown", _named(wrapping))
            with with_tags(wrapping.tags):
                opened = runtime.recorder.begin(told.start._replace(requested_model=model))
            return cls(wrapping, runtime, opened, model)
        return None

    def answered(self, answer: Any) -> None:
        """Record the call. :raises LLMCostError: the host opted into an exception."""
        with ours(self._runtime.counters, _WHAT):
            told = self._told(self._used(answer))
            self._record(told, told.observation)

    def failed(self, error: BaseException) -> None:
        """Record that it ended so. Nothing is raised: the host's own exception is on its way."""
        with ours(self._runtime.counters, _WHAT, silent=True):
            status: Status = "error" if isinstance(error, Exception) else "aborted"
            told = self._told({})
            kind = type(error).__name__
            self._record(told, replace(told.observation, status=status, error_type=kind))

    def _used(self, answer: Any) -> Mapping[str, Any]:
        """What the host's ``usage`` tells of an answer; nothing where it fails, which is its own bug."""
        if self._wrapping.usage is None:
            return {}
        try:
            found = self._wrapping.usage(answer)
            if found is None:
                return {}
            told = {"usage": found} if isinstance(found, Usage) else dict(found)
            check_keywords("usage", told, _ANSWERED)
            self._told(told)
        except LLMCostError:
            raise
        except Exception as error:
            what = "usage= of a wrapped method could not be read: the call is recorded without it"
            log_failure(self._runtime.counters, "usage_errors", what, error)
            return {}
        return told

    def _told(self, used: Mapping[str, Any]) -> ToldCall:
        rest = {name: value for name, value in used.items() if name != "model"}
        model = used.get("model") or self._model or "unknown"
        return ToldCall.read("usage", self._wrapping.provider, model, {**_named(self._wrapping), **rest})

    def _record(self, told: ToldCall, observation: Observation) -> None:
        elapsed = (time.monotonic_ns() - self._opened.started_ns) // 1_000_000
        observation = replace(observation, latency_ms=elapsed)
        recorder = self._runtime.recorder
        recorder.record(recorder.finish(self._opened, observation, cost=told.cost, details=told.details))


def _named(wrapping: Wrapping) -> dict[str, Any]:
    return {} if wrapping.operation is None else {"operation": wrapping.operation}


def _model_of(model: ModelOf, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> str | None:
    """The model that is asked for: the one given, what the callable says, or the call's own ``model=``."""
    found = model(*args, **keywords) if callable(model) else model or keywords.get("model")
    return found if isinstance(found, str) and found.strip() else None


def _is_async(method: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(method)


def _owner(client: object, method: str) -> tuple[object, str]:
    """The object that has the method, and the method's own name."""
    *path, name = method.split(".")
    owner: object = client
    for step in path:
        following = getattr(owner, step, None)
        if following is None:
            raise TypeError(_no_method(client, method, owner, step))
        owner = following
    return owner, name


def _no_method(client: object, method: str, owner: object, name: str) -> str:
    near = difflib.get_close_matches(name, [each for each in dir(owner) if not each.startswith("_")], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{type(client).__name__} has no method {method!r}: {type(owner).__name__} has no {name!r}.{hint}"
