"""The statements of budgets. Who changes a window's amounts holds its row; rows are locked in key order."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy import ColumnElement
from sqlalchemy import Connection
from sqlalchemy import Row
from sqlalchemy import Select
from sqlalchemy import Update
from sqlalchemy import and_
from sqlalchemy import bindparam
from sqlalchemy import case
from sqlalchemy import delete
from sqlalchemy import func
from sqlalchemy import insert
from sqlalchemy import not_
from sqlalchemy import or_
from sqlalchemy import select
from sqlalchemy import true
from sqlalchemy import update

from ..ledger import Base
from ..ledger.rows import CALLS
from ..ledger.rows import TAGS
from ..ledger.statements import insert_ignoring
from ..ledger.types import Money
from .clock import now_ms
from .declaration import Budget
from .matching import Claim
from .matching import WindowKey
from .windows import Window

WINDOWS = Base.metadata.tables["llm_cost_budgets"]
LIMITS = Base.metadata.tables["llm_cost_budget_limits"]
RESERVATIONS = Base.metadata.tables["llm_cost_reservations"]
ALERTS = Base.metadata.tables["llm_cost_alerts"]

#: The columns of a window that are added to.
SUMS = (
    "spent",
    "reserved",
    "unpriced",
    "excess",
    "estimated",
    "settled",
    "calls",
    "blocked_calls",
)
_ZERO = Decimal(0)
_AT_ONCE = 200

Released = Row[str, int, Decimal]


def is_key(key: WindowKey) -> ColumnElement[bool]:
    """The row of that key."""
    row = WINDOWS.columns
    return and_(
        row.budget == key.budget,
        row.definition == key.definition,
        row.scope == key.scope,
        row.window_start == key.start,
    )


def windows_at(
    connection: Connection, keys: Iterable[WindowKey], *, lock: bool
) -> dict[WindowKey, Row[*tuple[object, ...]]]:
    """The rows of these keys that there are; with ``lock`` nobody else changes them until the end."""
    row = WINDOWS.columns
    wanted = sorted(keys)
    if not wanted:
        return {}
    statement = select(WINDOWS).where(or_(*map(is_key, wanted)))
    statement = statement.order_by(row.budget, row.definition, row.scope, row.window_start)
    found = connection.execute(statement.with_for_update() if lock else statement)
    return {WindowKey(each.budget, each.definition, each.scope, each.window_start): each for each in found}


def windows_with_limits(connection: Connection, keys: Iterable[WindowKey]) -> dict[WindowKey, Any]:
    """The rows of these keys that there are, each with the limit that was set by command, if one was."""
    row, limit = WINDOWS.columns, LIMITS.columns
    wanted = sorted(keys)
    if not wanted:
        return {}
    with_limits = WINDOWS.outerjoin(LIMITS, and_(limit.budget == row.budget, limit.scope == row.scope))
    statement = select(WINDOWS, limit.limit_amount).select_from(with_limits).where(or_(*map(is_key, wanted)))
    found = connection.execute(statement)
    return {WindowKey(each.budget, each.definition, each.scope, each.window_start): each for each in found}


def limits_set(connection: Connection, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Decimal]:
    """The limits that were set by command, of these budgets and values."""
    limit = LIMITS.columns
    wanted = [and_(limit.budget == budget, limit.scope == scope) for budget, scope in pairs]
    if not wanted:
        return {}
    return {
        (each.budget, each.scope): each.limit_amount
        for each in connection.execute(select(LIMITS).where(or_(*wanted)))
    }


def add_reservation(connection: Connection, claim: Claim, amount: Decimal, event_id: str) -> bool:
    """Note that an amount is set aside; whether the window's row is there.

    Its id is asked for before, and not in the same statement: the row may come up between that one and
    :func:`take`, and an amount would be taken that nobody could ever claim.
    """
    window_id = connection.execute(_ID, _bound(claim.key)).scalar()
    if window_id is None:
        return False
    values = {"event": event_id, "window": window_id, "amount": amount, "lease": claim.budget.lease * 1000}
    connection.execute(_RESERVE, values)
    return True


def take(connection: Connection, claim: Claim, amount: Decimal, declared: Decimal) -> bool:
    """Set an amount aside if it fits; whether it did. From here to the commit the row is held."""
    values = {**_bound(claim.key), "amount": amount, "declared": declared}
    return connection.execute(_TAKE, values).rowcount == 1


def _bound(key: WindowKey) -> dict[str, Any]:
    return {
        "of_budget": key.budget,
        "of_definition": key.definition,
        "of_scope": key.scope,
        "of_start": key.start,
    }


def _is_bound_key() -> ColumnElement[bool]:
    row = WINDOWS.columns
    return and_(
        row.budget == bindparam("of_budget"),
        row.definition == bindparam("of_definition"),
        row.scope == bindparam("of_scope"),
        row.window_start == bindparam("of_start"),
    )


def _taking() -> Update:
    row, limit = WINDOWS.columns, LIMITS.columns
    told = (
        select(limit.limit_amount)
        .where(limit.budget == bindparam("of_budget"), limit.scope == bindparam("of_scope"))
        .scalar_subquery()
    )
    in_force = func.coalesce(told, bindparam("declared", type_=Money()), type_=Money())
    amount = bindparam("amount", type_=Money())
    fits = row.spent + row.unpriced + row.reserved + amount <= in_force
    return update(WINDOWS).where(_is_bound_key(), row.is_counted, fits).values(reserved=row.reserved + amount)


# Each call that reserves runs these: they are built once.
_ID = select(WINDOWS.columns.id).where(_is_bound_key())
_TAKE = _taking()
_RESERVE = insert(RESERVATIONS).values(
    event_id=bindparam("event"),
    budget_id=bindparam("window"),
    amount=bindparam("amount", type_=Money()),
    expires_at=now_ms() + bindparam("lease", type_=BigInteger()),
)


def renew(connection: Connection, event_ids: Sequence[str], milliseconds: int) -> None:
    """Put off the end of the reservations of these calls, where it has not come."""
    connection.execute(
        update(RESERVATIONS)
        .where(RESERVATIONS.columns.event_id.in_(event_ids))
        .values(expires_at=now_ms() + milliseconds)
    )


def claim_reservations(connection: Connection, event_ids: Iterable[str]) -> list[Released]:
    """Delete the reservations of these calls: their amounts are the caller's to take back, nobody else's."""
    ids = sorted(event_ids)
    found: list[Released] = []
    for first in range(0, len(ids), _AT_ONCE):
        found += _claim(connection, RESERVATIONS.columns.event_id.in_(ids[first : first + _AT_ONCE]))
    return found


def claim_expired(connection: Connection, window_id: int) -> list[Released]:
    """Delete the reservations of a window whose time is over."""
    lease = RESERVATIONS.columns
    return _claim(connection, and_(lease.budget_id == window_id, lease.expires_at <= now_ms()))


def has_expired(connection: Connection, key: WindowKey) -> bool:
    """Whether there is a reservation in a window whose time is over."""
    lease = RESERVATIONS.columns
    expired = select(lease.event_id).where(
        lease.budget_id == select(WINDOWS.columns.id).where(is_key(key)).scalar_subquery(),
        lease.expires_at <= now_ms(),
    )
    return connection.execute(expired.limit(1)).first() is not None


def _claim(connection: Connection, which: ColumnElement[bool]) -> list[Released]:
    lease = RESERVATIONS.columns
    found = connection.execute(
        select(lease.event_id, lease.budget_id, lease.amount)
        .where(which)
        .order_by(lease.event_id, lease.budget_id)
        .with_for_update()
    ).all()
    if found:
        # Exactly those that were found: all of these events, or those of one window.
        events, windows = {each.event_id for each in found}, {each.budget_id for each in found}
        connection.execute(
            delete(RESERVATIONS).where(lease.event_id.in_(events), lease.budget_id.in_(windows))
        )
    return list(found)


def keys_of(connection: Connection, window_ids: Iterable[int]) -> dict[int, WindowKey]:
    """The keys of these rows."""
    row = WINDOWS.columns
    ids = sorted(set(window_ids))
    if not ids:
        return {}
    columns = (row.id, row.budget, row.definition, row.scope, row.window_start)
    found = connection.execute(select(*columns).where(row.id.in_(ids)))
    return {each.id: WindowKey(*each[1:]) for each in found}


def add_at(connection: Connection, key: WindowKey, sums: dict[str, Decimal | int]) -> bool:
    """Add to a window's amounts; whether its row is there, and counted."""
    row = WINDOWS.columns
    changes = {name: row[name] + value for name, value in sums.items() if value}
    if not changes:
        return True
    return (
        connection.execute(update(WINDOWS).where(is_key(key), row.is_counted).values(**changes)).rowcount == 1
    )


def add(connection: Connection, window_id: int, sums: dict[str, Decimal | int]) -> None:
    """Add to a window's amounts."""
    row = WINDOWS.columns
    changes = {name: row[name] + value for name, value in sums.items() if value}
    if changes:
        connection.execute(update(WINDOWS).where(row.id == window_id).values(**changes))


def insert_window(connection: Connection, claim: Claim) -> None:
    """Make a window's row, not counted yet, unless it is there."""
    connection.execute(
        insert_ignoring(WINDOWS, ("budget", "definition", "scope", "window_start"), connection.dialect.name),
        {
            "budget": claim.budget.name,
            "definition": claim.budget.definition,
            "scope": claim.scope,
            "window_start": claim.window.start,
            "window_end": claim.window.end,
            **dict.fromkeys(SUMS, _ZERO),
            "calls": 0,
            "blocked_calls": 0,
            "is_counted": False,
        },
    )


def sum_of_calls(budget: Budget, scope: str, window: Window) -> Select[Decimal | None, int, int]:
    """What the recorded calls of a window have cost, how many they are, and how many were refused."""
    call = CALLS.columns
    blocked = func.count(case((call.status == "blocked", 1)))
    return select(func.sum(call.total_cost), func.count() - blocked, blocked).where(
        _within(call.occurred_at, window),
        *(_is_one_of(name, wanted, window) for name, wanted in budget.where.items()),
        true() if budget.per is None else _is_scope(budget.per, scope, window),
    )


def calls_without_cost(budget: Budget, scope: str, window: Window) -> Select[int]:
    """How many answered calls of a window have no known cost."""
    call = CALLS.columns
    return (
        sum_of_calls(budget, scope, window)
        .with_only_columns(func.count())
        .where(call.cost_status == "unknown", call.http_status.between(200, 299))
    )


def _within(column: ColumnElement[object], window: Window) -> ColumnElement[bool]:
    after = column >= window.start
    return after if window.end is None else and_(after, column < window.end)


def _is_one_of(name: str, values: Sequence[str], window: Window) -> ColumnElement[bool]:
    call = CALLS.columns
    if name.startswith("tag:"):
        return call.id.in_(_tagged(name, window).where(TAGS.columns.value.in_(values)))
    if name == "model":
        return or_(call.model.in_(values), call.requested_model.in_(values))
    return call[_COLUMN_OF[name]].in_(values)


def _is_scope(per: str, scope: str, window: Window) -> ColumnElement[bool]:
    if scope:
        return _is_one_of(per, (scope,), window)
    if per == "user":
        return CALLS.columns.user_id.is_(None)
    return not_(CALLS.columns.id.in_(_tagged(per, window)))


def _tagged(name: str, window: Window) -> Select[int]:
    tag = TAGS.columns
    key = tag.key == name.removeprefix("tag:")
    return select(tag.call_id).where(key, _within(tag.occurred_at, window))


_COLUMN_OF = {"provider": "provider", "user": "user_id", "request_type": "request_type"}
