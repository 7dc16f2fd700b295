"""``LLM_COST_*`` keys, read once into a frozen :class:`Config`. Flask is not needed here: a mapping is."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from decimal import Decimal
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any
from typing import Literal
from zoneinfo import ZoneInfo

from . import config_values as accepted
from .errors import ConfigurationError

PREFIX = "LLM_COST_"
_UTC = ZoneInfo("UTC")

#: SDKs that can be tapped by name; other packages bring more. ``"auto"`` is all of them.
INSTRUMENTS = ("openai", "anthropic", "google", "groq")
#: The HTTP clients of the process. They serve the whole app, so they are tapped only where this is named.
HTTP = "http"
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
    if instrument == "auto":
        return name != HTTP
    named = tuple(instrument)
    return name in named or ("auto" in named and name != HTTP)


def _unknown_key(key: str) -> str:
    near = difflib.get_close_matches(key, _READERS, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else " docs/configuration.md lists the known keys."
    return f"Unknown configuration key {key}.{hint}"


def _instrument(key: str, value: Any) -> Literal["auto"] | tuple[str, ...]:
    if value == "auto":
        return "auto"
    if value is False or value is None:
        return ()
    names = accepted.names(key, value)
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


_READERS: Mapping[str, Callable[[str, Any], Any]] = MappingProxyType(
    {
        "LLM_COST_ENABLED": accepted.boolean,
        "LLM_COST_INSTRUMENT": _instrument,
        "LLM_COST_INGESTION": accepted.one_of("auto", "journal", "inline"),
        "LLM_COST_JOURNAL_DIR": accepted.optional_path,
        "LLM_COST_JOURNAL_FSYNC": accepted.one_of("never", "interval", "always"),
        "LLM_COST_JOURNAL_MAX_BYTES": accepted.integer(1 << 20, 1 << 40),
        "LLM_COST_STORAGE": accepted.one_of("database", "log"),
        "LLM_COST_STORAGE_ERROR": accepted.one_of("warn", "ignore", "raise"),
        "LLM_COST_BIND_KEY": accepted.optional_text,
        "LLM_COST_READ_BIND_KEY": accepted.optional_text,
        "LLM_COST_SERVICE": accepted.optional_text,
        "LLM_COST_TIMEZONE": accepted.zone,
        "LLM_COST_ROLLUP_TAGS": accepted.tag_keys,
        "LLM_COST_CURRENCY": accepted.currency,
        "LLM_COST_PRICES_FILE": accepted.optional_path,
        "LLM_COST_PRICING_OVERRIDES": accepted.mapping,
        "LLM_COST_DISCOUNTS": accepted.discounts,
        "LLM_COST_UNKNOWN_PRICING": accepted.one_of("warn", "ignore", "raise"),
        "LLM_COST_BUDGETS": accepted.budgets,
        "LLM_COST_MONTHLY_BUDGET": accepted.optional_amount,
        "LLM_COST_DAILY_BUDGET": accepted.optional_amount,
        "LLM_COST_PER_CALL_BUDGET": accepted.optional_amount,
        "LLM_COST_BUDGET_ENFORCEMENT": accepted.one_of("notify", "raise", "block", "reserve"),
        "LLM_COST_PROVIDER_HOSTS": accepted.hosts,
        "LLM_COST_REQUEST_STREAM_USAGE": accepted.boolean,
        "LLM_COST_DASHBOARD": accepted.boolean,
        "LLM_COST_URL_PREFIX": accepted.url_prefix,
        "LLM_COST_MAX_TAGS": accepted.integer(0, 1000),
        "LLM_COST_REDACTED_TAG_KEYS": accepted.names,
        "LLM_COST_CELERY_TAGS": accepted.boolean,
        "LLM_COST_BUFFER_SIZE": accepted.integer(1, 1_000_000),
        "LLM_COST_SHUTDOWN_TIMEOUT": accepted.seconds,
        "LLM_COST_ALERT_LOG": accepted.boolean,
        "LLM_COST_ALERT_WEBHOOK_URL": accepted.secret_url(
            "https://hooks.slack.com/services/...", "https", "http"
        ),
        "LLM_COST_ALERT_EMAIL_TO": accepted.addresses,
        "LLM_COST_ALERT_EMAIL_FROM": accepted.optional_address,
        "LLM_COST_ALERT_SMTP_URL": accepted.secret_url(
            "smtp://user:password@mail.example.com:587", "smtp", "smtps"
        ),
    }
)

#: Every configuration key, in the order of the documentation.
KEYS = tuple(PREFIX + item.name.upper() for item in fields(Config))
