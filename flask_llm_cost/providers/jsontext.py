"""JSON that strangers wrote: parsed without ever raising anything but :class:`Unreadable`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

# Control characters inside strings are tolerated. NaN and Infinity become floats, and only they do in an
# exact parse; in both they are refused where a number is read, so that a NaN among log probabilities does
# not cost a call its usage.
_PLAIN = json.JSONDecoder(strict=False)
_EXACT = json.JSONDecoder(strict=False, parse_float=Decimal)
#: JSON's white space (RFC 8259, section 2), and the mark that some put before a text.
_AROUND = " \t\n\r\ufeff"


class Unreadable(ValueError):
    """The bytes are not a JSON object. Its text names the reason and nothing of the content."""


def read_object(data: bytes, *, exact: bool) -> Mapping[str, object]:
    """The JSON object in ``data``.

    :param exact: read fractions as ``Decimal``, where the answer names money. It is slower on the many
        floats of an embedding.
    :raises Unreadable: it is no JSON, no object, nested too deep or holds an absurdly long number.
    """
    document = _read(data, exact=exact)
    if isinstance(document, dict):
        return document
    raise Unreadable("not a JSON object")


def read_objects(data: bytes, *, exact: bool) -> list[Mapping[str, object]]:
    """The JSON objects in ``data``: one, those of an array, or one on each line.

    :param exact: as for :func:`read_object`.
    :raises Unreadable: as for :func:`read_object`.
    """
    try:
        document = _read(data, exact=exact)
    except Unreadable:
        document = [_read(line, exact=exact) for line in data.splitlines() if line.strip()]
    items = document if isinstance(document, list) else [document]
    objects: list[Mapping[str, object]] = [item for item in items if isinstance(item, dict)]
    if not objects or len(objects) < len(items):
        raise Unreadable("neither a JSON object nor a list of them")
    return objects


def _read(data: bytes, *, exact: bool) -> object:
    text = data.decode("utf-8", "replace").strip(_AROUND)
    try:
        document, end = (_EXACT if exact else _PLAIN).raw_decode(text)
    except RecursionError:
        raise Unreadable("nested too deep") from None
    except (ValueError, ArithmeticError):
        raise Unreadable("not JSON") from None
    if end != len(text):
        raise Unreadable("not JSON")
    return document
