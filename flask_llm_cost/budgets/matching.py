"""Which calls a budget counts, and whose limit each of them is under."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..events import Event
from ..events import OpenCall
from .declaration import Budget
from .windows import Window
from .windows import window_of

_TAG = "tag:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a call that budgets ask for.

    :param models: its names: the one that was asked for, and the one that answered where it has.
    """

    provider: str
    models: tuple[str, ...]
    occurred_at: datetime
    user_id: str | None = None
    request_type: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_call(cls, call: OpenCall) -> Facts:
        """What is known when a call begins."""
        who, model = call.attribution, call.start.requested_model
        return cls(
            provider=call.start.provider,
            models=(model,) if model else (),
            occurred_at=call.occurred_at,
            user_id=who.user_id,
            request_type=who.request_type,
            tags=who.tags,
        )

    @classmethod
    def of_event(cls, event: Event) -> Facts:
        """What is known when it is over: all that was when it began, and more."""
        return cls(
            provider=event.provider,
            models=(event.model, event.requested_model or event.model),
            occurred_at=event.occurred_at,
            user_id=event.user_id,
            request_type=event.request_type,
            tags=event.tags,
        )

    @classmethod
    def of_row(cls, call: Mapping[str, Any]) -> Facts:
        """The same of a row of ``llm_cost_calls``."""
        return cls(
            provider=call["provider"],
            models=(call["model"], call["requested_model"] or call["model"]),
            occurred_at=call["occurred_at"],
            user_id=call["user_id"],
            request_type=call["request_type"],
            tags=call["tags"] or {},
        )


@dataclass(frozen=True, slots=True, order=True)
class WindowKey:
    """Names one row of ``llm_cost_budgets``. Their order is the one in which every transaction locks them."""

    budget: str
    definition: str
    scope: str
    start: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """A budget that counts a call: whose limit the call is under, and in which window."""

    budget: Budget
    scope: str
    window: Window

    @property
    def key(self) -> WindowKey:
        return WindowKey(self.budget.name, self.budget.definition, self.scope, self.window.start)


@dataclass(frozen=True, slots=True)
class Demand:
    """A claim, and the amount that is to be set aside for the call."""

    claim: Claim
    amount: Decimal

    @property
    def key(self) -> WindowKey:
        return self.claim.key


def claims_of(budgets: Iterable[Budget], facts: Facts) -> Iterator[Claim]:
    """The budgets among these that count the call."""
    for budget in budgets:
        if counts(budget, facts):
            yield claim_of(budget, facts)


def claim_of(budget: Budget, facts: Facts) -> Claim:
    """Whose limit the call is under, and in which window."""
    return Claim(budget, scope_of(budget, facts), window_of(budget.period, facts.occurred_at, budget.zone))


def counts(budget: Budget, facts: Facts) -> bool:
    """Whether the budget is about this call."""
    return all(_values_of(name, facts) & set(wanted) for name, wanted in budget.where.items())


def could_count(budget: Budget, facts: Facts) -> bool:
    """Whether it is about this call, or would be with some provider or model that is not known here."""
    unknown = {"provider": not facts.provider, "model": not facts.models}
    return all(
        unknown.get(name) or _values_of(name, facts) & set(wanted) for name, wanted in budget.where.items()
    )


def scope_of(budget: Budget, facts: Facts) -> str:
    """Whose limit it is under; ``""`` stands for all, and for all calls without a value."""
    if budget.per is None:
        return ""
    return next(iter(_values_of(budget.per, facts)), "")


def _values_of(name: str, facts: Facts) -> set[str]:
    if name.startswith(_TAG):
        value = facts.tags.get(name.removeprefix(_TAG))
    elif name == "model":
        return set(facts.models)
    else:
        value = {"provider": facts.provider, "user": facts.user_id, "request_type": facts.request_type}[name]
    return {value} if value else set()
