"""Which calls a question is about: time, columns, tags, a user, an object. Every step is a new value."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from datetime import date
from datetime import datetime
from datetime import timedelta
from typing import Self
from zoneinfo import ZoneInfo

from sqlalchemy import Select
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import InvalidFilterError
from ..ledger import Ledger
from ..ledger import LlmCall
from . import periods
from .filters import NO_FILTERS
from .filters import DateRange
from .filters import Filters

_MAX_DAYS = 36_600


@dataclass(frozen=True, slots=True)
class CallSelection:
    """Which of the recorded calls are meant; :class:`~.query.CallQuery` adds what can be asked of them.

    :param zone: where days begin and end.
    :param before_read: called before each answer, to store calls that are still waiting in this process.
    :param now: the current moment, aware.
    :param session: what answers are read with, see :func:`~.query.at_once`; ``None``: each with its own.
    """

    ledger: Ledger = field(repr=False)
    zone: ZoneInfo
    before_read: Callable[[], object] = field(repr=False)
    now: Callable[[], datetime] = field(repr=False)
    filters: Filters = field(default=NO_FILTERS)
    session: Session | None = field(default=None, repr=False, compare=False)

    # When

    @property
    def range(self) -> DateRange | None:
        """From when to when, half-open and in :attr:`zone`; ``None`` for all time."""
        return self.filters.range

    def between(self, start: datetime, end: datetime) -> Self:
        """Calls from ``start`` on and before ``end``; both need a time zone."""
        return self._during(periods.checked(start, end, self.zone))

    def days(self, first: date, last: date) -> Self:
        """Calls of whole days in :attr:`zone`, the last one included."""
        return self._during(periods.days(first, last, self.zone))

    def today(self) -> Self:
        """Calls of the day that is running."""
        return self.last_days(1)

    def last_days(self, count: int) -> Self:
        """Calls of the last ``count`` days, today included."""
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _MAX_DAYS:
            raise InvalidFilterError("days", f"a whole number from 1 to {_MAX_DAYS}, got {count!r}")
        return self.days(self._today() - timedelta(days=count - 1), self._today())

    def this_week(self) -> Self:
        """Calls from Monday to the end of today."""
        return self.days(periods.week_start(self._today()), self._today())

    def this_month(self) -> Self:
        """Calls from the first of the month to the end of today."""
        return self.days(periods.month_start(self._today()), self._today())

    def last_month(self) -> Self:
        """Calls of the calendar month before this one."""
        last = periods.month_start(self._today()) - timedelta(days=1)
        return self.days(periods.month_start(last), last)

    def all_time(self) -> Self:
        """Calls of any time."""
        return self._during(None)

    def previous_period(self) -> Self:
        """The same question about the time just before, as many days long (or as long, if not whole days)."""
        if self.range is None:
            raise InvalidFilterError("range", "all time has no period before it; choose a range first")
        return self._during(periods.previous(self.range, self.zone))

    def in_zone(self, zone: str | ZoneInfo) -> Self:
        """The same calls; days, weeks and months asked for from here on are those of ``zone``."""
        found = periods.named_zone(zone)
        start_end = self.range and (self.range[0].astimezone(found), self.range[1].astimezone(found))
        return replace(self, zone=found, filters=replace(self.filters, range=start_end))

    # Which

    def where(self, **columns: str | int | bool | None) -> Self:
        """Calls with these values in the ledger's columns; ``None`` for calls without one.

        Columns: ``provider``, ``provider_account``, ``model``, ``requested_model``, ``operation``,
        ``status``, ``error_type``, ``stream``, ``user_id``, ``request_type``, ``trackable_type``,
        ``trackable_id``, ``endpoint``, ``cost_status``, ``pricing_mode``, ``service``, ``usage_source``,
        ``provider_response_id``.
        """
        return replace(self, filters=self.filters.where(columns))

    def besides(self, dimension: str, values: Iterable[object]) -> Self:
        """Calls with none of these values of a column or ``tag:KEY``; ``None`` among them is having none."""
        return replace(self, filters=self.filters.besides(dimension, values))

    def untagged(self) -> Self:
        """Calls without any tag."""
        return replace(self, filters=self.filters.untagged())

    def for_provider(self, provider: str) -> Self:
        """Calls of a provider, as in the ledger."""
        return self.where(provider=provider)

    def for_model(self, model: str) -> Self:
        """Calls of a model, as in the ledger."""
        return self.where(model=model)

    def for_request_type(self, request_type: str) -> Self:
        """Calls of a request type of yours."""
        return self.where(request_type=request_type)

    def tagged(self, tags: Mapping[str, object] | None = None, /, **named: object) -> Self:
        """Calls with all of these tags; ``None`` or ``""`` for calls without that tag."""
        return replace(self, filters=self.filters.tagged({**(tags or {}), **named}))

    def for_user(self, user: object) -> Self:
        """Calls of a user, given as the id or as the host's object."""
        return replace(self, filters=self.filters.user(user))

    def for_trackable(self, trackable: object) -> Self:
        """Calls about an object, given as a stored model object or as ``(type, id)``."""
        return replace(self, filters=self.filters.trackable(trackable))

    def unknown_pricing(self) -> Self:
        """Calls that cost something nobody can tell yet: no usage was reported, or there is no price."""
        return self.where(cost_status="unknown")

    def with_cost(self) -> Self:
        """Calls that have a cost, be it zero or only a part of it."""
        return replace(self, filters=self.filters.told("total_cost"))

    def without_cost(self) -> Self:
        """Calls that have none: it is unknown, or, as of refused ones, there is nothing to pay."""
        return replace(self, filters=self.filters.untold("total_cost"))

    def with_latency(self) -> Self:
        """Calls that were timed."""
        return replace(self, filters=self.filters.told("latency_ms"))

    def without_latency(self) -> Self:
        """Calls that were not timed."""
        return replace(self, filters=self.filters.untold("latency_ms"))

    def streaming(self) -> Self:
        """Calls whose answer was streamed."""
        return self.where(stream=True)

    def non_streaming(self) -> Self:
        """Calls whose answer came in one piece."""
        return self.where(stream=False)

    def streaming_missing_usage(self) -> Self:
        """Streamed calls that told no usage."""
        return self.where(stream=True, usage_source="unknown")

    def with_provider_response_id(self) -> Self:
        """Calls whose answer has an id at the provider."""
        return replace(self, filters=self.filters.told("provider_response_id"))

    def missing_provider_response_id(self) -> Self:
        """Calls whose answer has none that is known."""
        return self.where(provider_response_id=None)

    @property
    def statement(self) -> Select[LlmCall]:
        """These calls as a ``Select``, unordered, to be joined to the host's own tables."""
        return select(LlmCall).where(*self.filters.conditions())

    def _during(self, span: DateRange | None) -> Self:
        return replace(self, filters=replace(self.filters, range=span))

    def _today(self) -> date:
        return self.now().astimezone(self.zone).date()
