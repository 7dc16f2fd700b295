"""Reading a provider's JSON: what must be there, of its type, or an error that names the place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from decimal import InvalidOperation
from typing import Any

from .errors import ReconciliationError

_NAME = 191


def parsed(content: bytes, where: str) -> Mapping[str, Any]:
    """A JSON object with exact numbers. :raises ReconciliationError: it is none."""
    try:
        found = json.loads(content, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        # What was answered instead is not told: it may be anybody's page.
        raise ReconciliationError(f"{where} did not answer with JSON.") from None
    return as_object(found, where)


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is not a number")


def as_object(value: object, where: str) -> Mapping[str, Any]:
    """:raises ReconciliationError: it is no JSON object."""
    if not isinstance(value, Mapping):
        raise ReconciliationError(f"{where} is no object.")
    return value


def as_list(value: object, where: str) -> list[Any]:
    """:raises ReconciliationError: it is no JSON array."""
    if not isinstance(value, list):
        raise ReconciliationError(f"{where} is no list.")
    return value


def name(of: Mapping[str, Any], key: str, where: str, length: int = _NAME) -> str | None:
    """A name, or ``None`` where none is told. :raises ReconciliationError: it is no text."""
    value = of.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ReconciliationError(f"{where}.{key} is no text.")
    readable = "".join(sign if sign.isprintable() else " " for sign in value)
    return readable.encode("utf-8", "replace").decode().strip()[:length] or None


def count(of: Mapping[str, Any], key: str, where: str) -> Decimal | None:
    """A number that is not negative, or ``None``. :raises ReconciliationError: it is none."""
    value = of.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        raise ReconciliationError(f"{where}.{key} is no count.")
    return Decimal(value)


def amount(value: object, where: str) -> Decimal:
    """An amount, as a number or as the text of one. :raises ReconciliationError: it is none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ReconciliationError(f"{where} is no amount.")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ReconciliationError(f"{where} is no amount.") from None
