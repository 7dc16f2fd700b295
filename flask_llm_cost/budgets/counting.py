"""Begin a window with the calls that were recorded before anybody counted them."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection
from sqlalchemy import update

from . import statements
from .matching import Claim
from .matching import WindowKey
from .statements import WINDOWS
from .tally import Sums

_ZERO = Decimal(0)


def held_rows(connection: Connection, claims: Mapping[WindowKey, Claim]) -> dict[WindowKey, Any]:
    """The rows of these claims, made where they are missing, and ours until the end."""
    rows = statements.windows_at(connection, claims, lock=True)
    if missing := sorted(claims.keys() - rows.keys()):
        for key in missing:
            statements.insert_window(connection, claims[key])
        rows = statements.windows_at(connection, claims, lock=True)
    return rows


def count_recorded(connection: Connection, claims: Iterable[Claim]) -> None:
    """Let these windows hold all calls that are recorded, those of this transaction included.

    Their rows are ours: who inserts calls meanwhile waits for them, and adds them afterwards.
    """
    for claim in claims:
        cost, calls, blocked = connection.execute(
            statements.sum_of_calls(claim.budget, claim.scope, claim.window)
        ).one()
        connection.execute(
            update(WINDOWS)
            .where(statements.is_key(claim.key))
            .values(spent=cost or _ZERO, calls=calls, blocked_calls=blocked, is_counted=True)
        )


def begin(connection: Connection, claim: Claim, sums: Sums) -> None:
    """Make a window's row where ``sums``, of this transaction's calls, could not be added to one."""
    rows = held_rows(connection, {claim.key: claim})
    if rows[claim.key].is_counted:  # somebody was faster, and did not see this transaction's
        statements.add_at(connection, claim.key, sums)
    else:
        count_recorded(connection, [claim])
