"""``Budget``: what an app declares. A value, checked when it is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from decimal import InvalidOperation
from types import MappingProxyType
from typing import Any
from typing import Literal
from typing import get_args
from zoneinfo import ZoneInfo
from zoneinfo import ZoneInfoNotFoundError

from ..errors import ConfigurationError
from ..money import MONEY_LIMIT
from ..money import MONEY_SCALE
from ..money import to_scale
from .estimate import EstimateRequest
from .windows import Period

Enforcement = Literal["notify", "raise", "block", "reserve"]
OnUnavailable = Literal["allow", "block"]
Amount = Decimal | str | int
Exceptions = Callable[[str], Amount | None]
EstimateRule = Callable[[EstimateRequest], Amount | None]

#: A limit is below this, in USD: what sums in the ledger of every database hold.
LIMIT = MONEY_LIMIT * 9
THRESHOLDS = (Decimal("0.5"), Decimal("0.8"), Decimal(1))
_COLUMNS = ("provider", "model", "user", "request_type")
_TAG = "tag:"
_NAME_LENGTH = 64


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Budget:
    """A limit on what calls cost in a period.

    :param name: names the budget in errors, alerts, commands and pages; at most 64 characters.
    :param limit: in USD, a ``Decimal`` or a string.
    :param period: ``"call"``, ``"hour"``, ``"day"``, ``"week"`` (from Monday), ``"month"`` or ``"total"``.
    :param where: narrows the budget to some calls: ``provider``, ``model``, ``user``, ``request_type`` and
        ``tag:KEY``, each mapped to a value or to a list of values.
    :param per: gives each value a limit of its own: ``"user"``, ``"tag:KEY"``, or ``"tenant"`` for
        ``"tag:tenant"``. Calls without a value share one.
    :param enforcement: ``"notify"`` sends signals; ``"raise"`` also raises once a recorded call reaches the
        limit; ``"block"`` refuses to send a call when the limit is reached or an estimate would cross it;
        ``"reserve"`` sets each call's estimate aside before it is sent, so that calls at the same time cannot
        cross the limit together.
    :param thresholds: shares of the limit at which ``budget_threshold_reached`` is sent; the limit itself is
        always announced, by ``budget_exceeded``.
    :param on_unavailable: what to do with a call while the database cannot be asked: ``"allow"`` or
        ``"block"``; ``"block"`` for ``"reserve"`` where it is not given, else ``"allow"``.
    :param tz: an IANA zone name for days, weeks and months; ``LLM_COST_TIMEZONE`` where it is not given.
    :param estimate: for calls of which no upper bound can be told: an amount; or a callable that is asked
        instead of the built-in estimate, with an ``EstimateRequest``, and answers an amount or ``None``.
    :param exceptions: other limits for single values of ``per``: a mapping, or a callable that is given the
        value and answers an amount or ``None``. What ``flask llm-cost budgets set`` has stored goes before.
    :param lease: seconds for which a reservation stands without a sign of life of its process.
    :raises ConfigurationError: a value makes no sense; the message says which.
    """

    name: str
    limit: Decimal
    period: Period
    where: Mapping[str, tuple[str, ...]]
    per: str | None
    enforcement: Enforcement
    thresholds: tuple[Decimal, ...]
    on_unavailable: OnUnavailable
    tz: ZoneInfo | None
    estimate: Decimal | EstimateRule | None
    exceptions: Exceptions | None
    lease: int
    #: Stands for what the budget counts: another period, zone, filter or ``per`` begins to count anew.
    definition: str

    def __init__(
        self,
        name: str,
        limit: Amount,
        period: Period,
        *,
        where: Mapping[str, object] | None = None,
        per: str | None = None,
        enforcement: Enforcement = "notify",
        thresholds: Iterable[float | Decimal | str] = THRESHOLDS,
        on_unavailable: OnUnavailable | None = None,
        tz: str | ZoneInfo | None = None,
        estimate: Amount | EstimateRule | None = None,
        exceptions: Mapping[str, Amount] | Exceptions | None = None,
        lease: int = 300,
    ) -> None:
        if (
            not isinstance(name, str)
            or not name.strip()
            or len(name) > _NAME_LENGTH
            or not name.isprintable()
        ):
            raise ConfigurationError(f"A budget's name must be a text of 1 to {_NAME_LENGTH} characters.")
        name = name.strip()
        hard = enforcement == "reserve"
        zone = _zone(name, tz)
        said = {
            "name": name,
            "limit": amount(name, "limit", limit),
            "period": _one_of(name, "period", period, Period),
            "where": _where(name, where or {}),
            "per": _per(name, per),
            "enforcement": _one_of(name, "enforcement", enforcement, Enforcement),
            "thresholds": _thresholds(name, thresholds),
            "on_unavailable": _one_of(
                name, "on_unavailable", on_unavailable or ("block" if hard else "allow"), OnUnavailable
            ),
            "tz": zone,
            "estimate": estimate
            if estimate is None or callable(estimate)
            else amount(name, "estimate", estimate),
            "exceptions": _exceptions(name, exceptions),
            "lease": _lease(name, lease),
        }
        for field, value in said.items():
            object.__setattr__(self, field, value)
        object.__setattr__(self, "definition", _definition(self))

    def in_zone(self, zone: ZoneInfo) -> Budget:
        """This budget, with ``zone`` where it names none of its own."""
        if self.tz is not None:
            return self
        given = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "definition"}
        return Budget(**{**given, "tz": zone})

    @property
    def zone(self) -> ZoneInfo:
        return self.tz or ZoneInfo("UTC")

    def limit_of(self, scope: str) -> Decimal:
        """The declared limit of one value of ``per``. The host's callable may raise what it likes."""
        told = self.exceptions(scope) if self.exceptions is not None and self.per is not None else None
        return self.limit if told is None else amount(self.name, f"exception of {scope!r}", told)


def amount(budget: str, what: str, value: Any) -> Decimal:
    """``value`` in USD. :raises ConfigurationError: it is none."""
    accepted = f"Budget {budget!r}: {what} must be an amount in USD such as '100' or Decimal('0.25')"
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise ConfigurationError(f"{accepted}, got {value!r}; a float would not be exact.")
    try:
        found = Decimal(value)
    except InvalidOperation as error:
        raise ConfigurationError(f"{accepted}, got {value!r}.") from error
    if not found.is_finite() or not 0 <= found < LIMIT:
        raise ConfigurationError(f"{accepted}, from 0 to {LIMIT}, got {value!r}.")
    return to_scale(found, MONEY_SCALE)


def _one_of(budget: str, what: str, value: Any, literal: Any) -> Any:
    if value not in get_args(literal):
        known = ", ".join(map(repr, get_args(literal)))
        raise ConfigurationError(f"Budget {budget!r}: {what} must be one of {known}, got {value!r}.")
    return value


def _where(budget: str, where: Any) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(where, Mapping):
        raise ConfigurationError(f"Budget {budget!r}: where must be a mapping, got {where!r}.")
    found: dict[str, tuple[str, ...]] = {}
    for field, values in sorted(where.items()):
        if field not in _COLUMNS and not (str(field).startswith(_TAG) and len(field) > len(_TAG)):
            known = ", ".join((*_COLUMNS, "tag:KEY"))
            raise ConfigurationError(f"Budget {budget!r}: where knows {known}; it does not know {field!r}.")
        several = values if isinstance(values, list | tuple | set | frozenset) else (values,)
        found[field] = tuple(sorted({_value(budget, field, value) for value in several}))
        if not found[field]:
            raise ConfigurationError(f"Budget {budget!r}: where names no value for {field}.")
    return MappingProxyType(found)


def _value(budget: str, field: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or str(value).strip() == "":
        raise ConfigurationError(
            f"Budget {budget!r}: where={{{field!r}: ...}} must be a text or a list of texts, got {value!r}."
        )
    return str(value).strip()


def _per(budget: str, per: object) -> str | None:
    if per == "tenant":
        return f"{_TAG}tenant"
    if per is None or per == "user":
        return None if per is None else "user"
    if (
        per is None
        or per == "user"
        or (isinstance(per, str) and per.startswith(_TAG) and len(per) > len(_TAG))
    ):
        return per
    raise ConfigurationError(f"Budget {budget!r}: per must be 'user', 'tenant' or 'tag:KEY', got {per!r}.")


def _thresholds(budget: str, thresholds: Any) -> tuple[Decimal, ...]:
    try:
        found = {Decimal(str(share)) for share in thresholds}
    except (InvalidOperation, TypeError) as error:
        raise ConfigurationError(
            f"Budget {budget!r}: thresholds must be shares of the limit such as (0.5, 0.8, 1.0)."
        ) from error
    if not all(share.is_finite() and 0 < share <= 10 for share in found):
        raise ConfigurationError(f"Budget {budget!r}: each threshold must be above 0 and at most 10.")
    return tuple(sorted({*found, Decimal(1)}))


def _zone(budget: str, tz: Any) -> ZoneInfo | None:
    if tz is None or isinstance(tz, ZoneInfo):
        return tz
    try:
        return ZoneInfo(str(tz))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"Budget {budget!r}: tz must be an IANA time zone name such as 'Europe/Berlin', got {tz!r}."
        ) from error


def _exceptions(budget: str, exceptions: Mapping[str, Amount] | Exceptions | None) -> Exceptions | None:
    if exceptions is None or callable(exceptions):
        return exceptions
    if not isinstance(exceptions, Mapping):
        raise ConfigurationError(f"Budget {budget!r}: exceptions must be a mapping or a callable.")
    limits = {
        str(value): amount(budget, f"exception of {value!r}", limit) for value, limit in exceptions.items()
    }
    return limits.get


def _lease(budget: str, seconds: Any) -> int:
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= 86_400:
        raise ConfigurationError(f"Budget {budget!r}: lease must be whole seconds from 1 to 86400.")
    return seconds


def _definition(budget: Budget) -> str:
    counted = [budget.period, budget.zone.key, dict(budget.where), budget.per]
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()[:16]
