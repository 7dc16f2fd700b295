"""The answers: frozen values with exact sums. ``None`` is "unknown"; it is never shown as zero."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields
from datetime import date
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from ..ledger import LlmCall
from ..money import EXACT
from ..money import MONEY_SCALE
from ..money import to_scale
from ..usage import BUCKET_FIELDS
from ..usage import INPUT_FIELDS

#: Token counts that are summed: the disjoint buckets, and reasoning tokens, which are a part of output.
TOKENS = (*BUCKET_FIELDS, "reasoning_tokens")
OUTPUT_FIELDS = tuple(name for name in BUCKET_FIELDS if name not in INPUT_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a set of calls cost, and how sure that is.

    :param unknown_cost_calls: calls that cost something nobody can tell (no usage or no price).
    :param partial_cost_calls: calls of which only a part could be priced; that part is in ``total_cost``.
    :param priced_calls: calls that have a cost, be it zero.
    :param total_cost: USD. ``None``: there are calls, and none of them has a cost; zero: there are no calls.
    """

    calls: int
    unknown_cost_calls: int
    partial_cost_calls: int
    priced_calls: int
    total_cost: Decimal | None

    @property
    def average_cost(self) -> Decimal | None:
        """USD per priced call, rounded to the scale of money; ``None`` where no call is priced."""
        if self.total_cost is None or not self.priced_calls:
            return None
        return to_scale(EXACT.divide(self.total_cost, Decimal(self.priced_calls)), MONEY_SCALE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals(Costs):
    """All sums over a set of calls.

    :param failed_calls: calls whose ``status`` is not ``ok``.
    :param tokens: sums by ledger column of what was told.
    :param timed_calls: calls that have a latency; ``latency_ms`` is the sum of theirs.
    """

    failed_calls: int
    tokens: Mapping[str, int]
    timed_calls: int
    latency_ms: int

    @property
    def average_latency_ms(self) -> float | None:
        """Milliseconds per timed call; ``None`` where none was timed."""
        return self.latency_ms / self.timed_calls if self.timed_calls else None

    @property
    def tokens_in(self) -> int | None:
        """All input tokens, cached ones included; ``None`` where there are calls and none told any."""
        return self._told(INPUT_FIELDS)

    @property
    def tokens_out(self) -> int | None:
        """All output tokens; ``None`` where there are calls and none told any."""
        return self._told(OUTPUT_FIELDS)

    def _told(self, names: Iterable[str]) -> int | None:
        found = sum(self.tokens[name] for name in names)
        return None if self.calls and not found else found


#: The names of all sums.
TOTALS = tuple(item.name for item in fields(Totals))


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakdownRow(Totals):
    """The sums of one value of a dimension.

    :param value: ``None`` for the calls without one (in :attr:`Breakdown.other`: always ``None``).
    :param share: of the total cost, 0 to 1, to six digits; ``None`` where either cost is unknown or the
        total is zero.
    """

    value: str | None
    share: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Calls by the values of a dimension, dearest first, values without any known cost last.

    :param other: what the limit left out, in one row; ``None`` where nothing was left out.
    :param other_values: how many values are in ``other``.
    :param total: the sum of ``rows`` and ``other``, which is :meth:`CallQuery.totals` of the same filter.
    """

    dimension: str
    rows: tuple[BreakdownRow, ...]
    other: BreakdownRow | None
    other_values: int
    total: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossingRow(Totals):
    """The sums of a pair of values, of the one dimension and the other; as in :class:`BreakdownRow`."""

    values: tuple[str | None, str | None]
    share: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Calls by two dimensions at once; as :class:`Breakdown`."""

    dimensions: tuple[str, str]
    rows: tuple[CrossingRow, ...]
    other: CrossingRow | None
    other_values: int
    total: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(Totals):
    """The sums of one day, by its local date."""

    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendRow(Costs):
    """The costs of one value of a dimension; ``value`` and ``share`` as in :class:`BreakdownRow`."""

    value: str | None
    share: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Costs by the values of a dimension: a :class:`Breakdown` without tokens, failures and latency."""

    dimension: str
    rows: tuple[SpendRow, ...]
    other: SpendRow | None
    other_values: int
    total: Costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One span of a series. ``start`` and ``end`` are aware, in the series' zone, and half-open.

    :param label: the local date with which the whole bucket begins, also where the range cuts it short.
    :param total_cost: as in :class:`Totals`: ``None`` is unknown, zero means no calls or a cost of zero.
    :param complete: false while the bucket is still running.
    """

    start: datetime
    end: datetime
    label: date
    calls: int
    unknown_cost_calls: int
    total_cost: Decimal | None
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPart:
    """One value's share in every bucket of a series; ``buckets`` run parallel to :attr:`Series.buckets`.

    ``value`` is ``None`` for the calls without one, and in :attr:`Series.other`.
    """

    value: str | None
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Calls over time: buckets without gaps, whose sum is :meth:`CallQuery.totals` of the same filter.

    :param bucket: ``hour``, ``day``, ``week`` (from Monday) or ``month``.
    :param by: the dimension of ``parts``, which together with ``other`` add up to ``buckets``.
    """

    bucket: str
    zone: ZoneInfo
    buckets: tuple[Bucket, ...]
    by: str | None = None
    parts: tuple[SeriesPart, ...] = ()
    other: SeriesPart | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long calls took, in milliseconds. Percentiles are by nearest rank: values that occurred.

    :param sampled: whether the percentiles are those of a sample, spread over the range; so for ranges of
        more than 100,000 calls without a filter.
    """

    count: int
    average_ms: float | None
    p50_ms: int | None
    p95_ms: int | None
    sampled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of calls. ``next`` and ``previous`` are cursors for :meth:`CallQuery.page`, or ``None``."""

    calls: tuple[LlmCall, ...]
    sort: str
    direction: str
    size: int
    next: str | None
    previous: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentCost:
    """One billed component over a set of calls.

    :param quantity: in ``unit``, exact.
    :param cost: USD; ``None`` where none of its line items has a cost.
    :param unknown_lines: line items without a cost.
    """

    component: str
    unit: str
    lines: int
    unknown_lines: int
    quantity: Decimal
    cost: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagKey:
    """One tag key: how many calls carry it, and with how many distinct values.

    :param at_least: more calls carry it than were counted.
    """

    key: str
    calls: int
    values: int
    at_least: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpricedModel:
    """A model with calls whose cost is not, or not wholly, known.

    :param first_seen: when the first of these calls occurred; ``last_seen`` the last one.
    """

    provider: str
    model: str
    unknown_cost_calls: int
    partial_cost_calls: int
    first_seen: datetime
    last_seen: datetime
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataQuality:
    """How many calls have numbers that are missing or doubtful.

    :param unpriced: usage is known, its cost is not; of the ``partial`` ones a part has no price.
    :param untold: no usage was told, so their cost is unknown whatever the prices are.
    :param estimated: the usage was estimated.
    :param disagreeing: the token counts do not add up to the provider's own total.
    """

    calls: int
    unpriced: int
    partial: int
    untold: int
    estimated: int
    disagreeing: int


def add_costs(costs: Iterable[Decimal | None]) -> Decimal | None:
    """The exact sum of the known costs; ``None`` where none is known."""
    total: Decimal | None = None
    for cost in costs:
        if cost is not None:
            total = cost if total is None else EXACT.add(total, cost)
    return total
