"""Whether providers' bills agree with the ledger, where any was ever imported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from ..ledger import Ledger
from ..reconciliation import CSV
from ..reconciliation import ImportState
from ..reconciliation import Period
from ..reconciliation import broken_off
from ..reconciliation import compare
from ..reconciliation import imports
from ..wording import plain_digits
from ..wording import plural
from .check import Check
from .check import ok
from .check import warn

#: Days after which a provider's last import is old. Files come once a month.
FRESH_DAYS, _FRESH_DAYS_OF_FILES = 14, 45
#: The days that are compared.
_DAYS = 30
#: So many imports are looked at, the latest: of some months, where they are made every night.
_MOST = 1_000


def bill(ledger: Ledger, now: datetime | None = None) -> Check:
    """When bills were imported last, whether an import broke off, and whether the last 30 days drift."""
    now = now or datetime.now(UTC)
    found = imports(ledger, _MOST)
    if not found:
        return ok("reconciliation", "No provider's bill was ever imported: nothing to compare with.")
    if broken := broken_off(found):
        return warn("reconciliation", _broken(broken), _on(broken[0]))
    for last in {each.provider: each for each in reversed(found)}.values():
        days = (now - last.changed_at).days
        if days > (_FRESH_DAYS_OF_FILES if last.source == CSV else FRESH_DAYS):
            told = f"The last import of {last.provider} is {days} days old."
            return warn("reconciliation", told, _again(last))
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
    age = plural((now - found[0].changed_at).days, "day")
    return ok("reconciliation", f"The last import is {age} old. {told}")


def _broken(broken: Sequence[ImportState]) -> str:
    first = broken[0]
    return f"{plural(len(broken), 'import')} did not end; the latest: {first.source} from {first.period}."


def _again(last: ImportState) -> str:
    """Imports the days since then, which are those of the command where none are named."""
    command = f"flask llm-cost reconcile import --provider {last.provider}"
    return f"{command} --csv FILE" if last.source == CSV else command


def _on(broken: ImportState) -> str:
    """Goes on with an import where it stopped."""
    days = broken.period.days
    return _again(broken) if broken.source == CSV else f"{_again(broken)} --from {days[0]} --to {days[-1]}"
