"""The tables of the page of budgets: values with a limit of their own, alerts, and what was not sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from ..budgets import BudgetStatus
from ..budgets.alerting.history import PastAlert
from ..budgets.alerting.history import Told
from ..budgets.projection import projected
from ..ledger import LlmCall
from ..wording import plural
from . import formats
from .budget_calls import BudgetCalls
from .responses import link
from .tables import Cell
from .tables import Column
from .tables import Row
from .tables import Table
from .tables import aligned

#: How far back the page looks for calls that were not sent.
BLOCKED_DAYS = 31


def values_table(name: str, statuses: Sequence[BudgetStatus], calls: BudgetCalls, now: datetime) -> Table:
    """Every value of a budget that has a limit for each."""
    columns = (
        Column(label="Value"),
        Column(label="Spent", unit="USD", numeric=True),
        Column(label="Reserved", unit="USD", numeric=True),
        Column(label="Limit", unit="USD", numeric=True),
        Column(label="Used", numeric=True, roomy=True),
        Column(label="At the end", unit="USD", numeric=True),
        Column(label="Calls", numeric=True),
        Column(label="Blocked", numeric=True),
    )
    rows = tuple(_value_row(status, calls, now) for status in statuses)
    caption = f"{plural(len(statuses), 'value')} with a limit of their own, the dearest first"
    return aligned(Table(name=name, caption=caption, columns=columns, rows=rows, hidden_caption=True))


#: Every number of a budget's window, as files name it.
_STATUS = (
    "budget",
    "scope",
    "period",
    "enforcement",
    "window_start",
    "window_end",
    "limit",
    "spent",
    "reserved",
    "unpriced",
    "remaining",
    "projected",
    "calls",
    "blocked_calls",
    "estimated",
    "settled",
    "excess",
)


def statuses_table(statuses: Sequence[BudgetStatus], now: datetime) -> Table:
    """Every budget and value in the window of now, for files."""
    return Table(
        name="budgets",
        caption="Budgets",
        columns=tuple(Column(label=name) for name in _STATUS),
        rows=tuple(
            tuple(
                _told_value(projected(each, now) if name == "projected" else getattr(each, name))
                for name in _STATUS
            )
            for each in statuses
        ),
    )


def _told_value(value: object) -> Cell:
    if value is None or value == "":
        return Cell(text="", absent=True)
    if isinstance(value, datetime):
        return Cell(text="", value=value.astimezone(UTC).isoformat().replace("+00:00", "Z"))
    return Cell(text="", value=value if isinstance(value, Decimal | int) else str(value))


def _value_row(status: BudgetStatus, calls: BudgetCalls, now: datetime) -> Row:
    all_calls, blocked = calls.of(status), calls.of(status, status="blocked")
    share = None if status.share is None else float(min(Decimal(1), status.share) * 100)
    return (
        Cell(
            text=status.scope or "without a value",
            title=status.scope,
            href=all_calls,
            muted=not status.scope,
        ),
        Cell.of(formats.money(status.used), all_calls),
        Cell.of(formats.money(status.reserved)),
        Cell.of(formats.money(status.limit)),
        replace(
            Cell.of(formats.percent(status.used, status.limit), share=share),
            sign="reached\u202f" if status.is_reached else "",
        ),
        _expected(status, now),
        Cell.of(formats.number(status.calls), all_calls),
        Cell.of(formats.number(status.blocked_calls), blocked),
    )


def _expected(status: BudgetStatus, now: datetime) -> Cell:
    amount = projected(status, now)
    if amount is None:
        return Cell(text="too early", muted=True) if status.window_end else Cell(text="no end", muted=True)
    return Cell.of(formats.money(amount))


def alerts_table(alerts: Sequence[PastAlert], zone: ZoneInfo) -> Table:
    """What was told, the newest first."""
    columns = (
        Column(label="Reached", unit=zone.key),
        Column(label="Window from", unit=zone.key),
        Column(label="Budget"),
        Column(label="Value"),
        Column(label="Threshold", numeric=True),
        Column(label="Spent", unit="USD", numeric=True),
        Column(label="Limit", unit="USD", numeric=True),
        Column(label="Told"),
    )
    rows = tuple(
        (
            Cell(text=formats.moment(each.reached_at, zone), moment=each.reached_at.isoformat()),
            Cell(text=formats.moment(each.window_start, zone), moment=each.window_start.isoformat()),
            Cell(text=each.budget, title=each.budget),
            _or_none(each.scope),
            Cell.of(formats.percent(each.threshold, 1)),
            Cell.of(formats.money(each.spent)),
            Cell.of(formats.money(each.limit)),
            _told_cell(each.told),
        )
        for each in alerts
    )
    return aligned(Table(name="alerts", caption="Alerts", columns=columns, rows=rows))


def _told_cell(told: Sequence[Told]) -> Cell:
    if not told:
        return Cell(text="signal and log only", muted=True)
    bad = any(each.is_given_up or (each.failure and not each.delivered_at) for each in told)
    words = ", ".join(each.words for each in told)
    return Cell(text=words, title=words, tone="error" if bad else "")


def blocked_table(calls: Sequence[LlmCall], zone: ZoneInfo) -> Table:
    """Calls that were refused before they were sent, the newest first."""
    columns = (
        Column(label="Refused", unit=zone.key),
        Column(label="Model"),
        Column(label="Provider"),
        Column(label="User"),
        Column(label="Endpoint"),
        Column(label="Reason"),
    )
    rows = tuple(
        (
            Cell(
                text=formats.moment(each.occurred_at, zone),
                moment=each.occurred_at.isoformat(),
                href=link(".call", {}, call_id=each.id),
            ),
            Cell(text=each.model, title=each.model, code=True),
            Cell(text=each.provider),
            _or_none(each.user_id),
            _or_none(each.endpoint),
            _or_none(_REASONS.get(each.error_type or "", each.error_type)),
        )
        for each in calls
    )
    caption = f"Calls that were not sent in the last {BLOCKED_DAYS} days"
    return aligned(Table(name="blocked", caption=caption, columns=columns, rows=rows))


def _or_none(text: str | None) -> Cell:
    return Cell(text=text, title=text) if text else Cell(text="none", muted=True)


_REASONS = {
    "BudgetExceededError": "a limit",
    "BudgetUnavailableError": "budget could not be asked",
}
