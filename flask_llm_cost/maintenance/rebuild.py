"""Make the rollups equal to the calls again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..ledger import Drift
from ..ledger import Ledger
from ..ledger import rollup_drift
from ..ledger.rollups import add_to_rollups
from ..ledger.rollups import correction

_ROWS_AT_ONCE = 500


def rebuild_rollups(ledger: Ledger, *, dry_run: bool = False) -> Sequence[Drift]:
    """Correct every rollup that differs from its calls, from the last prune on, and tell which did.

    What is missing is added instead of the sums being written anew, so calls that arrive meanwhile are
    neither lost nor counted twice. Run one rebuild at a time.

    :raises LedgerUnavailable: the database cannot be used now; start again.
    """
    with ledger.session() as session:
        found = rollup_drift(session)
    if not dry_run:
        for start in range(0, len(found), _ROWS_AT_ONCE):
            rows = [correction(drift) for drift in found[start : start + _ROWS_AT_ONCE]]
            ledger.transaction(partial(add_to_rollups, rows=rows))
    return found
