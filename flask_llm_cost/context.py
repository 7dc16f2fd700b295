"""Who a call belongs to: tags, user and endpoint of the moment in which it begins.

Flask's ``current_app``, ``g`` and ``request`` are read here, and nowhere else below the faces. Scopes are
immutable values in a context variable, so they follow threads and tasks exactly as contextvars do.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import logging
from collections.abc import AsyncGenerator
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
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
from .sanitize import REDACTED
from .sanitize import clean_key
from .sanitize import clean_text
from .sanitize import clean_value
from .sanitize import is_secret_key
from .sanitize import plain_text

P = ParamSpec("P")
T = TypeVar("T")
T_callable = TypeVar("T_callable", bound=Callable[..., Any])

log = logging.getLogger("flask_llm_cost")

#: More tags than this in one scope are a bug in the host; the newest are kept.
SCOPE_LIMIT = 1_000
_ID_LENGTH = 191

#: The name under which a host may leave tags for the rest of a request: ``g.llm_cost_tags = {...}``.
REQUEST_TAGS = "llm_cost_tags"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a ``with_tags`` block says, sanitised. ``None`` means that it says nothing."""

    tags: Mapping[str, str | None] = field(default_factory=dict)
    user_id: str | None = None
    request_type: str | None = None
    trackable: tuple[str, str] | None = None

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Scope:
        """Read keywords as :func:`with_tags` takes them."""
        rest = dict(values)
        user_id = identity(rest.pop("user", None))
        request_type = identity(rest.pop("request_type", None))
        trackable = rest.pop("trackable", None)
        return cls(
            tags=clean_tags(rest),
            user_id=user_id,
            request_type=request_type,
            trackable=None if trackable is None else trackable_identity(trackable),
        )

    def under(self, inner: Scope) -> Scope:
        """This scope with ``inner`` on top of it: inner values win, the newest tags come last."""
        kept = {key: value for key, value in self.tags.items() if key not in inner.tags}
        return Scope(
            tags={**kept, **inner.tags},
            user_id=inner.user_id or self.user_id,
            request_type=inner.request_type or self.request_type,
            trackable=inner.trackable or self.trackable,
        )


_NOTHING_SAID = Scope()

_scope: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("llm_cost_scope", default=None)


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


def attribution(
    default_tags: Scope | Callable[[], Mapping[str, object]] | None = None,
    user_loader: Callable[[], object] | None = None,
    *,
    max_tags: int = 50,
    redacted_keys: tuple[str, ...] = REDACTED_TAG_KEYS,
) -> Attribution:
    """Freeze who the call belongs to: defaults under the request's tags under the blocks around the call."""
    scope = (
        default_tags if isinstance(default_tags, Scope) else _scope_of(asked(default_tags), "default_tags")
    )
    if has_app_context() and (said := g.get(REQUEST_TAGS)):
        scope = scope.under(_scope_of(said, f"g.{REQUEST_TAGS}"))
    if (block := _scope.get()) is not None:
        scope = scope.under(block)
    trackable_type, trackable_id = scope.trackable or (None, None)
    return Attribution(
        tags=_limited(scope.tags, max_tags, redacted_keys),
        user_id=scope.user_id or identity(asked(user_loader)) or _login_user_id(),
        request_type=scope.request_type,
        trackable_type=trackable_type,
        trackable_id=trackable_id,
        endpoint=request.endpoint if has_request_context() else None,
    )


def _scope_of(said: object, told_by: str) -> Scope:
    """What the host left or answered, where it is a mapping; anything else is its mistake, not the call's."""
    if isinstance(said, Mapping):
        return Scope.of(said)
    if said is not None:
        log.warning("%s must be a mapping of tags, got %s: it is left out", told_by, type(said).__name__)
    return _NOTHING_SAID


def clean_tags(tags: Mapping[str, object]) -> dict[str, str | None]:
    """Sanitised tags in their order; at most :data:`SCOPE_LIMIT`, the newest. ``None`` stays ``None``."""
    if len(tags) > SCOPE_LIMIT:
        log.warning("with_tags was given %d tags; the newest %d are kept", len(tags), SCOPE_LIMIT)
    found: dict[str, str | None] = {}
    for raw_key, raw_value in list(tags.items())[-SCOPE_LIMIT:]:
        key = clean_key(str(raw_key))
        if key:
            found[key] = _tag_value(key, raw_value)
    return found


def _tag_value(key: str, value: object) -> str | None:
    if value is None or is_secret_key(key, REDACTED_TAG_KEYS):
        return None if value is None else REDACTED
    text = plain_text(value)
    if text is None:
        text = identity(value)
    if text is None:
        log.warning("tag %s was left out: a %s is no tag value", key, type(value).__name__)
        return None
    return clean_value(text) or None


def _limited(tags: Mapping[str, str | None], most: int, secret_keys: tuple[str, ...]) -> Mapping[str, str]:
    told = [(key, value) for key, value in tags.items() if value is not None]
    if len(told) > most:
        log.warning("a call carries %d tags; the newest %d are kept (LLM_COST_MAX_TAGS)", len(told), most)
        told = told[len(told) - most :]
    if secret_keys is REDACTED_TAG_KEYS:
        return MappingProxyType(dict(told))
    return MappingProxyType(
        {key: REDACTED if is_secret_key(key, secret_keys) else value for key, value in told}
    )


def asked(callback: Callable[[], T] | None) -> T | None:
    """What the host's callback answers; its failure is the host's bug, but never the call's."""
    if callback is None:
        return None
    try:
        return callback()
    except Exception as error:
        name = getattr(callback, "__name__", type(callback).__name__)
        log.warning("%s raised %s: the call is recorded without it", name, type(error).__name__)
        return None


def identity(value: object) -> str | None:
    """The id of a user-like value as text: a plain value itself, a model's primary key, or ``get_id()``.

    A SQLAlchemy object answers from its identity key, so an expired or detached one runs no SQL.
    """
    try:
        found = _identity(value)
    except Exception as error:
        log.warning("no id could be had of a %s (%s)", type(value).__name__, type(error).__name__)
        return None
    return (clean_text(found, _ID_LENGTH) or None) if found else None


def _identity(value: object) -> str | None:
    if isinstance(value, LocalProxy):
        value = value._get_current_object()
    if value is None:
        return None
    text = plain_text(value)
    if text is not None:
        return REDACTED if clean_value(text) == REDACTED else text
    state = getattr(value, "_sa_instance_state", None)
    key = getattr(state, "identity", None)
    if key:
        return ",".join(str(part) for part in key)
    get_id = getattr(value, "get_id", None)
    found = get_id() if callable(get_id) else getattr(value, "id", None)
    # Flask-Login's mixin answers "None" for an object that was never stored.
    return None if found in (None, "None") else plain_text(found)


def trackable_identity(value: object) -> tuple[str, str] | None:
    """The (type, id) of the object a call is about: a model object, or such a pair of plain values."""
    if isinstance(value, LocalProxy):
        value = asked(value._get_current_object)
    if isinstance(value, tuple) and len(value) == 2:
        kind, key = identity(value[0]), identity(value[1])
    else:
        kind, key = type(value).__name__, None if plain_text(value) is not None else identity(value)
    if not kind or not key:
        log.warning("trackable was left out: a stored model object or a (type, id) pair is needed")
        return None
    return kind, key


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
