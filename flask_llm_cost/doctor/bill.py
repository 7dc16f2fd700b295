"""Whether providers' bills agree with the ledger, where any was ever imported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from ..ledger import Ledger
from ..reconciliation import ImportState
from ..reconciliation import Period
from ..reconciliation import compare
from ..reconciliation import imports
from ..wording import plain_digits
from ..wording import plural
from .check import Check
from .check import ok
from .check import warn

#: Days after which the last import is old, and the days that are compared.
FRESH_DAYS = 14
_DAYS = 30


def bill(ledger: Ledger, now: datetime | None = None) -> Check:
    """When a bill was imported last, whether an import broke off, and whether the last 30 days drift."""
    now = now or datetime.now(UTC)
    found = imports(ledger)
    if not found:
        return ok("reconciliation", "No provider's bill was ever imported: nothing to compare with.")
    broken = [each for each in found if each.status != "complete"]
    if broken:
        return warn("reconciliation", _broken(broken), _again(broken[0].provider))
    last = found[0]
    age = (now - last.changed_at).days
    if age > FRESH_DAYS:
        return warn(
            "reconciliation", f"The last import, of {last.source}, is {age} days old.", _again(last.provider)
        )
    yesterday = now.date() - timedelta(days=1)
    compared = compare(ledger, Period.of_days(yesterday - timedelta(days=_DAYS - 1), yesterday))
    drifting = [row for row in compared.totals if row.drifts]
    if drifting:
        row = drifting[0]
        percent = f" ({row.percent:+.2f} %)" if row.percent is not None else ""
        return warn(
            "reconciliation",
            f"The ledger and the bill of {row.provider} differ by {plain_digits(row.size)} {row.currency}"
            f"{percent} in the last {_DAYS} days.",
            f"flask llm-cost reconcile diff --provider {row.provider} --by model --unmatched",
        )
    told = f"Of the last {_DAYS} days {plural(len(compared.totals), 'total')} of bills agree with the ledger."
    return ok("reconciliation", f"The last import is {plural(age, 'day')} old. {told}")


def _broken(broken: Sequence[ImportState]) -> str:
    first = broken[0]
    return f"{plural(len(broken), 'import')} did not end; the latest: {first.source} from {first.period}."


def _again(provider: str) -> str:
    return f"flask llm-cost reconcile import --provider {provider}"
