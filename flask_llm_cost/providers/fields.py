"""Reading single values out of a provider's JSON: counts, money, names. Nothing is guessed or clamped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from decimal import Decimal

from ..money import EXACT
from ..money import MONEY_LIMIT
from ..money import QUANTITY_LIMIT
from ..money import QUANTITY_SCALE
from ..money import to_scale

Document = Mapping[str, object]

EMPTY: Document = {}
#: Longer names are none: no provider has them, and they would be somebody's text.
_NAME_LENGTH = 255
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
#: What an error's class looks like: ``overloaded_error``, ``server_error``, ``502``. A sentence does not.
_ERROR_CLASS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)


class InvalidUsage(ValueError):
    """A number that cannot be true. Its text names the field and the reason, never a provider's words."""


def mapping(value: object) -> Document:
    """``value`` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else EMPTY


def count(usage: Document, *path: str) -> int | None:
    """The number of tokens, requests and so on at ``path``; ``None`` where it is not told.

    :raises InvalidUsage: something else stands there, or a number that is negative, fractional or absurd.
    """
    value = _value(usage, path)
    if value is None:
        return None
    if type(value) is int and 0 <= value <= QUANTITY_LIMIT:
        return value  # nearly all are: fourteen in one usage
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidUsage(f"{'.'.join(path)} is not a number")
    # NaN fails the comparison.
    if not 0 <= value <= QUANTITY_LIMIT or value != int(value):
        raise InvalidUsage(f"{'.'.join(path)} is not a possible count")
    return int(value)


def money(usage: Document, *path: str) -> Decimal | None:
    """The amount at ``path``, exactly as written; ``None`` where it is not told.

    :raises InvalidUsage: something else stands there, or an amount that is negative or absurd.
    """
    value = _value(usage, path)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise InvalidUsage(f"{'.'.join(path)} is not an amount")
    if not 0 <= value < MONEY_LIMIT:
        raise InvalidUsage(f"{'.'.join(path)} is not a possible amount")
    return Decimal(value)


def seconds(usage: Document, *path: str) -> Decimal | None:
    """The duration at ``path``; ``None`` where it is not told.

    :raises InvalidUsage: something else stands there, or a duration that is negative or absurd.
    """
    value = _value(usage, path)
    if value is None:
        return None
    if isinstance(value, str) and _SECONDS.fullmatch(value):
        value = Decimal(value)  # OpenAI writes a video's as text
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidUsage(f"{'.'.join(path)} is not a duration")
    if not 0 <= value <= QUANTITY_LIMIT:
        raise InvalidUsage(f"{'.'.join(path)} is not a possible duration")
    # A float keeps the digits it was written with.
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def minutes(usage: Document, *path: str, at_least: int = 0) -> Decimal | None:
    """The duration at ``path``, told in seconds, in minutes; at least so many seconds are billed.

    :raises InvalidUsage: as :func:`seconds`.
    """
    told = seconds(usage, *path)
    if told is None:
        return None
    return to_scale(EXACT.divide(max(told, Decimal(at_least)), Decimal(60)), QUANTITY_SCALE)


def _value(usage: Document, path: tuple[str, ...]) -> object:
    value: object = usage
    for depth, key in enumerate(path):
        if not isinstance(value, dict):
            # Some gateways write an empty object as an empty list.
            if value is None or value == []:
                return None
            raise InvalidUsage(f"{'.'.join(path[:depth])} is not an object")
        value = value.get(key)
    return value


def moment(value: object) -> datetime | None:
    """The moment that ``value`` tells, in seconds since 1970 or as a text with a zone (RFC 3339); ``None``
    where it tells none, or one before there was anything to bill.
    """
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value).astimezone(UTC) if "T" in value else _LONG_AGO
        elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            found = datetime.fromtimestamp(float(value), UTC)
        else:
            return None
    except (ValueError, ArithmeticError, OSError):
        return None
    return found if found > _LONG_AGO else None


def name(value: object) -> str | None:
    """``value`` where it is a printable, non-empty name such as a model or an id, else ``None``."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    return text if 0 < len(text) <= _NAME_LENGTH and text.isprintable() else None


def error_class(error: object, *, fallback: str = "error") -> str:
    """The class of a provider's error object: its ``type``, else its ``code``. Never its message."""
    for key in ("type", "code"):
        value = mapping(error).get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1000:
            return str(value)
        # "error" says no more than that it is one.
        if isinstance(value, str) and value != "error" and _ERROR_CLASS.fullmatch(value):
            return value
    return fallback


def is_error(value: object) -> bool:
    """Whether an ``error`` field says that there was one; it is null or empty where all went well."""
    return isinstance(value, dict | str) and bool(value)
