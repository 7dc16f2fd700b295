"""What an HTTP request asks for, read from what is in memory already: a stream is never consumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..providers import FORM_FIELDS
from .readers import content

#: A larger JSON body is not parsed: the model is then the one that the answer names.
BODY_LIMIT = 16 * 1024 * 1024

#: A form field's further headers and its value fit in here.
_FIELD_LIMIT = 512


def request_fields(request: Any) -> Mapping[str, Any] | None:
    """The fields of a request of httpx, httpx2 or requests, from its JSON or multipart body.

    ``None`` where the body is a stream of the host's, or something else.
    """
    parts = getattr(getattr(request, "stream", None), "fields", None)
    if isinstance(parts, list):  # httpx writes a multipart body while it sends it
        return _form({part.name: part.value for part in parts if hasattr(part, "value")})
    body = request.body if hasattr(request, "body") else content(request)
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray):
        return None
    if "multipart/form-data" in str(request.headers.get("content-type", "")).lower():
        return _form({name: _written(body, name) for name in FORM_FIELDS})
    return _json(body)


def _json(body: bytes | bytearray) -> Mapping[str, Any] | None:
    if len(body) > BODY_LIMIT:
        return None
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _written(body: bytes | bytearray, name: str) -> bytes | None:
    """A text field of a multipart body that is written already."""
    mark = b'; name="%s"\r\n' % name.encode()
    at = body.find(mark)
    if at < 0:
        return None
    end = at + len(mark)
    _, blank, rest = bytes(body[end - 2 : end + _FIELD_LIMIT]).partition(b"\r\n\r\n")
    value, stop, _ = rest.partition(b"\r\n")
    return value if blank and stop else None


def _form(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    text = {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for name, value in fields.items()
    }
    return {**text, "stream": str(text.get("stream")).lower() in ("true", "1")}
