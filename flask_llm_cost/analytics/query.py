"""The query builder: narrow the calls, then ask. Every narrowing returns a new query."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace
from decimal import Decimal
from typing import Literal
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session
from sqlalchemy.orm import selectinload

from ..ledger import LlmCall
from ..ledger.drift import one_snapshot
from . import breakdown
from . import comparison
from . import coverage
from . import cross
from . import daily
from . import latency
from . import lists
from . import models_used
from . import pace
from . import paging
from . import periods
from . import quality
from . import reading
from . import series
from . import spend
from . import waste
from .coverage import Coverage
from .cross import Cross
from .dimensions import choice
from .models_used import ModelUse
from .models_used import NewModel
from .pace import Pace
from .ranking import Order
from .selection import CallSelection
from .snapshot import share
from .totals import totals
from .values import Breakdown
from .values import ComponentCost
from .values import Costs
from .values import Crossing
from .values import DataQuality
from .values import Day
from .values import Latency
from .values import Page
from .values import Series
from .values import Spend
from .values import TagKey
from .values import Totals
from .values import UnpricedModel
from .waste import Waste

T = TypeVar("T")

_CHUNK = 500
_IDS = range(1, 2**63)

BucketName = Literal["hour", "day", "week", "month"]
Sort = Literal["recent", "cost", "input", "output", "latency"]
Direction = Literal["desc", "asc"]


@dataclass(frozen=True, slots=True)
class CallQuery(CallSelection):
    """Questions about the recorded calls, asked in the report's time zone.

    Queries are immutable: each method returns a narrower one or an answer. Conditions add up, so a query that
    was narrowed to a tenant stays within it; only the range of time is replaced by a later one. Sums come
    from the database and are exact. Every method raises
    :class:`~flask_llm_cost.errors.InvalidFilterError` for a name, value or range it cannot ask about.
    """

    # Answers

    def totals(self) -> Totals:
        """Counts, tokens, cost and latency of all calls."""
        return self._read(lambda session: totals(session, self.filters))

    def total_cost(self) -> Decimal | None:
        """USD; ``None`` where there are calls and none has a known cost."""
        return self.totals().total_cost

    def count(self) -> int:
        """How many calls there are."""
        return self.totals().calls

    def cost_by(
        self, dimension: str, limit: int | None = None, order: str = "cost", direction: Direction = "desc"
    ) -> Breakdown:
        """Totals per value of a column or tag, dearest first; beyond ``limit`` values in one row.

        :param dimension: one of :data:`DIMENSIONS`, or ``tag:KEY``.
        :param order: one of ``cost``, ``calls``, ``failed``, ``input``, ``output``, ``average`` (cost of a
            priced call), ``latency`` (average) and ``name``; what is not known comes last both ways.
        """
        wanted = Order(order, direction)
        return self._read(
            lambda session: breakdown.breakdown(session, self.filters, dimension, limit, wanted)
        )

    def spend_of(self, dimension: str, values: Collection[str | None]) -> dict[str | None, Costs]:
        """What these values of a dimension cost; a value without calls is missing."""
        return self._read(lambda session: comparison.spend_of(session, self.filters, dimension, values))

    def cross(self, rows: str, columns: str, row_limit: int = 20, column_limit: int = 6) -> Cross:
        """Costs by two dimensions at once, the dearest values of each and the others in one."""
        return self._read(
            lambda session: cross.cross(session, self.filters, (rows, row_limit), (columns, column_limit))
        )

    def pace(self, dimension: str | None = None, limit: int = 50) -> tuple[Pace, ...]:
        """Median and 95th percentile of latency and time to the first token, in all or by a dimension."""
        return self._read(lambda session: pace.pace(session, self.filters, dimension, limit))

    def cost_by_both(self, first: str, second: str, limit: int | None = None) -> Crossing:
        """As :meth:`cost_by`, per pair of values of two dimensions: who uses which model, what each
        customer's features cost.
        """
        return self._read(lambda session: cross.pairs(session, self.filters, (first, second), limit))

    def spend_by(self, dimension: str, limit: int | None = None) -> Spend:
        """As :meth:`cost_by`, without tokens, failures and latency: much faster for tags on large ledgers."""
        return self._read(lambda session: spend.spend(session, self.filters, dimension, limit))

    def costs_of(self, dimension: str, values: Sequence[str | None]) -> Mapping[str | None, Costs]:
        """What these values of a column or tag cost; one that has no calls is left out."""
        return self.spend_of(dimension, values)

    def series(
        self,
        bucket: BucketName = "day",
        tz: str | ZoneInfo | None = None,
        by: str | None = None,
        limit: int = 7,
        values: Sequence[str | None] | None = None,
    ) -> Series:
        """Cost over time, without gaps; the first and the last bucket are cut where the range ends.

        :param tz: where buckets begin, if not in :attr:`zone`.
        :param by: a dimension to split every bucket by, into the ``limit`` dearest values and the others.
        :param values: split into these values and the others instead.
        """
        zone = self.zone if tz is None else periods.named_zone(tz)
        chosen = None if values is None else tuple(dict.fromkeys(values))
        question = series.Question(bucket, zone, by, limit, chosen)
        return self._read(lambda session: series.series(session, self.filters, question, self.now()))

    def daily(self, tz: str | ZoneInfo | None = None) -> tuple[Day, ...]:
        """Totals per day, without gaps; of all time, from the first call to today.

        :param tz: where days begin, if not in :attr:`zone`.
        """
        zone = self.zone if tz is None else periods.named_zone(tz)
        return self._read(lambda session: daily.daily(session, self.filters, zone, self.now()))

    def models_used(self, thresholds: Sequence[int] = ()) -> tuple[ModelUse, ...]:
        """What each provider's models used and cost, dearest first, apart by size of input."""
        return self._read(lambda session: models_used.models_used(session, self.filters, thresholds))

    def new_models(self) -> tuple[NewModel, ...]:
        """The models that were not used in the 90 days before the range, the newest first."""
        return self._read(lambda session: models_used.new_models(session, self.filters))

    def waste(self) -> tuple[Waste, ...]:
        """By status: failed calls, and those that succeeded only when tried again."""
        return self._read(lambda session: waste.waste(session, self.filters))

    def latency(self, at_most: int | None = None) -> Latency:
        """Average, median and 95th percentile of the durations; of very many calls those of a sample.

        :param at_most: of more calls under a filter only the average is told, where sums are kept.
        """
        return self._read(lambda session: latency.latency(session, self.filters, at_most))

    def components(self) -> tuple[ComponentCost, ...]:
        """Quantity and cost per billed component, from the line items."""
        return self._read(lambda session: lists.components(session, self.filters))

    def unpriced_models(self, limit: int = 10) -> tuple[UnpricedModel, ...]:
        """The models with most calls that lack a price, in whole or in part, though their usage is known."""
        return self._read(lambda session: lists.unpriced_models(session, self.filters, limit))

    def data_quality(self) -> DataQuality:
        """How many calls have numbers that are missing or doubtful."""
        return self._read(lambda session: quality.data_quality(session, self.filters))

    def coverage(self) -> tuple[Coverage, ...]:
        """By provider, how many calls tell their cost, tags, user, latency, id and, streamed, their usage."""
        return self._read(lambda session: coverage.coverage(session, self.filters))

    def disagreeing_calls(self, limit: int = 20) -> tuple[LlmCall, ...]:
        """The latest calls whose token counts do not add up to the provider's own total."""
        return self._read(lambda session: quality.disagreeing_calls(session, self.filters, limit))

    def distinct(self, column: str, limit: int = 100) -> tuple[str, ...]:
        """The most frequent values of a column or tag, in alphabetical order, for a filter's options."""
        return self._read(lambda session: lists.distinct(session, self.filters, column, limit))

    def value_count(self, dimension: str) -> int:
        """How many values of a column or tag there are; having none is no value."""
        return self._read(lambda session: lists.value_count(session, self.filters, dimension))

    def tag_keys(self, limit: int = 100, at_most: int | None = None) -> tuple[TagKey, ...]:
        """The tag keys of the calls, the most frequent first.

        :param at_most: how many calls of a key are counted that has no sums; ``None`` for all.
        """
        return self._read(lambda session: lists.tag_keys(session, self.filters, limit, at_most))

    def tag_names(self, limit: int = 100) -> tuple[str, ...]:
        """The names of tags for a choice, quickly: those of all time where only a range is asked."""
        return self._read(lambda session: lists.tag_names(session, self.filters, limit))

    # How long an answer takes

    def is_summed(self, *dimensions: str) -> bool:
        """Whether totals, or a split by one dimension or two, are answered from sums that are kept, but for
        the ragged ends of the range: then it makes no difference how many calls there are.
        """
        return self._read(lambda session: reading.is_summed(session, self.filters, dimensions))

    def reads_more_than(self, calls: int) -> bool:
        """Whether answers that are not summed read more calls than that: those of the range that are left by
        the filters for which there is an index. So many are counted at most.
        """
        return self._read(lambda session: reading.reads_more_than(session, self.filters, calls))

    # Calls themselves

    def page(
        self,
        sort: Sort = "recent",
        direction: Direction = "desc",
        size: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """One page of calls; unknown costs, tokens and latencies come last in both directions.

        :param cursor: :attr:`Page.next` or :attr:`Page.previous` of another page of the same sort.
        """
        return self._read(
            lambda session: paging.page(
                session, self.filters, sort=sort, direction=direction, size=size, cursor=cursor
            )
        )

    def top_calls(self, limit: int = 10) -> tuple[LlmCall, ...]:
        """The dearest calls with a known cost."""
        found = self.page(sort="cost", size=limit)
        return tuple(call for call in found.calls if call.total_cost is not None)

    def get(self, call_id: int) -> LlmCall | None:
        """The call with its line items and tags, if it is one of these calls."""
        if call_id not in _IDS:
            return None
        statement = self.statement.where(LlmCall.id == call_id).options(
            selectinload(LlmCall.line_items),
            selectinload(LlmCall.call_tags),
            selectinload(LlmCall.repricings),
        )
        return self._read(lambda session: session.scalars(statement).one_or_none())

    def rows(self, direction: Direction = "desc") -> Iterator[LlmCall]:
        """All calls by time, for exports: in bounded memory, and between reads without a connection."""
        choice("direction", direction, paging.DIRECTIONS)
        return self._rows(direction)

    def _rows(self, direction: Direction) -> Iterator[LlmCall]:
        # Not one long cursor: a slow download would keep the ledger's writer from its connection.
        cursor: str | None = None
        while True:
            found = self.page(direction=direction, size=_CHUNK, cursor=cursor)
            yield from found.calls
            cursor = found.next
            if cursor is None:
                return

    def _read(self, ask: Callable[[Session], T]) -> T:
        if self.session is not None:
            return ask(self.session)
        self.before_read()
        with self.ledger.read_session() as session:
            return ask(session)


@contextmanager
def at_once(*queries: CallQuery) -> Iterator[tuple[CallQuery, ...]]:
    """The same queries of one ledger, and what is made of them, as of one moment while the block lasts.

    Their answers add up whatever is recorded meanwhile, and what several of them need is read once. A
    connection is held as long, so this is no place to wait in.
    """
    queries[0].before_read()
    with queries[0].ledger.read_session() as session:
        one_snapshot(session)
        share(session)
        yield tuple(replace(query, session=session) for query in queries)
