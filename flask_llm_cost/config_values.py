"""What a configuration key accepts: each function reads the value of one key, or says what it must be.

:raises ConfigurationError: the value is not accepted; the message names the key and the accepted form.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from collections.abc import Mapping
from decimal import Decimal
from decimal import InvalidOperation
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo
from zoneinfo import ZoneInfoNotFoundError

from .errors import ConfigurationError

#: Each tag with sums of its own costs every write a little.
MAX_ROLLUP_TAGS = 20
_TAG_KEY = re.compile(r"[\w.-]{1,64}")
_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+", re.ASCII)


def invalid(key: str, value: object, accepted: str) -> ConfigurationError:
    """The error of a key whose value is not what is accepted."""
    return ConfigurationError(f"{key} must be {accepted}, got {value!r}.")


def boolean(key: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise invalid(key, value, "True or False")
    return value


def one_of(*allowed: str) -> Callable[[str, Any], Any]:
    """One of these words."""

    def read(key: str, value: Any) -> str:
        if value not in allowed:
            raise invalid(key, value, "one of " + ", ".join(map(repr, allowed)))
        return str(value)

    return read


def optional_text(key: str, value: Any) -> str | None:
    """A text without blanks around it, or ``None``."""
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise invalid(key, value, "a non-empty string or None")
    return value.strip()


def optional_path(key: str, value: Any) -> str | None:
    """A path as text, or ``None``."""
    return optional_text(key, os.fspath(value) if isinstance(value, os.PathLike) else value)


def integer(minimum: int, maximum: int) -> Callable[[str, Any], int]:
    """A whole number from ``minimum`` to ``maximum``."""

    def read(key: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise invalid(key, value, f"a whole number from {minimum} to {maximum}")
        return value

    return read


def seconds(key: str, value: Any) -> float:
    """A duration of up to an hour."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 3600:
        raise invalid(key, value, "a number of seconds from 0 to 3600")
    return float(value)


def zone(key: str, value: Any) -> ZoneInfo:
    """A time zone by its IANA name."""
    try:
        return ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid(key, value, "an IANA time zone name such as 'Europe/Berlin'") from error


def currency(key: str, value: Any) -> str:
    """The ledger's currency."""
    # One ledger, one currency: prices in another would be added up as if they were dollars.
    if value != "USD":
        raise invalid(key, value, "'USD', the only currency of the ledger so far")
    return "USD"


def names(key: str, value: Any) -> tuple[str, ...]:
    """Names as a list or with commas between, each once."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple | set | frozenset) or not all(
        isinstance(item, str) for item in items
    ):
        raise invalid(key, value, "a list of names or a comma-separated string")
    return tuple(dict.fromkeys(name for item in items if (name := item.strip())))


def tag_keys(key: str, value: Any) -> tuple[str, ...]:
    """The tags whose sums are kept."""
    found = names(key, value)
    if len(found) > MAX_ROLLUP_TAGS or not all(_TAG_KEY.fullmatch(name) for name in found):
        raise invalid(
            key,
            value,
            f"at most {MAX_ROLLUP_TAGS} tag keys, each of 1 to 64 letters, digits, '_', '.' and '-'",
        )
    return found


def mapping(key: str, value: Any) -> Mapping[str, Any]:
    """A mapping by names, frozen."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise invalid(key, value, "a mapping with string keys")
    return MappingProxyType(dict(value))


def hosts(key: str, value: Any) -> Mapping[str, str]:
    """Hosts, with or without the beginning of a path, to providers."""
    entries = mapping(key, value)
    for host, provider in entries.items():
        name = host.partition("/")[0].strip()
        if not name or "://" in host or not isinstance(provider, str) or not provider:
            raise invalid(
                key,
                {host: provider},
                "host names, with the beginning of a path or without, mapped to provider names, such as "
                "{'llm.example.com': 'openai', 'gateway.example.com/claude': 'anthropic'}",
            )
    return MappingProxyType({host.lower(): provider for host, provider in entries.items()})


def discounts(key: str, value: Any) -> Mapping[str, Decimal]:
    """Exact shares from 0 to 1 by provider."""
    found: dict[str, Decimal] = {}
    for provider, share in mapping(key, value).items():
        accepted = "provider names mapped to shares from 0 to 1, as strings, such as {'openai': '0.15'}"
        if isinstance(share, float | bool):
            raise invalid(key, {provider: share}, accepted)
        try:
            found[provider] = Decimal(share)
        except (InvalidOperation, TypeError, ValueError) as error:
            raise invalid(key, {provider: share}, accepted) from error
        if not found[provider].is_finite() or not 0 <= found[provider] <= 1:
            raise invalid(key, {provider: share}, accepted)
    return MappingProxyType(found)


def budgets(key: str, value: Any) -> tuple[Any, ...]:
    """Each is checked when it is made: a mapping of the arguments of ``Budget``, or one."""
    if isinstance(value, str | Mapping) or not isinstance(value, list | tuple):
        raise invalid(key, value, "a list of Budget objects, or of mappings with their arguments")
    return tuple(value)


def optional_amount(key: str, value: Any) -> Decimal | None:
    """An exact amount in USD, or ``None``."""
    accepted = "an amount in USD such as '100', or None"
    if value is None:
        return None
    if isinstance(value, float | bool):
        raise invalid(key, value, f"{accepted} (a float would not be exact)")
    try:
        amount = Decimal(value)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise invalid(key, value, accepted) from error
    if not amount.is_finite() or amount < 0:
        raise invalid(key, value, accepted)
    return amount


def secret_url(example: str, *schemes: str) -> Callable[[str, Any], str | None]:
    """An address that may hold a key or a password: it never stands in an error message."""

    def read(key: str, value: Any) -> str | None:
        if value is None:
            return None
        refused = ConfigurationError(f"{key} must be an address such as {example!r}; what is set is none.")
        if not isinstance(value, str) or not value.isascii() or not value.strip().isprintable():
            raise refused
        try:
            parts = urlsplit(value.strip())
            known = parts.scheme in schemes and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            raise refused from None
        if not known:
            raise refused
        return value.strip()

    return read


def addresses(key: str, value: Any) -> tuple[str, ...]:
    """Mail addresses as a list or with commas between."""
    return tuple(address(key, each) for each in names(key, value))


def address(key: str, value: Any) -> str:
    """A mail address."""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value.strip()):
        raise invalid(key, value, "an address such as 'costs@example.com'")
    return value.strip()


def optional_address(key: str, value: Any) -> str | None:
    """A mail address, or ``None``."""
    return None if value is None else address(key, value)


def url_prefix(key: str, value: Any) -> str:
    """A path without a slash at its end."""
    if not isinstance(value, str) or not value.startswith("/") or value.rstrip("/") == "":
        raise invalid(key, value, "a path that begins with '/', such as '/llm-costs'")
    return value.rstrip("/")
