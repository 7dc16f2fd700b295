"""The whole comparison of a period: totals, rows, quantities, and what has no counterpart."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import date
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection
from sqlalchemy import func
from sqlalchemy import or_
from sqlalchemy import select

from ..components import components
from ..ledger import Ledger
from ..money import EXACT
from .coverage import Coverage
from .coverage import coverage
from .dimensions import DAY
from .dimensions import LINE_ITEM
from .dimensions import Dimension
from .dimensions import dimensions
from .drift import Row
from .drift import Thresholds
from .drift import compared
from .drift import percent_of
from .line import CALLS
from .sides import Key
from .sides import Recorded
from .sides import Told
from .sides import recorded_costs
from .sides import recorded_usage
from .sides import told_costs
from .sides import told_usage
from .source import Period
from .store import LINES

#: What has no counterpart is looked for as finely as both sides tell it.
FINEST = dimensions((DAY, "model", LINE_ITEM))
UNMATCHED_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Quantity:
    """What was used of one component: the provider's count beside the ledger's."""

    provider: str
    component: str
    key: Key
    provider_quantity: Decimal | None
    our_quantity: Decimal | None
    difference: Decimal | None
    percent: Decimal | None
    state: Literal["agrees", "differs", "not_compared"]


@dataclass(frozen=True, slots=True)
class Apart:
    """Lines that are no cost: credits, adjustments. They are in no sum above."""

    provider: str
    source: str
    row_type: str
    line_item: str | None
    currency: str | None
    amount: Decimal | None
    lines: int


@dataclass(slots=True)
class Comparison:
    """What :func:`compare` found.

    :param totals: per provider and currency; ``rows`` are the same sums, split.
    :param unmatched: keys of one side that the other does not have, the largest first.
    :param unmatched_count: how many there are in all.
    :param remarks: what could not be compared, and why.
    :param days: by provider, those of which both sides are in the sums.
    """

    period: Period
    split: tuple[Dimension, ...]
    thresholds: Thresholds
    totals: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    usage: list[Quantity] = field(default_factory=list)
    apart: list[Apart] = field(default_factory=list)
    unmatched: list[Row] = field(default_factory=list)
    unmatched_count: int = 0
    remarks: list[str] = field(default_factory=list)
    providers: tuple[str, ...] = ()
    days: dict[str, tuple[date, ...]] = field(default_factory=dict)

    @property
    def drifts(self) -> bool:
        """Whether any total or any row is over the thresholds."""
        return any(row.drifts for row in (*self.totals, *self.rows))


def compare(
    ledger: Ledger,
    period: Period,
    *,
    by: Sequence[str] = (),
    providers: Sequence[str] = (),
    thresholds: Thresholds | None = None,
    unmatched: int = UNMATCHED_SHOWN,
) -> Comparison:
    """Hold the ledger against what providers say they billed, for the days that are imported whole.

    :param by: what to split by, such as ``day``, ``model``, ``project`` or ``line_item``.
    :param providers: only these; all of which anything is imported where none is given.
    :param unmatched: how many keys without a counterpart to tell at most.
    :raises ConfigurationError: there is nothing of such a name to split by.
    :raises LedgerUnavailable: the database cannot be used now.
    """
    split = dimensions(by)

    def read(connection: Connection) -> Comparison:
        found = Comparison(period, split, thresholds or Thresholds())
        for each in coverage(connection, period, providers):
            found.providers = (*found.providers, each.provider)
            _add(found, connection, each, unmatched)
            found.remarks += each.remarks
        return found

    return ledger.reading(read)


def _add(found: Comparison, connection: Connection, covered: Coverage, most: int) -> None:
    provider = covered.provider
    if covered.costs:
        found.days[provider] = tuple(sorted(covered.costs))
        found.totals += _rows(found, connection, covered, ())
        rows = _rows(found, connection, covered, found.split)
        found.rows += rows
        if any(row.state == "not_compared" and row.currency == "USD" for row in rows):
            names = ", ".join(each.label.lower() for each in found.split)
            found.remarks.append(
                f"{provider}: the ledger and the provider name nothing alike by {names}; only the totals are "
                "judged. See the page on reconciliation for what can be matched."
            )
        lost = [
            row for row in _rows(found, connection, covered, FINEST) if row.currency == "USD" and row.is_alone
        ]
        lost.sort(key=lambda row: row.size, reverse=True)
        found.unmatched_count += len(lost)
        found.unmatched = sorted([*found.unmatched, *lost], key=lambda row: row.size, reverse=True)[:most]
        found.apart += _apart(connection, covered)
    if covered.usage:
        found.usage += _usage(found, connection, covered)


def _rows(
    found: Comparison, connection: Connection, covered: Coverage, split: Sequence[Dimension]
) -> list[Row]:
    theirs = told_costs(connection, covered.provider, covered.costs, split)
    ours = recorded_costs(connection, covered.provider, covered.costs, split)
    return compared(
        covered.provider, theirs, ours, found.thresholds, matchable=_matchable(theirs, ours, split)
    )


def _matchable(
    theirs: Mapping[tuple[str, Key], Told], ours: Mapping[Key, Recorded], split: Sequence[Dimension]
) -> bool:
    """Whether both sides mean the same by each dimension: some value of it is on both.

    Where neither side tells it there is nothing to mistake.
    """
    if not theirs or not ours:
        return all(each.ours is not None or each.name == DAY for each in split)
    for place, each in enumerate(split):
        told = {key[place] for _, key in theirs} - {None}
        recorded = {key[place] for key in ours} - {None}
        if each.name != DAY and (told or recorded) and not told & recorded:
            return False
    return True


def _usage(found: Comparison, connection: Connection, covered: Coverage) -> list[Quantity]:
    split = tuple(each for each in found.split if each.name != LINE_ITEM)
    theirs = told_usage(connection, covered.provider, covered.usage, split)
    ours = recorded_usage(connection, covered.provider, tuple(covered.usage), split)
    keys = sorted(
        {*theirs, *ours}, key=lambda found: (found[0], tuple(str(value or "") for value in found[1]))
    )
    return [
        _quantity(covered.provider, component, key, theirs.get((component, key)), ours.get((component, key)))
        for component, key in keys
    ]


def _quantity(
    provider: str, component: str, key: Key, theirs: Decimal | None, ours: Decimal | None
) -> Quantity:
    if component not in components() and component != CALLS:
        return Quantity(provider, component, key, theirs, None, None, None, "not_compared")
    difference = EXACT.subtract(ours or Decimal(0), theirs or Decimal(0))
    return Quantity(
        provider=provider,
        component=component,
        key=key,
        provider_quantity=theirs,
        our_quantity=ours,
        difference=difference,
        percent=percent_of(difference, theirs or Decimal(0)),
        state="differs" if difference else "agrees",
    )


def _apart(connection: Connection, covered: Coverage) -> list[Apart]:
    """Lines that are no cost, of the days and sources that are compared."""
    column = LINES.columns
    sources = sorted({source for each in covered.costs.values() for source in each})
    names = (column.source, column.row_type, column.line_item, column.currency)
    first, last = min(covered.costs), max(covered.costs)
    period = Period.of_days(first, last)
    statement = (
        select(*names, func.sum(column.amount), func.count())
        .where(
            column.provider == covered.provider,
            or_(*(column.source == source for source in sources)),
            column.row_type.in_(("credit", "adjustment")),
            column.bucket_start >= period.start,
            column.bucket_start < period.end,
        )
        .group_by(*names)
        .order_by(*names)
    )
    return [
        Apart(covered.provider, row[0], row[1], row[2], row[3], row[4], row[5])
        for row in connection.execute(statement)
    ]
