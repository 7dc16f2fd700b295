"""Who or what an object of the host's is: its id as text, without running its SQL."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from werkzeug.local import LocalProxy

from .sanitize import REDACTED
from .sanitize import clean_text
from .sanitize import clean_value
from .sanitize import plain_text

T = TypeVar("T")

log = logging.getLogger("flask_llm_cost")

_ID_LENGTH = 191


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
