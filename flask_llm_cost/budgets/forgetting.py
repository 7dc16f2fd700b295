"""Take a value that stands for a person out of what budgets keep.

Its windows go on as those of the calls without a value, which is what its calls are by then: no window loses
or gains an amount, and every one equals its calls. An alert stays, as one of a value that was forgotten: told
of the calls without a value, it would keep an alert of theirs from being told.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import Table
from sqlalchemy import and_
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import select
from sqlalchemy import update

from ..ledger.rows import CALLS
from ..ledger.rows import TAGS
from . import statements
from .counting import begin
from .counting import count_recorded
from .counting import held_rows
from .declaration import Budget
from .matching import Claim
from .matching import WindowKey
from .statements import ALERTS
from .statements import LIMITS
from .statements import RESERVATIONS
from .statements import SUMS
from .statements import WINDOWS
from .tally import Tally
from .tally import merged
from .tally import tally
from .windows import Window

_KEY = ("budget", "definition", "scope", "window_start")
_WINDOWS_AT_ONCE = 200

Calls = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, order=True)
class Value:
    """A value with a limit of its own.

    :param per: ``"user"`` or ``"tag:KEY"``; ``""`` of a budget that is not declared: nobody knows what of.
    """

    per: str
    text: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """How many windows, alerts and limits that were set by command named a value."""

    windows: int = 0
    alerts: int = 0
    limits: int = 0

    @property
    def rows(self) -> int:
        return self.windows + self.alerts + self.limits

    def plus(self, more: Cleared) -> Cleared:
        """Both together."""
        return Cleared(self.windows + more.windows, self.alerts + more.alerts, self.limits + more.limits)


def follow(connection: Connection, budgets: Sequence[Budget], before: Calls, after: Calls) -> None:
    """Let windows follow calls that this transaction has changed: whose they are, not what they cost."""
    nothing: dict[str, list[tuple[WindowKey, Decimal]]] = {}
    gone, come = tally(before, budgets, nothing, sign=-1), tally(after, budgets, nothing)
    moved = merged(Tally(spent=come.spent, settled=gone.spent))
    changes = {key: sums for key, sums in moved.items() if any(sums.values())}
    rows = statements.windows_at(connection, changes, lock=True)
    # Where nobody has counted the window of before, its calls are counted when somebody asks; so are others'.
    kept = {replace(key, scope="") for key in rows}
    for key in sorted(changes):
        if key in rows:
            statements.add_at(connection, key, changes[key])
        elif key in come.claims and replace(key, scope="") in kept:
            begin(connection, come.claims[key], changes[key])


def forget_some(connection: Connection, budgets: Sequence[Budget], value: Value) -> Cleared:
    """Forget a value, at most some windows of it at a time, unless a call has it still."""
    row = WINDOWS.columns
    keys = select(*(row[name] for name in _KEY)).where(_named(WINDOWS, budgets, value))
    ordered = keys.order_by(*(row[name] for name in _KEY)).limit(_WINDOWS_AT_ONCE)
    found = [WindowKey(*each) for each in connection.execute(ordered)]
    rows = statements.windows_at(connection, found, lock=True)
    if _is_of_a_call(connection, value):
        return Cleared()
    _merge_windows(connection, rows, {(budget.name, budget.definition): budget for budget in budgets})
    limits = connection.execute(delete(LIMITS).where(_named(LIMITS, budgets, value))).rowcount
    return Cleared(len(rows), _forget_alerts(connection, budgets, value), limits)


def count_named(connection: Connection, budgets: Sequence[Budget], value: Value) -> Cleared:
    """What names a value now."""
    windows, alerts, limits = (
        connection.execute(
            select(func.count()).select_from(table).where(_named(table, budgets, value))
        ).scalar_one()
        for table in (WINDOWS, ALERTS, LIMITS)
    )
    return Cleared(windows, alerts, limits)


def undeclared(connection: Connection, budgets: Sequence[Budget], texts: Iterable[str]) -> frozenset[str]:
    """The names of budgets that are not declared and have one of these values."""
    wanted, known = sorted(texts), [budget.name for budget in budgets]
    return frozenset(
        name
        for table in (WINDOWS, ALERTS, LIMITS)
        for name in connection.execute(
            select(table.columns.budget)
            .where(table.columns.budget.not_in(known), table.columns.scope.in_(wanted))
            .distinct()
        ).scalars()
    )


def _named(table: Table, budgets: Sequence[Budget], value: Value) -> ColumnElement[bool]:
    name = table.columns.budget
    if value.per:
        about = name.in_([budget.name for budget in budgets if budget.per == value.per])
    else:
        about = name.not_in([budget.name for budget in budgets])
    return and_(about, table.columns.scope == value.text)


def _is_of_a_call(connection: Connection, value: Value) -> bool:
    if not value.per:
        return False
    call, tag = CALLS.columns, TAGS.columns
    if value.per == "user":
        wanted = select(call.id).where(call.user_id == value.text)
    else:
        key = value.per.removeprefix("tag:")
        wanted = select(tag.call_id).where(tag.key == key, tag.value == value.text)
    return connection.execute(wanted.limit(1)).first() is not None


def _merge_windows(
    connection: Connection, rows: Mapping[WindowKey, Any], declared: Mapping[tuple[str, str], Budget]
) -> None:
    claims = {}
    for key, row in rows.items():
        if (budget := declared.get((key.budget, key.definition))) is not None:
            claims[replace(key, scope="")] = Claim(budget, "", Window(row.window_start, row.window_end))
    commons = held_rows(connection, claims)
    count_recorded(connection, [claim for key, claim in claims.items() if not commons[key].is_counted])
    others = {replace(key, scope="") for key in rows} - claims.keys()
    commons |= statements.windows_at(connection, others, lock=True)
    for key, row in rows.items():
        if (common := commons.get(replace(key, scope=""))) is not None:
            _merge(connection, row, common.id)
        else:  # whoever declares its budget counts it
            renamed = update(WINDOWS).where(WINDOWS.columns.id == row.id)
            connection.execute(renamed.values(scope="", is_counted=False))


def _merge(connection: Connection, row: Any, common_id: int) -> None:
    statements.add(connection, common_id, {name: getattr(row, name) for name in SUMS})
    lease = RESERVATIONS.columns
    connection.execute(update(RESERVATIONS).where(lease.budget_id == row.id).values(budget_id=common_id))
    connection.execute(delete(WINDOWS).where(WINDOWS.columns.id == row.id))


def _forget_alerts(connection: Connection, budgets: Sequence[Budget], value: Value) -> int:
    column = ALERTS.columns
    ids = connection.execute(select(column.id).where(_named(ALERTS, budgets, value))).scalars().all()
    for alert_id in ids:
        connection.execute(
            update(ALERTS).where(column.id == alert_id).values(scope=f"[forgotten {alert_id}]")
        )
    return len(ids)
