"""What an HTTP request asks for, read from what is in memory already: a stream is never consumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..providers import FORM_FIELDS
from .readers import content

#: A larger JSON body is not parsed: the model is then the one that the answer names.
BODY_LIMIT = 16 * 1024 * 1024

#: A form field's further headers and its value fit in here.
_FIELD_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Sent:
    """A request of a package that has no object for one.

    :param given_headers: as the host wrote them.
    :param body: bytes, text, fields that are about to be written as JSON or as a form, or anything else.
    """

    method: str
    url: str
    given_headers: Any
    body: object

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by their names in lower case."""
        return {str(name).lower(): str(value) for name, value in dict(self.given_headers).items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a response before it is read; ``headers`` may be asked for in any case."""

    status_code: int
    headers: Any


def request_fields(request: Any) -> Mapping[str, Any] | None:
    """The fields of a request, from its JSON or multipart body.

    ``None`` where the body is a stream of the host's, or something else.
    """
    parts = getattr(getattr(request, "stream", None), "fields", None)
    if isinstance(parts, list):  # httpx writes a multipart body while it sends it
        return _form({part.name: part.value for part in parts if hasattr(part, "value")})
    body = request.body if hasattr(request, "body") else content(request)
    form = getattr(body, "_fields", None)
    if isinstance(form, list):  # aiohttp's form
        return _form({options.get("name"): value for options, _, value in form})
    if isinstance(body, Mapping):
        return body
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray):
        return None
    if "multipart/form-data" in str(request.headers.get("content-type", "")).lower():
        return _form({name: _written(body, name) for name in FORM_FIELDS})
    return _json(body)


def is_form(request: Any) -> bool:
    """Whether a multipart form is sent, whose files are not among the fields that are read here."""
    try:
        kind = request.headers.get("content-type", "")
    except Exception:  # whatever the host gave its package as headers
        return False
    return "multipart/form-data" in str(kind).lower()


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
