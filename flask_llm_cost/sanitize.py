"""Make any tag key or value safe to store: text, bounded, normalised, without secrets."""

from __future__ import annotations

import enum
import json
import math
import re
import unicodedata
from collections.abc import Iterable
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from .config import REDACTED_TAG_KEYS

#: Widths of the tag table's columns.
KEY_LENGTH = 64
VALUE_LENGTH = 255
#: Only this much of a value is looked at; what follows would be cut off anyway.
_LOOK_AT = 4096
#: A number with more digits is no tag's value; it is written in whichever way is short or quick.
_MOST_DIGITS = 1_000

REDACTED = "[redacted]"

_DETAILS_DEPTH = 6
_DETAIL_LENGTH = 1_000
#: ``details`` that take more JSON than this are replaced by a note: the ledger is no document store.
DETAILS_LIMIT = 8_192

_NOT_KEY = re.compile(r"[^\w.-]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LINE_BREAKING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_WORD = re.compile(r"[^a-z0-9]+")

#: What a credential looks like, whatever the tag is called.
_SECRET_VALUE = re.compile(
    r"""
      \bsk-[\w-]{16,}                                          # OpenAI, Anthropic, OpenRouter keys
    | \b(?:sk|rk|pk)_(?:live|test)_\w{16,}                     # Stripe
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                            # AWS access key ids
    | \bAIza[\w-]{30,}                                         # Google API keys
    | \bgh[opsur]_\w{20,} | \bgithub_pat_\w{20,}               # GitHub tokens
    | \bxox[abeoprs]-[\w-]{10,}                                # Slack tokens
    | \bgsk_\w{20,} | \bhf_\w{20,}                             # Groq, Hugging Face
    | \beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*                        # JSON Web Tokens
    | \b(?:bearer|basic)\s+[\w.~+/=-]{20,}                     # authorization headers
    | ://[^/\s:@]+:[^/\s@]+@                                   # credentials in a URL
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY
    """,
    re.VERBOSE | re.IGNORECASE,
)


def clean_text(value: str, length: int) -> str:
    """``value`` trimmed, NFC-normalised, without NUL or lone surrogates, at most ``length`` code points.

    What was cut ends in an ellipsis.
    """
    if len(value) <= length and value.isascii() and "\x00" not in value:
        return value.strip()  # ASCII is its own normal form
    text = value[:_LOOK_AT].replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    text = unicodedata.normalize("NFC", text).strip()
    return text if len(text) <= length else text[: length - 1] + "…"


def one_line(text: str) -> str:
    """``text`` with its control characters and line ends escaped: a name in it cannot forge a log line."""
    return _LINE_BREAKING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def clean_key(key: str) -> str:
    """A tag key of word characters, dots and dashes, at most 64 long; empty where nothing is left.

    One that looks like a credential becomes ``redacted``.
    """
    if _SECRET_VALUE.search(key[:_LOOK_AT]):
        return _NOT_KEY.sub("", REDACTED)
    return _NOT_KEY.sub("_", clean_text(key, KEY_LENGTH)).strip("_")[:KEY_LENGTH]


def plain_text(value: object) -> str | None:
    """The text of a plain value (str, int, bool, Enum, UUID, Decimal), or ``None`` for any other type."""
    if isinstance(value, enum.Enum):
        return plain_text(value.value) if isinstance(value.value, str | int) else value.name
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < _MOST_DIGITS else str(value)
    if isinstance(value, int) and value.bit_length() > _MOST_DIGITS:
        return hex(value)  # Python refuses to write so many decimal digits
    if isinstance(value, str | int | UUID):
        return str(value)
    return None


def is_secret_key(key: str, secret_keys: Iterable[str]) -> bool:
    """Whether ``key`` contains one of ``secret_keys`` as whole words (``userApiKey``, not ``tokenizer``)."""
    words = "_" + _WORD.sub("_", _CAMEL.sub("_", key).lower()).strip("_") + "_"
    return any(f"_{secret}_" in words for secret in secret_keys)


def clean_value(text: str) -> str:
    """A tag value fit to store; anything that looks like a credential becomes ``[redacted]``."""
    if _SECRET_VALUE.search(text[:_LOOK_AT]):
        return REDACTED
    return clean_text(text, VALUE_LENGTH)


def clean_details(details: Mapping[str, Any]) -> dict[str, Any]:
    """``track(details=...)`` fit to store as JSON: secrets redacted, texts cut, odd types named."""
    cleaned = {str(key): _clean_detail(str(key), value, _DETAILS_DEPTH) for key, value in details.items()}
    size = len(json.dumps(cleaned, ensure_ascii=False).encode())
    if size > DETAILS_LIMIT:
        return {"left_out": f"details of {size} bytes exceed {DETAILS_LIMIT}"}
    return cleaned


def _clean_detail(key: str, value: Any, depth: int) -> Any:
    if is_secret_key(key, REDACTED_TAG_KEYS):
        return REDACTED
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth == 0:
        return f"[{type(value).__name__}]"
    if isinstance(value, Mapping):
        return {
            clean_text(str(name), _DETAIL_LENGTH): _clean_detail(str(name), item, depth - 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean_detail(key, item, depth - 1) for item in value]
    text = plain_text(value)
    if text is None:
        return f"[{type(value).__name__}]"
    return REDACTED if _SECRET_VALUE.search(text[:_LOOK_AT]) else clean_text(text, _DETAIL_LENGTH)
