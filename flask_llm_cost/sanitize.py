"""Make any tag key or value safe to store: text, bounded, normalised, without secrets."""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from uuid import UUID

#: Widths of the tag table's columns.
KEY_LENGTH = 64
VALUE_LENGTH = 255
#: Only this much of a value is looked at; what follows would be cut off anyway.
_LOOK_AT = 4096

REDACTED = "[redacted]"

_NOT_KEY = re.compile(r"[^\w.-]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
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
    text = value[:_LOOK_AT].replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    text = unicodedata.normalize("NFC", text).strip()
    return text if len(text) <= length else text[: length - 1] + "…"


def clean_key(key: str) -> str:
    """A tag key of word characters, dots and dashes, at most 64 long; empty where nothing is left."""
    return _NOT_KEY.sub("_", clean_text(key, KEY_LENGTH)).strip("_")[:KEY_LENGTH]


def plain_text(value: object) -> str | None:
    """The text of a plain value (str, int, bool, Enum, UUID, Decimal), or ``None`` for any other type."""
    if isinstance(value, enum.Enum):
        return plain_text(value.value) if isinstance(value.value, str | int) else value.name
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
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
