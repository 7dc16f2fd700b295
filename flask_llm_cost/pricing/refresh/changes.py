"""What a new price list changes, rate by rate, and whether that looks like prices or like a mistake."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from typing import Literal

from ...components import components
from ..completion import sheet_at
from ..entry import PriceEntry
from ..entry import Sheet
from ..render import entry_body
from ..render import sheet_body

Kind = Literal["new", "removed", "changed", "alias", "refused"]

#: A list that leaves out more of the models than this share is likely to be cut off.
REMOVED_SHARE = Decimal("0.02")
#: A list that changes more of the rates than this share likely means another unit. One or two rates are
#: always few enough to be read.
CHANGED_SHARE = Decimal("0.1")
CHANGED_LEAST = 2
#: No provider makes a rate this many times dearer or cheaper in one step.
FACTOR_LIMIT = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the difference.

    :param rate: which rate, such as ``input`` or ``modes.batch.output``; an alias for the kind ``alias``.
    :param before: the rate (or the alias's model) in force; ``None`` where there is none.
    :param after: the rate (or model) that the list says; ``None`` where it says none.
    """

    kind: Kind
    key: str
    rate: str = ""
    before: str | None = None
    after: str | None = None
    note: str = ""

    @property
    def factor(self) -> Decimal | None:
        """How many times the rate before the new one is; ``None`` where one of them is none or zero."""
        if self.kind != "changed" or not self.before or not self.after or not Decimal(self.before):
            return None
        return Decimal(self.after) / Decimal(self.before)


def rates_by_path(entry: PriceEntry, at: datetime) -> dict[str, str]:
    """Every rate in force or scheduled, by where it stands: ``tiers.over 200000.input`` and the like."""
    ahead = [period for period in entry.periods if period.start > at]
    scheduled = entry_body(replace(entry, sheet=Sheet(), periods=tuple(ahead))) if ahead else {}
    return dict(_walk("", {**sheet_body(sheet_at(entry, at)), "periods": scheduled.get("periods", [])}))


def _walk(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            at = f"{path}.{name}" if path else name
            if name in components() or name == "multiplier":
                yield at, str(item)
            elif name in ("modes", "tiers", "periods", "time_windows") or path.endswith("modes"):
                yield from _walk(at, item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _walk(f"{path}.{_step(item)}", item)


def _step(item: Mapping[str, Any]) -> str:
    return f"over {item['over']}" if "over" in item else "-".join(_when(item))


def _when(item: Mapping[str, Any]) -> Iterator[str]:
    yield str(item["from"])
    if "until" in item:
        yield str(item["until"])


def compare(key: str, before: PriceEntry | None, after: PriceEntry, at: datetime) -> list[Change]:
    """What an entry changes; ``before`` is ``None`` where there was none."""
    if before is None:
        return [Change("new", key, after=_summary(after, at))]
    old, new = rates_by_path(before, at), rates_by_path(after, at)
    paths = [*new, *(path for path in old if path not in new)]
    found = [
        Change("changed", key, path, old.get(path), new.get(path))
        for path in paths
        if old.get(path) != new.get(path)
    ]
    if before.free != after.free:
        found.append(
            Change("changed", key, "free", note="is free now" if after.free else "is free no longer")
        )
    return found


def _summary(entry: PriceEntry, at: datetime) -> str:
    rates = sheet_at(entry, at).rates
    if entry.free:
        return "free"
    parts = [f"{name} {rate.normalize():f}" for name, rate in rates.items() if name in ("input", "output")]
    return ", ".join(parts) or "other units"


def alias_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """Names that stand for another model than before: where tables rot, so they are told apart."""
    return [
        Change("alias", alias.partition("/")[0] + "/", alias.partition("/")[2], before[alias], key)
        for alias, key in after.items()
        if before.get(alias, key) != key
    ]


def suspicions(changes: Sequence[Change], *, models: int, rates: int) -> list[str]:
    """Why the changes look like a mistake, in sentences; none where they look like prices.

    :param models: how many models of the prices file the list could have left out.
    :param rates: how many rates are in force for the models that the list has.
    """
    removed = sum(change.kind == "removed" for change in changes)
    changed = [change for change in changes if change.kind == "changed" and change.before is not None]
    found = []
    if models and Decimal(removed) / models > REMOVED_SHARE:
        found.append(f"{removed} of {models} models are missing, more than {REMOVED_SHARE:.0%}.")
    if len(changed) > CHANGED_LEAST and Decimal(len(changed)) / rates > CHANGED_SHARE:
        found.append(f"{len(changed)} of {rates} rates change, more than {CHANGED_SHARE:.0%}.")
    for change in changed:
        factor = change.factor
        if factor is not None and not Decimal(1) / FACTOR_LIMIT <= factor <= FACTOR_LIMIT:
            found.append(
                f"{change.key}: {change.rate} goes from {change.before} to {change.after}, "
                f"more than {FACTOR_LIMIT} times as much or as little."
            )
    return found
