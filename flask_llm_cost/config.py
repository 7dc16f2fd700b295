"""``LLM_COST_*`` keys, read once into a frozen :class:`Config`. Flask is not needed here: a mapping is."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from decimal import Decimal
from decimal import InvalidOperation
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo
from zoneinfo import ZoneInfoNotFoundError

from .errors import ConfigurationError

PREFIX = "LLM_COST_"
_UTC = ZoneInfo("UTC")
_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+", re.ASCII)

#: SDKs that can be tapped by name; other packages bring more. ``"auto"`` is all of them.
INSTRUMENTS = ("openai", "anthropic", "google", "groq")
#: The HTTP clients of the process. They serve the whole app, so they are tapped only where this is named.
HTTP = "http"
#: Each tag with sums of its own costs every write a little.
MAX_ROLLUP_TAGS = 20
_TAG_KEY = re.compile(r"[\w.-]{1,64}")
#: The entry point group in which other packages name theirs.
INTEGRATIONS_GROUP = "flask_llm_cost.integrations"

#: Tag keys whose values are never stored; a key matches as a whole word of the tag's name.
REDACTED_TAG_KEYS = (
    "api_key",
    "access_token",
    "authorization",
    "credential",
    "password",
    "private_key",
    "refresh_token",
    "secret",
)


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one app. Every field is one ``LLM_COST_*`` key in lower case."""

    enabled: bool = True
    instrument: Literal["auto"] | tuple[str, ...] = "auto"
    ingestion: Literal["auto", "journal", "inline"] = "auto"
    journal_dir: str | None = None
    journal_fsync: Literal["never", "interval", "always"] = "interval"
    journal_max_bytes: int = 268_435_456
    storage: Literal["database", "log"] = "database"
    storage_error: Literal["warn", "ignore", "raise"] = "warn"
    bind_key: str | None = None
    read_bind_key: str | None = None
    service: str | None = None
    timezone: ZoneInfo = _UTC
    rollup_tags: tuple[str, ...] = ()
    currency: str = "USD"
    prices_file: str | None = None
    pricing_overrides: Mapping[str, Any] = field(default_factory=_nothing)
    discounts: Mapping[str, Decimal] = field(default_factory=_nothing)
    unknown_pricing: Literal["warn", "ignore", "raise"] = "warn"
    budgets: tuple[Any, ...] = ()
    monthly_budget: Decimal | None = None
    daily_budget: Decimal | None = None
    per_call_budget: Decimal | None = None
    budget_enforcement: Literal["notify", "raise", "block", "reserve"] = "notify"
    provider_hosts: Mapping[str, str] = field(default_factory=_nothing)
    request_stream_usage: bool = False
    dashboard: bool = True
    url_prefix: str = "/llm-costs"
    max_tags: int = 50
    redacted_tag_keys: tuple[str, ...] = REDACTED_TAG_KEYS
    celery_tags: bool = False
    buffer_size: int = 10_000
    shutdown_timeout: float = 5.0
    alert_log: bool = True
    alert_webhook_url: str | None = field(default=None, repr=False)
    alert_email_to: tuple[str, ...] = ()
    alert_email_from: str | None = None
    alert_smtp_url: str | None = field(default=None, repr=False)

    @property
    def budget_amounts(self) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """The three that need no :class:`~flask_llm_cost.Budget`: of a month, of a day, of each call."""
        return self.monthly_budget, self.daily_budget, self.per_call_budget

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Config:
        """Read the ``LLM_COST_*`` keys of an ``app.config``-like mapping.

        :raises ConfigurationError: a key is unknown (the nearest known one is named) or a value invalid.
        """
        given = {key: values[key] for key in values if key.startswith(PREFIX)}
        for key in given:
            if key not in _READERS:
                raise ConfigurationError(_unknown_key(key))
        found = cls(
            **{key.removeprefix(PREFIX).lower(): _READERS[key](key, value) for key, value in given.items()}
        )
        _check_mail(found)
        return found


def _check_mail(config: Config) -> None:
    """Mail needs to know to whom, from whom and over which server."""
    for name in ("alert_email_from", "alert_smtp_url"):
        key = PREFIX + name.upper()
        if config.alert_email_to and not getattr(config, name):
            raise ConfigurationError(f"LLM_COST_ALERT_EMAIL_TO needs {key} beside it: set both.")
        if getattr(config, name) and not config.alert_email_to:
            raise ConfigurationError(
                f"{key} needs LLM_COST_ALERT_EMAIL_TO beside it: who is to get the mails?"
            )


def asks_for(instrument: Literal["auto"] | Iterable[str], name: str) -> bool:
    """Whether a value of ``LLM_COST_INSTRUMENT`` means this SDK, or :data:`HTTP`."""
    named = ("auto",) if instrument == "auto" else tuple(instrument)
    return name in named or ("auto" in named and name != HTTP)


def _unknown_key(key: str) -> str:
    near = difflib.get_close_matches(key, _READERS, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else " docs/configuration.md lists the known keys."
    return f"Unknown configuration key {key}.{hint}"


def _invalid(key: str, value: object, accepted: str) -> ConfigurationError:
    return ConfigurationError(f"{key} must be {accepted}, got {value!r}.")


def _boolean(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _invalid(key, value, "True or False")
    return value


def _one_of(*allowed: str) -> Callable[[str, Any], Any]:
    def read(key: str, value: Any) -> str:
        if value not in allowed:
            raise _invalid(key, value, "one of " + ", ".join(map(repr, allowed)))
        return str(value)

    return read


def _optional_text(key: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise _invalid(key, value, "a non-empty string or None")
    return value.strip()


def _optional_path(key: str, value: Any) -> str | None:
    return _optional_text(key, os.fspath(value) if isinstance(value, os.PathLike) else value)


def _integer(minimum: int, maximum: int) -> Callable[[str, Any], int]:
    def read(key: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise _invalid(key, value, f"a whole number from {minimum} to {maximum}")
        return value

    return read


def _seconds(key: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 3600:
        raise _invalid(key, value, "a number of seconds from 0 to 3600")
    return float(value)


def _zone(key: str, value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise _invalid(key, value, "an IANA time zone name such as 'Europe/Berlin'") from error


def _currency(key: str, value: Any) -> str:
    # One ledger, one currency: prices in another would be added up as if they were dollars.
    if value != "USD":
        raise _invalid(key, value, "'USD', the only currency of the ledger so far")
    return "USD"


def _names(key: str, value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple | set | frozenset) or not all(
        isinstance(item, str) for item in items
    ):
        raise _invalid(key, value, "a list of names or a comma-separated string")
    return tuple(dict.fromkeys(name for item in items if (name := item.strip())))


def _tag_keys(key: str, value: Any) -> tuple[str, ...]:
    found = _names(key, value)
    if len(found) > MAX_ROLLUP_TAGS or not all(_TAG_KEY.fullmatch(name) for name in found):
        raise _invalid(
            key,
            value,
            f"at most {MAX_ROLLUP_TAGS} tag keys, each of 1 to 64 letters, digits, '_', '.' and '-'",
        )
    return found


def _instrument(key: str, value: Any) -> Literal["auto"] | tuple[str, ...]:
    if value == "auto":
        return "auto"
    if value is False or value is None:
        return ()
    names = _names(key, value)
    known: tuple[str, ...] = ("auto", *INSTRUMENTS, HTTP)
    if not set(names) <= set(known):
        # Reading what is installed takes a few milliseconds, so only for a name that is not ours.
        known = tuple(dict.fromkeys((*known, *entry_points(group=INTEGRATIONS_GROUP).names)))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigurationError(f"{key}: unknown SDK {name!r}; known: {', '.join(known)}.{hint}")
    return "auto" if names == ("auto",) else names


def _mapping(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise _invalid(key, value, "a mapping with string keys")
    return MappingProxyType(dict(value))


def _hosts(key: str, value: Any) -> Mapping[str, str]:
    entries = _mapping(key, value)
    for host, provider in entries.items():
        name = host.partition("/")[0].strip()
        if not name or "://" in host or not isinstance(provider, str) or not provider:
            raise _invalid(
                key,
                {host: provider},
                "host names, with the beginning of a path or without, mapped to provider names, such as "
                "{'llm.example.com': 'openai', 'gateway.example.com/claude': 'anthropic'}",
            )
    return MappingProxyType({host.lower(): provider for host, provider in entries.items()})


def _discounts(key: str, value: Any) -> Mapping[str, Decimal]:
    found: dict[str, Decimal] = {}
    for provider, share in _mapping(key, value).items():
        accepted = "provider names mapped to shares from 0 to 1, as strings, such as {'openai': '0.15'}"
        if isinstance(share, float | bool):
            raise _invalid(key, {provider: share}, accepted)
        try:
            found[provider] = Decimal(share)
        except (InvalidOperation, TypeError, ValueError) as error:
            raise _invalid(key, {provider: share}, accepted) from error
        if not found[provider].is_finite() or not 0 <= found[provider] <= 1:
            raise _invalid(key, {provider: share}, accepted)
    return MappingProxyType(found)


def _budgets(key: str, value: Any) -> tuple[Any, ...]:
    """Each is checked when it is made: a mapping of the arguments of ``Budget``, or one."""
    if isinstance(value, str | Mapping) or not isinstance(value, list | tuple):
        raise _invalid(key, value, "a list of Budget objects, or of mappings with their arguments")
    return tuple(value)


def _optional_amount(key: str, value: Any) -> Decimal | None:
    accepted = "an amount in USD such as '100', or None"
    if value is None:
        return None
    if isinstance(value, float | bool):
        raise _invalid(key, value, f"{accepted} (a float would not be exact)")
    try:
        amount = Decimal(value)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise _invalid(key, value, accepted) from error
    if not amount.is_finite() or amount < 0:
        raise _invalid(key, value, accepted)
    return amount


def _secret_url(example: str, *schemes: str) -> Callable[[str, Any], str | None]:
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


def _addresses(key: str, value: Any) -> tuple[str, ...]:
    return tuple(_address(key, each) for each in _names(key, value))


def _address(key: str, value: Any) -> str:
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value.strip()):
        raise _invalid(key, value, "an address such as 'costs@example.com'")
    return value.strip()


def _optional_address(key: str, value: Any) -> str | None:
    return None if value is None else _address(key, value)


def _url_prefix(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/") or value.rstrip("/") == "":
        raise _invalid(key, value, "a path that begins with '/', such as '/llm-costs'")
    return value.rstrip("/")


_READERS: Mapping[str, Callable[[str, Any], Any]] = MappingProxyType(
    {
        "LLM_COST_ENABLED": _boolean,
        "LLM_COST_INSTRUMENT": _instrument,
        "LLM_COST_INGESTION": _one_of("auto", "journal", "inline"),
        "LLM_COST_JOURNAL_DIR": _optional_path,
        "LLM_COST_JOURNAL_FSYNC": _one_of("never", "interval", "always"),
        "LLM_COST_JOURNAL_MAX_BYTES": _integer(1 << 20, 1 << 40),
        "LLM_COST_STORAGE": _one_of("database", "log"),
        "LLM_COST_STORAGE_ERROR": _one_of("warn", "ignore", "raise"),
        "LLM_COST_BIND_KEY": _optional_text,
        "LLM_COST_READ_BIND_KEY": _optional_text,
        "LLM_COST_SERVICE": _optional_text,
        "LLM_COST_TIMEZONE": _zone,
        "LLM_COST_ROLLUP_TAGS": _tag_keys,
        "LLM_COST_CURRENCY": _currency,
        "LLM_COST_PRICES_FILE": _optional_path,
        "LLM_COST_PRICING_OVERRIDES": _mapping,
        "LLM_COST_DISCOUNTS": _discounts,
        "LLM_COST_UNKNOWN_PRICING": _one_of("warn", "ignore", "raise"),
        "LLM_COST_BUDGETS": _budgets,
        "LLM_COST_MONTHLY_BUDGET": _optional_amount,
        "LLM_COST_DAILY_BUDGET": _optional_amount,
        "LLM_COST_PER_CALL_BUDGET": _optional_amount,
        "LLM_COST_BUDGET_ENFORCEMENT": _one_of("notify", "raise", "block", "reserve"),
        "LLM_COST_PROVIDER_HOSTS": _hosts,
        "LLM_COST_REQUEST_STREAM_USAGE": _boolean,
        "LLM_COST_DASHBOARD": _boolean,
        "LLM_COST_URL_PREFIX": _url_prefix,
        "LLM_COST_MAX_TAGS": _integer(0, 1000),
        "LLM_COST_REDACTED_TAG_KEYS": _names,
        "LLM_COST_CELERY_TAGS": _boolean,
        "LLM_COST_BUFFER_SIZE": _integer(1, 1_000_000),
        "LLM_COST_SHUTDOWN_TIMEOUT": _seconds,
        "LLM_COST_ALERT_LOG": _boolean,
        "LLM_COST_ALERT_WEBHOOK_URL": _secret_url("https://hooks.slack.com/services/...", "https", "http"),
        "LLM_COST_ALERT_EMAIL_TO": _addresses,
        "LLM_COST_ALERT_EMAIL_FROM": _optional_address,
        "LLM_COST_ALERT_SMTP_URL": _secret_url("smtp://user:password@mail.example.com:587", "smtp", "smtps"),
    }
)

#: Every configuration key, in the order of the documentation.
KEYS = tuple(PREFIX + item.name.upper() for item in fields(Config))
