"""The parameters of pages that show no calls, read as strictly as the filters."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from flask import request

from ..errors import InvalidFilterError
from .filters import MAX_QUERY_BYTES

_MAX_LENGTH = 255


def read_parameters(names: tuple[str, ...]) -> Mapping[str, str]:
    """The parameters that were given, without blank ones.

    :raises InvalidFilterError: one is unknown, doubled or too long.
    """
    if len(request.query_string) > MAX_QUERY_BYTES:
        raise InvalidFilterError("query string", f"is longer than {MAX_QUERY_BYTES // 1024} KB.")
    found: dict[str, str] = {}
    for name, values in request.args.lists():
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            known = f"Known: {', '.join(names)}." if names else "This page has none."
            hint = f"Did you mean {near[0]!r}?" if near else known
            raise InvalidFilterError(name[:40], f"there is no such parameter. {hint}")
        if len(values) > 1:
            raise InvalidFilterError(name, "is given more than once: give it one value.")
        value = values[0].strip()
        if len(value) > _MAX_LENGTH or "\x00" in value:
            raise InvalidFilterError(name, f"must have at most {_MAX_LENGTH} characters, and no NUL.")
        if value:
            found[name] = value
    return found


def whole_number(parameters: Mapping[str, str], name: str, largest: int) -> int | None:
    """A parameter as a whole number from 0 on; ``None`` where it is not given.

    :raises InvalidFilterError: it is none, or too large.
    """
    text = parameters.get(name)
    if text is None:
        return None
    digits = text.replace(",", "")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20 or int(digits) > largest:
        raise InvalidFilterError(name, f"{text[:40]!r} is not a whole number from 0 to {largest:,}.")
    return int(digits)
