"""Who a call belongs to: tags, user and endpoint of the moment in which it begins.

Flask's ``current_app``, ``g`` and ``request`` are read here, and nowhere else below the faces. Scopes are
immutable values in a context variable, so they follow threads and tasks exactly as contextvars do.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
from collections.abc import AsyncGenerator
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from types import TracebackType
from typing import Any
from typing import ParamSpec
from typing import TypeVar
from typing import cast

from flask import Flask
from flask import current_app
from flask import g
from flask import has_app_context
from flask import has_request_context
from flask import request
from flask.globals import request_ctx
from werkzeug.local import LocalProxy

from .config import REDACTED_TAG_KEYS
from .events import Attribution
from .identity import asked
from .identity import identity
from .sanitize import REDACTED
from .sanitize import is_secret_key
from .scope import Scope

P = ParamSpec("P")
T = TypeVar("T")
T_callable = TypeVar("T_callable", bound=Callable[..., Any])

log = logging.getLogger("flask_llm_cost")

#: The name under which a host may leave tags for the rest of a request: ``g.llm_cost_tags = {...}``.
REQUEST_TAGS = "llm_cost_tags"


_NOTHING_SAID = Scope()

_scope: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("llm_cost_scope", default=None)

#: What stood when the jobs under way began, the outermost first: a job can run another one in its place.
_outside: contextvars.ContextVar[tuple[Scope | None, ...]] = contextvars.ContextVar(
    "llm_cost_outside", default=()
)


class with_tags:
    """Attribute every call inside the block: ``with with_tags(user=current_user, feature="chat"): ...``.

    ``user`` and ``trackable`` take model objects or ids, ``request_type`` a name; everything else is a tag.
    Blocks nest, the inner one wins, and ``None`` takes an outer tag away. Values are str, int, bool, Enum,
    UUID, Decimal or a model object (its identity); a value of another type is left out with a warning.
    Keys and values that look like secrets are stored as ``[redacted]``.
    """

    def __init__(self, tags: Mapping[str, object] | None = None, /, **named: object) -> None:
        self._said = {**(tags or {}), **named}
        self._tokens: list[tuple[contextvars.Token[Scope | None], Scope]] = []

    def __enter__(self) -> None:
        inner = Scope.of(self._said)
        outer = _scope.get()
        scope = outer.under(inner) if outer else inner
        self._tokens.append((_scope.set(scope), scope))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        token, scope = self._tokens.pop()
        try:
            _scope.reset(token)
        except ValueError:
            # A generator that was begun in one context and ended in another (a streamed response closed by
            # the server): there the value is only ours to take away if it is still the one we set.
            if _scope.get() is scope:
                _scope.set(None if token.old_value is contextvars.Token.MISSING else token.old_value)


def tagged(
    tags: Mapping[str, object] | None = None, /, **named: object
) -> Callable[[T_callable], T_callable]:
    """Decorate a function, coroutine function or generator function so that it runs :class:`with_tags`."""
    said = {**(tags or {}), **named}

    def decorate(function: T_callable) -> T_callable:
        return cast(T_callable, _wrap(function, said))

    return decorate


def _wrap(function: Callable[..., Any], said: Mapping[str, object]) -> Callable[..., Any]:
    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with with_tags(said):
            return function(*args, **kwargs)

    @functools.wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with with_tags(said):
            return await function(*args, **kwargs)

    @functools.wraps(function)
    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return _steps(function(*args, **kwargs), said)

    @functools.wraps(function)
    def async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        return _async_steps(function(*args, **kwargs), said)

    if inspect.isasyncgenfunction(function):
        return async_generator
    if inspect.isgeneratorfunction(function):
        return generator
    return coroutine if inspect.iscoroutinefunction(function) else plain


def _steps(inner: Generator[T, Any, Any], said: Mapping[str, object]) -> Generator[T, Any, Any]:
    """Run each step of a generator in its scope; between steps the consumer's own scope stands."""
    step: Callable[[], T] = functools.partial(next, inner)
    while True:
        with with_tags(said):
            try:
                item = step()
            except StopIteration as stop:
                return stop.value
        try:
            step = functools.partial(inner.send, (yield item))
        except GeneratorExit:
            inner.close()
            raise
        except BaseException as error:
            step = functools.partial(inner.throw, error)


async def _async_steps(inner: AsyncGenerator[T, Any], said: Mapping[str, object]) -> AsyncGenerator[T, Any]:
    step: Callable[[], Any] = inner.__anext__
    while True:
        with with_tags(said):
            try:
                item: T = await step()
            except StopAsyncIteration:
                return
        try:
            step = functools.partial(inner.asend, (yield item))
        except GeneratorExit:
            await inner.aclose()
            raise
        except BaseException as error:
            step = functools.partial(inner.athrow, error)


def copy_context(function: Callable[P, T]) -> Callable[P, T]:
    """Wrap ``function`` so that it runs in another thread with the tags and the app context of this moment.

    ``executor.submit(copy_context(work), item)``. One wrapper may run in several threads at once.
    """
    context = contextvars.copy_context()

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.copy().run(function, *args, **kwargs)

    return run


def current_flask_app() -> Flask | None:
    """The app whose context is active, itself and not its proxy."""
    if not has_app_context():
        return None
    return cast("LocalProxy[Flask]", current_app)._get_current_object()


def _globals() -> Any:
    """``g`` itself."""
    return cast("LocalProxy[Any]", g)._get_current_object()


def attribution(
    default_tags: Scope | Callable[[], Mapping[str, object]] | None = None,
    user_loader: Callable[[], object] | None = None,
    *,
    max_tags: int = 50,
    redacted_keys: tuple[str, ...] = REDACTED_TAG_KEYS,
) -> Attribution:
    """Freeze who the call belongs to: defaults under the request's tags under the blocks around the call."""
    if default_tags is None:
        scope = _said(_NOTHING_SAID)
    elif isinstance(default_tags, Scope):
        scope = _said(default_tags)
    else:
        scope = _said(_scope_of(asked(default_tags), "default_tags"))
    trackable_type, trackable_id = scope.trackable or (None, None)
    return Attribution(
        tags=_limited(scope.tags, max_tags, redacted_keys),
        user_id=scope.user_id or _user_id(user_loader),
        request_type=scope.request_type,
        trackable_type=trackable_type,
        trackable_id=trackable_id,
        endpoint=scope.endpoint or _endpoint(),
    )


def scope_of_moment(user_loader: Callable[[], object] | None = None) -> Scope:
    """All that is said of a call which begins now, by the request and the blocks around it."""
    scope = _said(_NOTHING_SAID)
    return replace(
        scope,
        user_id=scope.user_id or _user_id(user_loader),
        endpoint=scope.endpoint or _endpoint(),
    )


def _said(scope: Scope) -> Scope:
    """``scope``, with what the request and the blocks say on top of it."""
    # Past the proxy, which takes as long as all the rest here.
    if has_app_context() and (said := _globals().get(REQUEST_TAGS)):
        scope = scope.under(_scope_of(said, f"g.{REQUEST_TAGS}"))
    block = _scope.get()
    if block is None:
        return scope
    return block if scope is _NOTHING_SAID else scope.under(block)


def _user_id(user_loader: Callable[[], object] | None) -> str | None:
    return identity(asked(user_loader)) or _login_user_id()


def _endpoint() -> str | None:
    return request.endpoint if has_request_context() else None


def current_scope() -> Scope | None:
    """What the blocks around this moment say."""
    return _scope.get()


def begin_task(scope: Scope | None) -> None:
    """Let ``scope`` stand in place of all blocks until :func:`end_task`: a job begins that somebody sent."""
    _outside.set((*_outside.get(), _scope.get()))
    _scope.set(scope)


def end_task() -> None:
    """Undo the last :func:`begin_task` of this thread, task or greenlet."""
    if outside := _outside.get():
        _outside.set(outside[:-1])
        _scope.set(outside[-1])


def _scope_of(said: object, told_by: str) -> Scope:
    """What the host left or answered, where it is a mapping; anything else is its mistake, not the call's."""
    if isinstance(said, Mapping):
        return Scope.of(said)
    if said is not None:
        log.warning("%s must be a mapping of tags, got %s: it is left out", told_by, type(said).__name__)
    return _NOTHING_SAID


def _limited(tags: Mapping[str, str | None], most: int, secret_keys: tuple[str, ...]) -> Mapping[str, str]:
    told = cast("Mapping[str, str]", tags)
    if None in tags.values():
        told = {key: value for key, value in tags.items() if value is not None}
    if len(told) > most:
        log.warning("a call carries %d tags; the newest %d are kept (LLM_COST_MAX_TAGS)", len(told), most)
        told = dict(list(told.items())[len(told) - most :])
    if secret_keys is not REDACTED_TAG_KEYS:
        told = {key: REDACTED if is_secret_key(key, secret_keys) else told[key] for key in told}
    return MappingProxyType(told)


def _login_user_id() -> str | None:
    """The user of Flask-Login, without loading it: that would run the host's SQL in the host's session."""
    if not has_request_context() or not hasattr(current_app, "login_manager"):
        return None
    user = g.get("_login_user")
    if user is not None:
        return identity(user) if getattr(user, "is_authenticated", False) else None
    # Read past the proxy, which would mark the session as accessed and add "Vary: Cookie" to the response.
    session = getattr(request_ctx, "_session", None)
    return identity(dict.get(session, "_user_id")) if isinstance(session, dict) else None


def event_loop_runs() -> bool:
    """Whether this thread is an event loop's: nothing of ours may wait for a database in it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
