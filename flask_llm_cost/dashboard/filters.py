"""The filters of a page as values: what they ask of the ledger, and how they are written into links."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from types import MappingProxyType
from typing import get_args
from urllib.parse import quote_plus

from ..events import CostStatus
from ..events import Operation
from ..events import Status
from ..events import UsageSource
from .periods import DEFAULT_PRESET
from .periods import Period

MAX_QUERY_BYTES = 16 * 1024
MAX_TAGS = 10
TAG_PREFIX = "tag."
#: ``?without=user,tag.feature``: calls that have no value there.
WITHOUT = "without"
#: ``?besides.model=a,b``: calls with none of these values, as a line of CSV; a blank one is having none.
BESIDES = "besides."
#: What the form's own two fields for a new tag are called; links never carry them.
NEW_TAG_KEY = "tag_key"
NEW_TAG_VALUE = "tag_value"

#: The report's time zone, and how long each bar of a chart is.
ZONE = "tz"
BUCKET = "bucket"
#: Bars of an hour that one chart can show.
MAX_HOURS = 31 * 24
#: Of more days the bars are weeks, where nobody chooses: nobody tells hundreds of bars apart.
MOST_DAYS = 92
#: Names of excluded values in one address; servers refuse long ones, gunicorn beyond 4,094 bytes.
MAX_BESIDES_BYTES = 2_000

YES_NO = ("yes", "no")


@dataclass(frozen=True, slots=True)
class Field:
    """One filter on a column of the ledger.

    :param choices: the values it accepts; empty where any text is.
    :param optional: whether calls may have nothing there, so that ``without=`` can name it.
    """

    column: str
    label: str
    choices: tuple[str, ...] = ()
    optional: bool = False


FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "provider": Field("provider", "Provider"),
        "model": Field("model", "Model"),
        "operation": Field("operation", "Operation", get_args(Operation)),
        "status": Field("status", "Status", get_args(Status)),
        "stream": Field("stream", "Streamed", YES_NO),
        "failed": Field("failed", "Failed", YES_NO),
        "retried": Field("retried", "Tried again", YES_NO),
        "user": Field("user_id", "User", optional=True),
        "request_type": Field("request_type", "Request type", optional=True),
        "endpoint": Field("endpoint", "Endpoint", optional=True),
        "service": Field("service", "Service"),
        "account": Field("provider_account", "Provider account", optional=True),
        "mode": Field("pricing_mode", "Pricing mode", optional=True),
        "price": Field("cost_status", "Price", get_args(CostStatus)),
        "usage": Field("usage_source", "Usage from", get_args(UsageSource)),
    }
)


#: What a call may lack besides the values of a filter, as ``without=`` names it.
LACKED: Mapping[str, Field] = MappingProxyType(
    {
        "tags": Field("", "Tags", optional=True),
        "latency": Field("latency_ms", "Latency", optional=True),
        "response_id": Field("provider_response_id", "Provider's id of the answer", optional=True),
    }
)


@dataclass(frozen=True, slots=True)
class Chip:
    """One active filter: its words, and the filters that are left when it goes."""

    label: str
    value: str | None
    rest: Filters
    besides: bool = False


@dataclass(frozen=True, slots=True)
class Filters:
    """What a page was asked for.

    :param values: URL name to value, ``None`` for "calls without one"; tags as ``tag.KEY``.
    :param extra: the page's own parameters, such as its sort order; not part of what is counted.
    :param chosen_bucket: how long a bar is, where the address says so.
    :param zone_is_chosen: whether the address names the time zone, other than the ledger's.
    """

    period: Period
    values: Mapping[str, str | None]
    extra: dict[str, str]
    chosen_bucket: str | None = None
    zone_is_chosen: bool = False

    @property
    def bucket(self) -> str:
        """How long each bar of a chart is: a day, an hour of a single day, a week of very many."""
        usual = "hour" if self.period.days == 1 else "week" if self.period.days > MOST_DAYS else "day"
        return self.chosen_bucket or usual

    def arguments(self) -> dict[str, str]:
        """The query parameters of this view without the page's own, in canonical order."""
        found: dict[str, str] = {}
        if self.period.preset is None:
            found |= {"from": self.period.first.isoformat(), "to": self.period.last.isoformat()}
        elif self.period.preset != DEFAULT_PRESET:
            found["period"] = self.period.preset
        if self.zone_is_chosen:
            found[ZONE] = self.period.zone.key
        if self.chosen_bucket:
            found[BUCKET] = self.chosen_bucket
        found |= {name: value for name, value in self.values.items() if value is not None}
        if absent := [name for name, value in self.values.items() if value is None]:
            found[WITHOUT] = ",".join(absent)
        return found

    def narrowed(self, name: str, value: str | None) -> Filters:
        """These filters and one more."""
        return replace(self, values=in_order({**self.values, name: value}))

    def besides(self, name: str, values: Iterable[str | None]) -> Filters | None:
        """These filters without the calls that have one of ``values``; ``None`` where no address holds them.

        :param values: of the filter called ``name``; ``None`` among them are the calls without one.
        """
        excluded = BESIDES + name
        known = split_values(self.values.get(excluded) or "")
        text = joined_values(dict.fromkeys((*known, *values)))
        return self.narrowed(excluded, text) if len(quote_plus(text)) <= MAX_BESIDES_BYTES else None

    def widened(self, name: str) -> Filters:
        """These filters without the one called ``name``."""
        return replace(self, values={key: value for key, value in self.values.items() if key != name})

    def during(self, period: Period) -> Filters:
        """The same filters over another period."""
        return replace(self, period=period)

    def by(self, bucket: str | None) -> Filters:
        """The same filters with bars of another length."""
        return replace(self, chosen_bucket=bucket)

    def cleared(self) -> Filters:
        """The same period, zone and bars without any filter."""
        return replace(self, values={}, extra={})

    def chips(self) -> Iterator[Chip]:
        """Each active filter, and what is left without it."""
        for name, value in self.values.items():
            field = name.removeprefix(BESIDES)
            label = label_of(field)
            if name == field:
                yield Chip(label, value, self.widened(name))
            else:
                words = ", ".join(each or "none" for each in split_values(value or ""))
                yield Chip(label, words, self.widened(name), besides=True)

    def columns(self) -> dict[str, str | bool | None]:
        """What is asked of the ledger's own columns."""
        return {
            FIELDS[name].column: value == "yes" if FIELDS[name].choices == YES_NO else value
            for name, value in self.values.items()
            if name in FIELDS
        }

    def excluded(self) -> dict[str, tuple[str | None, ...]]:
        """By dimension, the values that calls must not have, for :meth:`CallQuery.besides`."""
        return {
            _dimension(name.removeprefix(BESIDES)): split_values(text or "")
            for name, text in self.values.items()
            if name.startswith(BESIDES)
        }

    def tags(self) -> dict[str, str | None]:
        """The conditions on tags, for :meth:`CallQuery.tagged`."""
        return {
            name.removeprefix(TAG_PREFIX): value
            for name, value in self.values.items()
            if name.startswith(TAG_PREFIX)
        }


def _dimension(name: str) -> str:
    """What the ledger's questions call a filter."""
    return FIELDS[name].column if name in FIELDS else "tag:" + name.removeprefix(TAG_PREFIX)


def label_of(name: str) -> str:
    """What people call a filter: its own label, or the tag's name."""
    if name in FIELDS:
        return FIELDS[name].label
    return LACKED[name].label if name in LACKED else name.removeprefix(TAG_PREFIX)


def in_order(values: Mapping[str, str | None]) -> dict[str, str | None]:
    """Filters in the order that addresses have them: columns, what is lacked, tags, what is excluded."""
    own = {name: values[name] for name in (*FIELDS, *LACKED) if name in values}
    tags = {name: values[name] for name in sorted(values) if name.startswith(TAG_PREFIX)}
    return own | tags | {name: values[name] for name in sorted(values) if name.startswith(BESIDES)}


def joined_values(values: Iterable[str | None]) -> str:
    """Values as a line of CSV, a blank one for ``None``."""
    line = io.StringIO()
    # A line's own end makes the writer quote values that have such characters.
    csv.writer(line, lineterminator="\r\n").writerow([value or "" for value in values])
    return line.getvalue().removesuffix("\r\n")


def split_values(text: str) -> tuple[str | None, ...]:
    """The values of :func:`joined_values`."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    return tuple(value or None for row in rows for value in row)
