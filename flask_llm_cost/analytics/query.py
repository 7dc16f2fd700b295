"""The query builder: narrow the calls, then ask. Every narrowing returns a new query."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import date
from datetime import datetime
from datetime import timedelta
from decimal import Decimal
from typing import Literal
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Select
from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm import selectinload

from ..errors import InvalidFilterError
from ..ledger import Ledger
from ..ledger import LlmCall
from . import breakdown
from . import comparison
from . import coverage
from . import cross
from . import latency
from . import lists
from . import models_used
from . import pace
from . import paging
from . import periods
from . import quality
from . import series
from . import spend
from . import waste
from .coverage import Coverage
from .cross import Cross
from .dimensions import choice
from .filters import NO_FILTERS
from .filters import DateRange
from .filters import Filters
from .measures import labelled
from .measures import totals_of
from .models_used import ModelUse
from .models_used import NewModel
from .pace import Pace
from .planner import plan
from .ranking import Order
from .values import Breakdown
from .values import ComponentCost
from .values import Costs
from .values import DataQuality
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
_MAX_DAYS = 36_600
_IDS = range(1, 2**63)

BucketName = Literal["hour", "day", "week", "month"]
Sort = Literal["recent", "cost", "input", "output", "latency"]
Direction = Literal["desc", "asc"]


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Questions about the recorded calls, asked in the report's time zone.

    Queries are immutable: each method returns a narrower one or an answer. Conditions add up, so a query that
    was narrowed to a tenant stays within it; only the range of time is replaced by a later one. Sums come
    from the database and are exact. Every method raises
    :class:`~flask_llm_cost.errors.InvalidFilterError` for a name, value or range it cannot ask about.

    :param zone: where days begin and end.
    :param before_read: called before each answer, to store calls that are still waiting in this process.
    :param now: the current moment, aware.
    """

    ledger: Ledger = field(repr=False)
    zone: ZoneInfo
    before_read: Callable[[], object] = field(repr=False)
    now: Callable[[], datetime] = field(repr=False)
    filters: Filters = field(default=NO_FILTERS)

    # When

    @property
    def range(self) -> DateRange | None:
        """From when to when, half-open and in :attr:`zone`; ``None`` for all time."""
        return self.filters.range

    def between(self, start: datetime, end: datetime) -> CallQuery:
        """Calls from ``start`` on and before ``end``; both need a time zone."""
        return self._during(periods.checked(start, end, self.zone))

    def days(self, first: date, last: date) -> CallQuery:
        """Calls of whole days in :attr:`zone`, the last one included."""
        return self._during(periods.days(first, last, self.zone))

    def today(self) -> CallQuery:
        """Calls of the day that is running."""
        return self.last_days(1)

    def last_days(self, count: int) -> CallQuery:
        """Calls of the last ``count`` days, today included."""
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MAX_DAYS:
            raise InvalidFilterError("days", f"a whole number from 1 to {_MAX_DAYS}, got {count!r}")
        return self.days(self._today() - timedelta(days=count - 1), self._today())

    def this_week(self) -> CallQuery:
        """Calls from Monday to the end of today."""
        return self.days(periods.week_start(self._today()), self._today())

    def this_month(self) -> CallQuery:
        """Calls from the first of the month to the end of today."""
        return self.days(periods.month_start(self._today()), self._today())

    def last_month(self) -> CallQuery:
        """Calls of the calendar month before this one."""
        last = periods.month_start(self._today()) - timedelta(days=1)
        return self.days(periods.month_start(last), last)

    def all_time(self) -> CallQuery:
        """Calls of any time."""
        return self._during(None)

    def previous_period(self) -> CallQuery:
        """The same question about the time just before, as many days long (or as long, if not whole days)."""
        if self.range is None:
            raise InvalidFilterError("range", "all time has no period before it; choose a range first")
        return self._during(periods.previous(self.range, self.zone))

    def in_zone(self, zone: str | ZoneInfo) -> CallQuery:
        """The same calls; days, weeks and months asked for from here on are those of ``zone``."""
        found = periods.named_zone(zone)
        start_end = self.range and (self.range[0].astimezone(found), self.range[1].astimezone(found))
        return replace(self, zone=found, filters=replace(self.filters, range=start_end))

    # Which

    def where(self, **columns: str | int | bool | None) -> CallQuery:
        """Calls with these values in the ledger's columns; ``None`` for calls without one.

        Columns: ``provider``, ``model``, ``requested_model``, ``operation``, ``status``, ``stream``,
        ``failed``, ``retried``, ``user_id``, ``request_type``, ``endpoint``, ``cost_status``,
        ``pricing_mode``, ``service``, ``usage_source``.
        """
        return replace(self, filters=self.filters.where(columns))

    def tagged(self, tags: Mapping[str, object] | None = None, /, **named: object) -> CallQuery:
        """Calls with all of these tags; ``None`` or ``""`` for calls without that tag."""
        return replace(self, filters=self.filters.tagged({**(tags or {}), **named}))

    def for_user(self, user: object) -> CallQuery:
        """Calls of a user, given as the id or as the host's object."""
        return replace(self, filters=self.filters.user(user))

    def for_trackable(self, trackable: object) -> CallQuery:
        """Calls about an object, given as a stored model object or as ``(type, id)``."""
        return replace(self, filters=self.filters.trackable(trackable))

    def unknown_pricing(self) -> CallQuery:
        """Calls that cost something nobody can tell yet: no usage was reported, or there is no price."""
        return self.where(cost_status="unknown")

    @property
    def statement(self) -> Select[LlmCall]:
        """These calls as a ``Select``, unordered, to be joined to the host's own tables."""
        return select(LlmCall).where(*self.filters.conditions())

    # Answers

    def totals(self) -> Totals:
        """Counts, tokens, cost and latency of all calls."""
        return self._read(lambda session: _totals(session, self.filters))

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

    def spend_by(self, dimension: str, limit: int | None = None) -> Spend:
        """As :meth:`cost_by`, without tokens, failures and latency: much faster for tags on large ledgers."""
        return self._read(lambda session: spend.spend(session, self.filters, dimension, limit))

    def series(
        self,
        bucket: BucketName = "day",
        tz: str | ZoneInfo | None = None,
        by: str | None = None,
        limit: int = 7,
    ) -> Series:
        """Cost over time, without gaps; the first and the last bucket are cut where the range ends.

        :param tz: where buckets begin, if not in :attr:`zone`.
        :param by: a dimension to split every bucket by, into the ``limit`` dearest values and the others.
        """
        zone = self.zone if tz is None else periods.named_zone(tz)
        question = series.Question(bucket, zone, by, limit)
        return self._read(lambda session: series.series(session, self.filters, question, self.now()))

    def models_used(self, thresholds: Sequence[int] = ()) -> tuple[ModelUse, ...]:
        """What each provider's models used and cost, dearest first, apart by size of input."""
        return self._read(lambda session: models_used.models_used(session, self.filters, thresholds))

    def new_models(self) -> tuple[NewModel, ...]:
        """The models that were not used in the 90 days before the range, the newest first."""
        return self._read(lambda session: models_used.new_models(session, self.filters))

    def waste(self) -> tuple[Waste, ...]:
        """By status: failed calls, and those that succeeded only when tried again."""
        return self._read(lambda session: waste.waste(session, self.filters))

    def latency(self) -> Latency:
        """Average, median and 95th percentile of the calls' durations, exact."""
        return self._read(lambda session: latency.latency(session, self.filters))

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

    def tag_keys(self, limit: int = 100) -> tuple[TagKey, ...]:
        """The tag keys of the calls, the most frequent first."""
        return self._read(lambda session: lists.tag_keys(session, self.filters, limit))

    def tag_names(self, limit: int = 100) -> tuple[str, ...]:
        """The names of tags for a choice, quickly: those of all time where only a range is asked."""
        return self._read(lambda session: lists.tag_names(session, self.filters, limit))

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

    def _during(self, span: DateRange | None) -> CallQuery:
        return replace(self, filters=replace(self.filters, range=span))

    def _today(self) -> date:
        return self.now().astimezone(self.zone).date()

    def _read(self, ask: Callable[[Session], T]) -> T:
        self.before_read()
        with self.ledger.read_session() as session:
            return ask(session)


def _totals(session: Session, filters: Filters) -> Totals:
    source = plan(session, filters)(filters)
    return totals_of(session.execute(source.select(*labelled(source.sums))).mappings())
